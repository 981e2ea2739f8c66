//go:build unix

package bench_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/sse"
	"github.com/herald-push/herald/internal/live/stream"
	"github.com/herald-push/herald/internal/live/tcp"
	"github.com/herald-push/herald/internal/live/websocket"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/wire"
)

// hole is a connection without a socket, which only counts what it is sent. All
// sessions may have the same one.
type hole struct{ sent atomic.Int64 }

func (c *hole) Send(live.Frame) error { c.sent.Add(1); return nil }
func (*hole) Close(live.Reason)       {}

// wait waits until so many frames were sent.
func (c *hole) wait(n int64) {
	for c.sent.Load() < n {
		<-time.After(100 * time.Microsecond)
	}
}

// members registers devices of a node's app.
func (n *node) members(b *testing.B, count int) (tokens []string, ords *sets.Set) {
	b.Helper()
	tokens = make([]string, count)
	list := make([]herald.Ordinal, count)
	each(b, count, func(i int) error {
		d, token, _, err := n.registry.Register(context.Background(), registry.RegisterRequest{App: n.app, Platform: herald.PlatformWeb})
		tokens[i], list[i] = token, d.Ord
		return err
	})
	return tokens, sets.New(list...)
}

// open connects devices over a transport, as its listener does when it has read
// the request, and waits until they are welcome.
func (n *node) open(b *testing.B, t live.Transport, tokens []string, c *hole) []live.Handler {
	b.Helper()
	before := c.sent.Load()
	out := make([]live.Handler, 0, len(tokens))
	for _, token := range tokens {
		switch t := t.(type) {
		case live.Upgrader:
			r := httptest.NewRequest("GET", t.Path(), nil)
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Sec-WebSocket-Version", "13")
			r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
			_, h, err := t.Upgrade(n.hub, r)
			must(b, err)
			h.Open(c)
			out = append(out, h)
		case live.Server:
			h := t.NewHandler(n.hub)
			h.Open(c)
			must(b, h.Data(fmt.Appendf(nil, `{"type":"hello","token":%q}`+"\n", token)))
			out = append(out, h)
		}
	}
	c.wait(before + int64(len(tokens)))
	return out
}

func heapInUse() uint64 {
	for range 3 { // the second empties the pools
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkIdleMemory says what a connected device that is idle takes of the
// heap, beside its socket: its session, what its transport holds, and its place
// in what finds it.
func BenchmarkIdleMemory(b *testing.B) {
	const count = 10_000
	for _, t := range []live.Transport{websocket.New(websocket.Config{}), sse.New(sse.Config{}), stream.New(stream.Config{}), tcp.New()} {
		b.Run(t.Name(), func(b *testing.B) {
			n := newNode(b)
			tokens, _ := n.members(b, count)
			c := &hole{}
			for _, h := range n.open(b, t, tokens[:100], c) { // what is made once
				h.Closed(nil)
			}
			before := heapInUse()
			for b.Loop() {
				list := n.open(b, t, tokens, c)
				b.ReportMetric((float64(heapInUse())-float64(before))/count-8, "B/session") // 8 for list
				for _, h := range list {
					h.Closed(nil)
				}
			}
		})
	}
}

// BenchmarkConnectIdle has devices come for whom nothing waits, without
// sockets: from the request head to the welcome and back.
func BenchmarkConnectIdle(b *testing.B) {
	const count = 2_000
	n := newNode(b)
	tokens, _ := n.members(b, count)
	t, c := websocket.New(websocket.Config{}), &hole{}
	again := func() {
		before := c.sent.Load()
		list := make([]*live.Session, count)
		for i, token := range tokens {
			list[i] = n.hub.Attach(t, c, false)
			must(b, list[i].Hello(live.Hello{Token: token}))
		}
		c.wait(before + count)
		for _, s := range list {
			s.Closed()
		}
	}
	again()
	b.ReportAllocs()
	used := cpuTime(b)
	for b.Loop() {
		again()
	}
	b.ReportMetric(float64((cpuTime(b)-used).Nanoseconds())/float64(b.N)/count, "cpu-ns/connect")
}

// BenchmarkAcknowledge has devices acknowledge a message to all of them, one in
// a frame, and waits until their receipts are counted.
func BenchmarkAcknowledge(b *testing.B) {
	for _, c := range []struct {
		count int
		apart time.Duration // after 50
	}{{1_000, 0}, {10_000, 0}, {10_000, time.Millisecond}} {
		count, apart := c.count, c.apart
		b.Run(fmt.Sprint(count, "/", apart), func(b *testing.B) {
			n := newNode(b)
			tokens, ords := n.members(b, count)
			c := &hole{}
			list := n.open(b, websocket.New(websocket.Config{}), tokens, c)
			used := time.Duration(0)
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				m := &record.Message{Target: int64(count), Group: record.WholeImage(ords)}
				if count <= herald.MaxDirect {
					m.Group, m.Direct = nil, ords.Ordinals()
				}
				must(b, n.send(m))
				_, err := n.hub.Deliver(context.Background(), record.Handover{App: n.app, Kind: record.ReleaseMessage, Msg: m, Pos: m.Pos, Set: ords, At: m.Accepted})
				must(b, err)
				must(b, n.ledger.Settled(context.Background(), n.app))
				plain := wire.AppendMasked(nil, true, wire.Text, [4]byte{1, 2, 3, 4}, fmt.Appendf(nil, `{"type":"ack","ids":["%d"]}`, m.ID))
				frame := make([]byte, len(plain))
				begin := cpuTime(b)
				b.StartTimer()
				for i, h := range list {
					copy(frame, plain) // a parser unmasks in place
					must(b, h.Data(frame))
					if apart > 0 && i%50 == 49 {
						<-time.After(apart)
					}
				}
				must(b, n.ledger.Settled(context.Background(), n.app))
				b.StopTimer()
				used += cpuTime(b) - begin
				counts, err := n.ledger.Counts(context.Background(), m)
				must(b, err)
				if counts.Received != int64(count) {
					b.Fatalf("%d of %d received it", counts.Received, count)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N*count), "cpu-ns/ack")
		})
	}
}

// BenchmarkFanOut hands messages to everybody who is connected, without
// sockets; alone, or from all cores at once.
func BenchmarkFanOut(b *testing.B) {
	for _, count := range []int{1_000, 10_000, 19_000} {
		n := newNode(b)
		tokens, ords := n.members(b, count)
		c := &quiet{}
		list := make([]*live.Session, count)
		t := websocket.New(websocket.Config{})
		for i, token := range tokens {
			list[i] = n.hub.Attach(t, c, false)
			must(b, list[i].Hello(live.Hello{Token: token}))
		}
		for n.hub.Count(n.app) < count {
			<-time.After(time.Millisecond)
		}
		m := &record.Message{Target: int64(count), Group: record.WholeImage(ords)}
		m.Message = herald.Message{ID: n.ids.Next(time.Now()), App: n.app, Accepted: time.Now(), Due: time.Now()}
		m.Body = []byte(`{"notification":{"title":"Your order has shipped","body":"It left the warehouse at 09:30 and should reach you tomorrow."},"data":{"order":4711}}`)
		h := record.Handover{App: n.app, Kind: record.ReleaseMessage, Msg: m, Set: ords, At: m.Accepted}
		deliver := func(b *testing.B) {
			took, err := n.hub.Deliver(context.Background(), h)
			if err != nil || took.Len() != int64(count) {
				b.Errorf("took %d of %d, %v", took.Len(), count, err)
			}
		}
		n.ledger.TrackVolatile(m)
		for took, _ := n.hub.Deliver(context.Background(), h); took.Len() < int64(count); took, _ = n.hub.Deliver(context.Background(), h) {
			<-time.After(time.Millisecond) // the last are not welcome yet
		}
		b.Run(fmt.Sprint("alone/", count), func(b *testing.B) {
			used := cpuTime(b)
			b.ReportAllocs()
			for b.Loop() {
				deliver(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/delivery")
			b.ReportMetric(float64((cpuTime(b)-used).Nanoseconds())/float64(b.N*count), "cpu-ns/delivery")
		})
		b.Run(fmt.Sprint("all-cores/", count), func(b *testing.B) {
			used := cpuTime(b)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					deliver(b)
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/delivery")
			b.ReportMetric(float64((cpuTime(b)-used).Nanoseconds())/float64(b.N*count), "cpu-ns/delivery")
		})
		for _, s := range list {
			s.Closed()
		}
	}
}

// quiet is a connection that does nothing.
type quiet struct{ _ byte }

func (*quiet) Send(live.Frame) error { return nil }
func (*quiet) Close(live.Reason)     {}
