package webhook

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// BenchmarkSend sends a backlog of receipts to a receiver on loopback, by real
// requests from a real record: events a second, by how many requests are made
// at once and how long the receiver takes to answer.
func BenchmarkSend(b *testing.B) {
	for _, latency := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond} {
		for _, n := range []int{1, 2, 4, 8, 16} {
			b.Run(fmt.Sprintf("answer=%v/inflight=%d", latency, n), func(b *testing.B) {
				for range b.N {
					benchSend(b, n, latency)
				}
			})
		}
	}
}

func benchSend(b *testing.B, n int, latency time.Duration) {
	b.StopTimer()
	const devices, rows = 10_000, 4
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(latency):
		case <-r.Context().Done():
		}
	}))
	defer receiver.Close()
	u, err := url.Parse(receiver.URL)
	check(b, err)
	client, err := egress.New(egress.Config{Allow: []string{"loopback"}, Ports: []string{u.Port()}, HTTP: true})
	check(b, err)
	defer client.Close()
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(b.TempDir(), "herald.db")})
	check(b, err)
	defer func() { check(b, db.Close()) }()
	check(b, db.CreateApp(b.Context(), record.App{Key: app, Name: "a", SecretHash: []byte("h"), Created: start}))
	s := New(Config{Store: db, Egress: client, Seal: ring(b, "the server key"), Owner: "0", InFlight: n})
	events := []string{"receipt.*"}
	hook, _, err := s.Create(b.Context(), app, Spec{URL: &receiver.URL, Events: &events})
	check(b, err)
	for i := range rows {
		_, err := db.AppendReceipts(b.Context(), app, []record.Event{{Msg: herald.MessageID(i + 1), State: herald.StateReceived, Set: sets.Range(devices), Time: start}})
		check(b, err)
	}
	b.StartTimer()
	began := time.Now()
	for {
		var wg sync.WaitGroup
		check(b, s.look(b.Context(), &wg))
		wg.Wait()
		w, err := s.Get(b.Context(), app, hook.ID)
		check(b, err)
		if w.Sent.N == w.LogEnd && w.Waiting == 0 {
			break
		}
	}
	b.ReportMetric(devices*rows/time.Since(began).Seconds(), "events/s")
	b.StopTimer()
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
