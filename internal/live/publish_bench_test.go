package live_test

import (
	"context"
	"encoding/json"
	"strconv"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

// BenchmarkPublish publishes to sessions in memory: the cost of the hub itself,
// without sockets.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 100, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := livetest.NewWorld()
			hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: forgets{}})
			done := make(chan struct{})
			go func() { defer close(done); _ = hub.Run(context.Background()) }()
			defer func() { hub.Close(); <-done }()
			tr, said := &lines{}, make(chan struct{}, 2*n)
			for range n {
				m := w.Join(herald.PlatformWeb)
				_ = hub.Attach(tr, nowhere{said}, true).Hello(live.Hello{Token: m.Token, Topics: []herald.Topic{"chat/7"}})
			}
			for range 2 * n { // welcome and subscribed
				<-said
			}
			p := live.Publication{Topic: "chat/7", Data: json.RawMessage(`{"text":"Hello, everybody out there"}`)}
			b.ReportAllocs()
			for b.Loop() {
				if got := hub.Publish(livetest.App, p); got != n {
					b.Fatalf("reached %d", got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/delivery")
		})
	}
}
