package live_test

import (
	"context"
	"encoding/json"
	"fmt"
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

// BenchmarkTopics lists a page of many topics, as GET /v1/topics does.
func BenchmarkTopics(b *testing.B) {
	const topics, limit = 100_000, 1000
	w := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: forgets{}})
	done := make(chan struct{})
	go func() { defer close(done); _ = hub.Run(context.Background()) }()
	defer func() { hub.Close(); <-done }()
	const sessions = topics / herald.MaxTopics
	tr, said := &lines{}, make(chan struct{}, 2*sessions)
	for i := range sessions {
		var names []herald.Topic
		for j := range herald.MaxTopics {
			names = append(names, herald.Topic(fmt.Sprintf("room/%06d", i+j*sessions)))
		}
		_ = hub.Attach(tr, nowhere{said}, true).Hello(live.Hello{Token: w.Join(herald.PlatformWeb).Token, Topics: names})
	}
	for range 2 * sessions { // welcome and subscribed
		<-said
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := hub.Topics(livetest.App, "room/", "room/050000", limit); len(got) != limit || got[0].Topic != "room/050001" || got[limit-1].Topic != "room/051000" {
			b.Fatalf("%d topics", len(got))
		}
	}
}
