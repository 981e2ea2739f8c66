package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/herald-push/herald/internal/version"
)

// Figure is one measured thing: a value of each round, and the ratio of each
// to what the floor took in the same round.
type Figure struct {
	What   string    `json:"what"`
	Unit   string    `json:"unit"`
	Rounds []float64 `json:"rounds"`
	Ratios []float64 `json:"ratios,omitempty"`
	To     string    `json:"to,omitempty"` // what the ratios are to
}

// Report is what a load command found.
type Report struct {
	Command  string         `json:"command"`
	Begun    time.Time      `json:"begun"`
	Took     time.Duration  `json:"took_ns"`
	Build    string         `json:"build"`
	Go       string         `json:"go"`
	Kernel   string         `json:"kernel,omitempty"`
	CPUs     int            `json:"cpus"`
	Load     string         `json:"load,omitempty"` // of the machine, at the end: 1, 5 and 15 minutes
	Settings map[string]any `json:"settings,omitempty"`
	Figures  []Figure       `json:"figures"`
	Notes    []string       `json:"notes,omitempty"`
}

// newReport begins a report.
func newReport(command string, settings map[string]any) *Report {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // empty elsewhere
	return &Report{
		Command: command, Begun: time.Now().UTC(), Build: version.Version(), Go: runtime.Version(),
		Kernel: strings.TrimSpace(string(kernel)), CPUs: runtime.NumCPU(), Settings: settings,
	}
}

// finish takes what is known at the end.
func (r *Report) finish() {
	r.Took = time.Since(r.Begun).Round(time.Millisecond)
	load, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(load)); len(f) > 2 {
		r.Load = strings.Join(f[:3], " ")
	}
}

// add adds a figure. The ratios are those of rounds to the rounds of a base, if there is one.
func (r *Report) add(what, unit string, rounds []float64, to string, base []float64) {
	f := Figure{What: what, Unit: unit, Rounds: rounds}
	if len(base) == len(rounds) {
		f.To = to
		for i, v := range rounds {
			f.Ratios = append(f.Ratios, v/base[i])
		}
	}
	r.Figures = append(r.Figures, f)
}

// note adds a sentence.
func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// median gives the middle of a list, or the mean of the two in the middle; 0
// for an empty list.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// Median is the median of the rounds.
func (f *Figure) Median() float64 { return median(f.Rounds) }

// Ratio is the median of the ratios of the rounds; 0 without.
func (f *Figure) Ratio() float64 { return median(f.Ratios) }

// number writes a value with three digits at least.
func number(v float64) string {
	switch a := max(v, -v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a == 0:
		return "0"
	}
	return fmt.Sprintf("%.2f", v)
}

// spread writes the least and the most of a list.
func spread(list []float64) string {
	if len(list) < 2 {
		return ""
	}
	return number(slices.Min(list)) + " to " + number(slices.Max(list))
}

// Text writes the report as a table.
func (r *Report) Text(w io.Writer) error {
	fmt.Fprintf(w, "herald bench %s, %s, %s, Linux %s, %d processors, load %s, in %v\n", r.Command, r.Build, r.Go, r.Kernel, r.CPUs, r.Load,
		r.Took.Round(time.Second))
	for i, name := range slices.Sorted(maps.Keys(r.Settings)) {
		if i > 0 {
			fmt.Fprint(w, ", ")
		}
		fmt.Fprintf(w, "%s %v", name, r.Settings[name])
	}
	fmt.Fprint(w, "\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tmedian\tunit\tspread\tratio\tspread\tto\trounds")
	for _, f := range r.Figures {
		ratio := ""
		if len(f.Ratios) > 0 {
			ratio = fmt.Sprintf("%.2f", f.Ratio())
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", f.What, number(f.Median()), f.Unit, spread(f.Rounds), ratio, spread(f.Ratios), f.To, len(f.Rounds))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	return nil
}

// JSON writes the report as JSON.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
