package swarm

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	last := -1
	for _, ns := range []int64{-5, 0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 1000, 1e6, 1e9, 1e12, 1<<63 - 1} {
		i := bucket(ns)
		if i < last || i >= len(histogram{}.count) {
			t.Errorf("%d ns are in bucket %d, after %d", ns, i, last)
		}
		if last = i; ns < 1<<62 && (upper(i) < ns || i > 0 && upper(i-1) >= max(ns, 1)) {
			t.Errorf("%d ns are in bucket %d, which holds %d to %d", ns, i, upper(max(i-1, 0))+1, upper(i))
		}
	}
}

func TestQuantiles(t *testing.T) {
	var h histogram
	if s := h.summary(); s != (Latency{}) {
		t.Errorf("nothing: %+v", s)
	}
	for _, i := range rand.Perm(1000) {
		h.add(int64(i+1) * int64(time.Millisecond))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 500, 0.99: 990, 1: 1000} {
		want *= time.Millisecond
		if got := h.quantile(q); got < want || got > want+want/16+2*time.Millisecond {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if s := h.summary(); s.N != 1000 || s.Max != time.Second {
		t.Errorf("got %+v", s)
	}
}
