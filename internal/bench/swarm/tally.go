package swarm

import (
	"encoding/json"
	"math/bits"
	"time"

	"github.com/herald-push/herald/internal/wire"
)

// Tally is what the clients of a swarm got.
type Tally struct {
	Up         int    `json:"up"`
	Broadcasts uint64 `json:"broadcasts"`
	Unicasts   uint64 `json:"unicasts"`
	Pings      uint64 `json:"pings"`
	Acks       uint64 `json:"acks"`
}

type tally struct {
	Tally
	out     []byte   // what the client that was fed has to send
	ids     []string // that it acknowledges
	timed   bool
	latency histogram
	now     func() int64
}

// maxAcks keeps a frame of acknowledgements within what the server takes.
const maxAcks = 500

// acknowledge writes one frame for what came together.
func (t *tally) acknowledge(r *rules, from int) {
	for list := t.ids[from:]; len(list) > 0; {
		n := min(len(list), maxAcks)
		b, _ := json.Marshal(struct {
			Type string   `json:"type"`
			IDs  []string `json:"ids"`
		}{"ack", list[:n]})
		if r.Proto == WebSocket {
			t.out = wire.AppendMasked(t.out, true, wire.Text, [4]byte{}, b)
		} else {
			t.out = append(append(t.out, b...), '\n')
		}
		t.Acks += uint64(n)
		list = list[n:]
	}
	t.ids = t.ids[:from]
}

// histogram counts times in buckets of one part in 32.
type histogram struct {
	n, max int64
	count  [64 * 32]int64
}

// bucket is linear up to 32 ns, and then has 32 for each power of two.
func bucket(ns int64) int {
	if ns < 32 {
		return int(max(ns, 0))
	}
	exp := bits.Len64(uint64(ns)) - 6
	return 32*(exp+1) + int(ns>>exp) - 32
}

// upper is the most that a bucket holds.
func upper(i int) int64 {
	if i < 32 {
		return int64(i)
	}
	exp := i/32 - 1
	return (int64(i%32)+33)<<exp - 1
}

func (h *histogram) add(ns int64) {
	h.n++
	h.max = max(h.max, ns)
	h.count[bucket(ns)]++
}

// quantile gives a time that a part q of all does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := int64(q * float64(h.n))
	for i, n := range h.count {
		if rank -= n; rank < 0 {
			return time.Duration(min(upper(i), h.max))
		}
	}
	return time.Duration(h.max)
}

// Latency is how long messages took from being sent to being read.
type Latency struct {
	N   int64         `json:"n"`
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
}

func (h *histogram) summary() Latency {
	return Latency{N: h.n, P50: h.quantile(0.5), P99: h.quantile(0.99), Max: time.Duration(h.max)}
}
