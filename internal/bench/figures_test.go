package bench

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}, {[]float64{9, 1, 5, 6}, 5.5}} {
		if got := median(tt.list); got != tt.want {
			t.Errorf("the median of %v is %v, want %v", tt.list, got, tt.want)
		}
	}
	list := []float64{3, 1, 2}
	if median(list); list[0] != 3 {
		t.Error("the list was sorted")
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1234.5: "1234", 99.96: "100.0", 12.34: "12.3", 1.234: "1.23", -0.5: "-0.50", -1000: "-1000"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
	if got := spread([]float64{1}); got != "" {
		t.Errorf("the spread of one is %q", got)
	}
	if got := spread([]float64{2, 30, 1}); got != "1.00 to 30.0" {
		t.Errorf("the spread is %q", got)
	}
}

func TestReport(t *testing.T) {
	r := &Report{Command: "fanout", Build: "v1", Go: "go1", Kernel: "6", CPUs: 2, Load: "0.1 0.2 0.3", Took: 90 * time.Second,
		Settings: map[string]any{"payload": 256, "burst": 1}}
	r.add("floor, websocket", "µs", []float64{4, 8, 5}, "", nil)
	r.add("websocket", "µs", []float64{8, 4, 10}, "floor", []float64{4, 8, 5})
	r.add("memory", "B", []float64{800}, "floor", []float64{1, 2}) // of other rounds: no ratio
	r.note("A note about %d things.", 2)
	var b bytes.Buffer
	if err := r.Text(&b); err != nil {
		t.Fatal(err)
	}
	want := `herald bench fanout, v1, go1, Linux 6, 2 processors, load 0.1 0.2 0.3, in 1m30s
burst 1, payload 256

what              median  unit  spread        ratio  spread        to     rounds
floor, websocket  5.00    µs    4.00 to 8.00                              3
websocket         8.00    µs    4.00 to 10.0  2.00   0.50 to 2.00  floor  3
memory            800     B                                               1
A note about 2 things.
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if f := back.Figures[1]; f.Ratio() != 2 || f.Median() != 8 || f.To != "floor" || back.Took != r.Took || back.Notes[0] != "A note about 2 things." {
		t.Errorf("got %+v", back)
	}
}

// failing is a writer that fails.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFailing }

var errFailing = &refusal{status: 500, text: []byte("no")}

func TestReportThatCannotBeWritten(t *testing.T) {
	r := newReport("floor", nil)
	r.finish()
	if r.Text(failing{}) == nil || r.JSON(failing{}) == nil {
		t.Error("no error")
	}
	if !strings.Contains(errFailing.Error(), "answers 500") {
		t.Error(errFailing)
	}
}
