package mqtt_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/wire/packet"
)

// idle is a socket that throws away what is sent, and counts it.
type idle struct{ sent chan<- struct{} }

func (s *idle) Send(live.Frame) error { s.sent <- struct{}{}; return nil }
func (*idle) Close(live.Reason)       {}

// forgets is a Receipts that keeps nothing.
type forgets struct{}

func (forgets) Report(herald.AppKey, ...record.Event) {}

// BenchmarkIdle says how much heap a client takes that waits, without the 128
// bytes of the engine: one that was sent nothing yet, and one that has
// acknowledged a push.
func BenchmarkIdle(b *testing.B) {
	const clients = 20000
	w := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: forgets{}})
	done := make(chan struct{})
	go func() { defer close(done); _ = hub.Run(context.Background()) }()
	defer func() { hub.Close(); <-done }()
	broker := mqtt.New(mqtt.Config{}).Raw()
	sent := make(chan struct{}, clients)
	members := make([]livetest.Member, clients)
	set := sets.New()
	for i := range members {
		members[i] = w.Join(herald.PlatformLinux)
		set.Add(members[i].Ord)
	}
	list := make([]live.Handler, clients)
	before := heap()
	for i, m := range members {
		list[i] = broker.NewHandler(hub)
		list[i].Open(&idle{sent})
		if err := list[i].Data(as(m, packet.V5).AppendTo(nil, packet.V5)); err != nil {
			b.Fatal(err)
		}
	}
	for range clients {
		<-sent
	}
	b.ReportMetric(float64(heap()-before)/clients, "B/client")
	h := w.Accept(livetest.Send{Content: livetest.Text("x")})
	h.Set = set
	if _, err := hub.Deliver(b.Context(), h); err != nil {
		b.Fatal(err)
	}
	ack := (&packet.Ack{Type: packet.PUBACK, ID: uint16(1 + h.Pos)}).AppendTo(nil, packet.V5)
	for i := range list {
		<-sent
		if err := list[i].Data(ack); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(heap()-before)/clients, "B/client-after-a-push")
	runtime.KeepAlive(list)
	runtime.KeepAlive(members)
	runtime.KeepAlive(set)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
