package live_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// nowhere is a Conn whose queue is never full, and a Receipts that forgets.
type nowhere struct{ welcomed chan<- struct{} }

func (n nowhere) Send(live.Frame) error {
	if n.welcomed != nil {
		select {
		case n.welcomed <- struct{}{}:
		default:
		}
	}
	return nil
}
func (nowhere) Close(live.Reason) {}

type forgets struct{}

func (forgets) Report(herald.AppKey, ...record.Event) {}

// BenchmarkDeliver hands one release to sessions in memory: the cost of the
// hub itself, without sockets.
func BenchmarkDeliver(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := livetest.NewWorld()
			hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: forgets{}})
			done := make(chan struct{})
			go func() { defer close(done); _ = hub.Run(context.Background()) }()
			defer func() { hub.Close(); <-done }()
			set, tr := sets.New(), &lines{}
			welcomed := make(chan struct{}, n)
			for range n {
				m := w.Join(herald.PlatformWeb)
				set.Add(m.Ord)
				_ = hub.Attach(tr, nowhere{welcomed}, true).Hello(live.Hello{Token: m.Token})
			}
			for range n {
				<-welcomed
			}
			h := w.Accept(livetest.Send{Content: livetest.Text("Hello, everybody out there")})
			h.Set = set
			b.ReportAllocs()
			for b.Loop() {
				h.Pos++
				if took, err := hub.Deliver(context.Background(), h); err != nil || took.Len() != int64(n) {
					b.Fatalf("took %d, %v", took.Len(), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
		})
	}
}
