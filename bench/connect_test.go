//go:build unix

package bench_test

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// What waits in BenchmarkConnect: dense messages for half of the devices, half
// of whom have received them, and sparse ones.
const (
	connectDevices = 100_000
	connectDense   = 1_000
	connectSparse  = 9_000
)

// away is an app with ten thousand live group messages.
type away struct {
	*node
	tokens []string
	ords   []herald.Ordinal
	waits  []int // messages, by the place in ords
}

func newAway(b *testing.B, memory int64) *away {
	b.Helper()
	// Targets of 100,000 devices would fit into their rows; those of ten
	// million do not.
	a := &away{node: newNodeWith(b, memory, 8<<10), tokens: make([]string, connectDevices), ords: make([]herald.Ordinal, connectDevices)}
	each(b, connectDevices, func(i int) error {
		d, token, _, err := a.registry.Register(context.Background(), registry.RegisterRequest{App: a.app, Platform: herald.PlatformWeb})
		a.tokens[i], a.ords[i] = token, d.Ord
		return err
	})
	a.waits = make([]int, connectDevices)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range connectDense {
		target, received := sets.New(), sets.New()
		for i, o := range a.ords {
			switch rnd.IntN(4) {
			case 0:
				target.Add(o)
				received.Add(o)
			case 1:
				target.Add(o)
				a.waits[i]++
			}
		}
		m := &record.Message{Target: target.Len(), Group: record.WholeImage(target)}
		must(b, a.send(m))
		must(b, a.ledger.Apply(context.Background(), a.app, record.Event{Msg: m.ID, State: herald.StateReceived, Set: received, Time: m.Accepted, Via: "receipt"}))
	}
	targets := make([]*sets.Set, connectSparse)
	for i := range targets {
		targets[i] = sets.New()
		for range herald.MaxDirect + rnd.IntN(herald.MaxDirect) {
			if at := rnd.IntN(connectDevices); targets[i].Add(a.ords[at]) {
				a.waits[at]++
			}
		}
	}
	each(b, connectSparse, func(i int) error {
		return a.send(&record.Message{Target: targets[i].Len(), Group: record.WholeImage(targets[i])})
	})
	must(b, a.ledger.Fold(context.Background(), true))
	return a
}

// counting is a connection that counts the messages that it is sent.
type counting struct {
	mu   sync.Mutex
	left int
	done chan struct{}
}

func (c *counting) Send(live.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left == -1 { // the first is the welcome
		close(c.done)
	}
	return nil
}

func (c *counting) Close(live.Reason) {}

// BenchmarkConnect has devices come back for whom some hundred of ten thousand
// live group messages wait. One operation is one device; the sockets are left
// out. With little memory nearly every slab is read from the record.
func BenchmarkConnect(b *testing.B) {
	for _, kind := range []struct {
		name   string
		memory int64
	}{{"memory for all", 512 << 20}, {"memory for a part", 44 << 20}} {
		b.Run(kind.name, func(b *testing.B) {
			a := newAway(b, kind.memory)
			runtime.GC()
			before := a.ledger.Cache()
			b.Run("find", func(b *testing.B) {
				found, used := 0, cpuTime(b)
				b.ResetTimer()
				for i := range b.N {
					list, err := a.ledger.WaitingGroups(context.Background(), a.app, a.ords[i*7919%connectDevices], 0, math.MaxInt64, math.MaxInt)
					must(b, err)
					if len(list) != a.waits[i*7919%connectDevices] {
						b.Fatalf("%d of %d wait", len(list), a.waits[i*7919%connectDevices])
					}
					found += len(list)
				}
				b.ReportMetric(float64((cpuTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/device")
				b.ReportMetric(float64(found)/float64(b.N), "messages/device")
			})
			b.Run("connect", func(b *testing.B) { a.connect(b) })
			now := a.ledger.Cache()
			if now.Bytes > kind.memory {
				b.Fatalf("the cache takes %d bytes, with a budget of %d", now.Bytes, kind.memory)
			}
			runtime.GC()
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			b.Logf("cache %d MiB of %d, %d hits, %d misses; heap %d MiB", now.Bytes>>20, kind.memory>>20,
				now.Hits-before.Hits, now.Misses-before.Misses, mem.HeapAlloc>>20)
		})
	}
}

func (a *away) connect(b *testing.B) {
	transport := websocket.New(websocket.Config{})
	b.ReportAllocs()
	used := cpuTime(b)
	b.ResetTimer()
	for i := range b.N {
		at := i * 104_729 % connectDevices
		c := &counting{left: a.waits[at], done: make(chan struct{})}
		s := a.hub.Attach(transport, c, false)
		if err := s.Hello(live.Hello{Token: a.tokens[at]}); err != nil {
			b.Fatal(err)
		}
		select {
		case <-c.done:
		case <-time.After(time.Minute):
			b.Fatal("a device was not sent what waits for it")
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-used).Microseconds())/float64(b.N), "cpu-µs/device")
}
