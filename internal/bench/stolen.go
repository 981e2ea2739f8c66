package bench

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"time"
)

// stolen reads from /proc/stat for how long this machine had something to run while
// the one below ran others: "steal" of proc_stat(5), of all processors together.
func stolen(stat []byte) (time.Duration, bool) {
	const at = 8 // behind the word "cpu"
	line, _, _ := bytes.Cut(stat, []byte{'\n'})
	f := bytes.Fields(line)
	if len(f) <= at || string(f[0]) != "cpu" {
		return 0, false
	}
	n, err := strconv.ParseInt(string(f[at]), 10, 64)
	if err != nil || n < 0 {
		return 0, false
	}
	return time.Duration(n) * tick, true
}

// theft watches how much of this machine's processors others get: figures of a span
// in which that was much are theirs, not the server's.
type theft struct {
	since time.Time
	had   time.Duration
	read  func() ([]byte, error)
}

func watchTheft() *theft {
	t := &theft{read: procStat}
	t.next()
	return t
}

// next begins a new span, and tells what part of the processors' time others had in
// the last one; ok is false where the system does not tell.
func (t *theft) next() (part float64, ok bool) {
	stat, err := t.read()
	if err != nil {
		return 0, false
	}
	had, ok := stolen(stat)
	now := time.Now()
	part = float64(had-t.had) / float64(max(now.Sub(t.since), 1)) / float64(runtime.NumCPU())
	t.since, t.had = now, had
	return part, ok
}

// both says what two spans had.
func both(before, during float64, ok bool) string {
	if !ok {
		return "not told by this system"
	}
	return fmt.Sprintf("%.1f %% before, %.1f %% during", 100*before, 100*during)
}
