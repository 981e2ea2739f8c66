package mqtt_test

import (
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// nowhere is a Conn that keeps nothing but the last frame.
type nowhere struct {
	mu   sync.Mutex
	last live.Frame
	n    int
}

func (n *nowhere) Send(f live.Frame) error {
	n.mu.Lock()
	n.last, n.n = f, n.n+1
	n.mu.Unlock()
	return nil
}

func (*nowhere) Close(live.Reason) {}

func (n *nowhere) sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.n
}

// listener is a client that subscribes and answers what it is told.
type listener struct {
	*nowhere
	handler live.Handler
	answers int
}

func (h *hall) listeners(b *testing.B, members []livetest.Member, q packet.QoS, subscribed bool) []listener {
	list := make([]listener, len(members))
	for i, m := range members {
		l := listener{nowhere: &nowhere{}, handler: h.broker.Raw().NewHandler(h.hub)}
		l.handler.Open(l.nowhere)
		c := &packet.Connect{
			Version: packet.V311, CleanStart: true, ClientID: string(m.ID),
			Username: string(livetest.App), HasUsername: true, Password: []byte(m.Token), HasPassword: true,
		}
		out, answers := c.AppendTo(nil, packet.V311), 1
		if subscribed {
			out, answers = sub(1, filter("chat/7", q)).AppendTo(out, packet.V311), 2
		}
		if err := l.handler.Data(out); err != nil {
			b.Fatal(err)
		}
		l.answers = answers
		list[i] = l
	}
	for _, l := range list {
		for l.sent() < l.answers {
			runtime.Gosched()
		}
	}
	return list
}

// BenchmarkFanOut publishes to sessions in memory, as BenchmarkPublish of the hub
// does: with QoS 1 each acknowledges what it got.
func BenchmarkFanOut(b *testing.B) {
	for _, q := range []packet.QoS{0, 1} {
		for _, n := range []int{1, 100, 10_000} {
			b.Run("QoS"+strconv.Itoa(int(q))+"/"+strconv.Itoa(n), func(b *testing.B) {
				h := newHall(b, newLedger(), mqtt.Config{})
				defer h.stop()
				members := make([]livetest.Member, n)
				for i := range members {
					members[i] = h.world.Join(herald.PlatformLinux)
				}
				list := h.listeners(b, members, q, true)
				p := live.Publication{Topic: "chat/7", Payload: []byte(`{"text":"Hello, everybody out there"}`), QoS: byte(q), Time: time.Now()}
				b.ReportAllocs()
				for b.Loop() {
					if got := h.hub.Publish(livetest.App, p); got != n {
						b.Fatalf("reached %d", got)
					}
					if q == 0 {
						continue
					}
					f := list[0].last
					at := packet.IDOffset(f)
					puback := []byte{byte(packet.PUBACK) << 4, 2, f[at], f[at+1]}
					for i := range list {
						_ = list[i].handler.Data(puback)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
			})
		}
	}
}

// BenchmarkSession shows what a session takes that is idle, without the socket and
// what is beneath it: one that is only connected, and one that is subscribed.
func BenchmarkSession(b *testing.B) {
	for _, subscribed := range []bool{false, true} {
		b.Run("subscribed="+strconv.FormatBool(subscribed), func(b *testing.B) {
			const n = 20_000
			for b.Loop() {
				h := newHall(b, newLedger(), mqtt.Config{})
				members := make([]livetest.Member, n)
				for i := range members {
					members[i] = h.world.Join(herald.PlatformLinux)
				}
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				list := h.listeners(b, members, 1, subscribed)
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/session")
				runtime.KeepAlive(list)
				h.stop()
			}
		})
	}
}
