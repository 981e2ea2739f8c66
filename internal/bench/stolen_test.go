package bench

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestStolen(t *testing.T) {
	for _, tt := range []struct {
		name, stat string
		want       time.Duration
		ok         bool
	}{
		{"a machine of two processors", "cpu  7136391 504582 1142593 5102203 118405 0 96540 168109 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n", 168109 * 10 * time.Millisecond, true},
		{"nothing stolen", "cpu 1 2 3 4 5 6 7 0\n", 0, true},
		{"a kernel that does not tell", "cpu 1 2 3 4 5 6 7\n", 0, false},
		{"another line", "intr 1 2 3 4 5 6 7 8 9\n", 0, false},
		{"no number", "cpu 1 2 3 4 5 6 7 x\n", 0, false},
		{"a negative number", "cpu 1 2 3 4 5 6 7 -1\n", 0, false},
		{"nothing", "", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := stolen([]byte(tt.stat)); got != tt.want || ok != tt.ok {
				t.Errorf("%v, %v; want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// TestTheft: a span tells of itself and not of those before it.
func TestTheft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticks, failed := 500, error(nil)
		w := &theft{read: func() ([]byte, error) { return fmt.Appendf(nil, "cpu 1 2 3 4 5 6 7 %d 0\n", ticks), failed }}
		w.next()
		for _, want := range []float64{0, 0.25, 1, 0} {
			<-time.After(2 * time.Second)
			ticks += int(want * 200 * float64(runtime.NumCPU()))
			if got, ok := w.next(); got != want || !ok {
				t.Errorf("others had %v, %v; want %v", got, ok, want)
			}
		}
		failed = errors.New("no such file")
		if _, ok := w.next(); ok {
			t.Error("it is told though nothing can be read")
		}
	})
	if got := both(0.001, 0.1, true); got != "0.1 % before, 10.0 % during" {
		t.Error(got)
	}
	if got := both(0, 0, false); got != "not told by this system" {
		t.Error(got)
	}
}
