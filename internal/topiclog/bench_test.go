package topiclog_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/topiclog"
)

// BenchmarkAppend measures durable entries of 100 bytes, of several publishers
// that each have one under way, as a QoS 1 client with a window of 1. What the
// table alone costs is BenchmarkBareTopics of internal/store.
func BenchmarkAppend(b *testing.B) {
	for _, publishers := range []int{64, 512, 2048} {
		b.Run(fmt.Sprintf("publishers=%d", publishers), func(b *testing.B) {
			l := benchLog(b)
			var wg sync.WaitGroup
			left := make(chan struct{}, b.N)
			for range b.N {
				left <- struct{}{}
			}
			b.ResetTimer()
			for p := range publishers {
				var next func(error)
				next = func(err error) {
					if err != nil {
						b.Error(err)
					}
					select {
					case <-left:
						l.Append(appA, &record.TopicEntry{Topic: herald.Topic(fmt.Sprintf("sensors/%d/temperature", p%1000)), QoS: 1, Payload: make([]byte, 100)}, next)
					default:
						wg.Done()
					}
				}
				wg.Add(1)
				next(nil)
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

func benchLog(b *testing.B) *topiclog.Log {
	db, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "herald.db")})
	if err != nil {
		b.Fatal(err)
	}
	l := topiclog.New(topiclog.Config{Store: db})
	b.Cleanup(func() {
		l.Close()
		_ = db.Close()
	})
	if err := db.CreateApp(b.Context(), record.App{Key: appA, SecretHash: []byte("x"), Created: time.Now()}); err != nil {
		b.Fatal(err)
	}
	if _, _, err := l.Open(b.Context(), record.TopicSession{App: appA, Client: "one", Expiry: 3600}); err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	l.Change(appA, "one", record.TopicSessionChange{Subscribe: []record.TopicSub{{Filter: "sensors/#", QoS: 1}}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return l
}

// BenchmarkRead measures a page of what waits for a session that was away, in a
// log of 100,000 entries of 1,000 topics.
func BenchmarkRead(b *testing.B) {
	l := benchLog(b)
	var wg sync.WaitGroup
	for i := range 100_000 {
		wg.Add(1)
		for l.Stats().Pending > 10_000 {
			runtime.Gosched()
		}
		l.Append(appA, &record.TopicEntry{Topic: herald.Topic(fmt.Sprintf("sensors/%d/temperature", i%1000)), QoS: 1, Payload: make([]byte, 100)}, func(err error) {
			if err != nil {
				b.Error(err)
			}
			wg.Done()
		})
	}
	wg.Wait()
	b.ResetTimer()
	for b.Loop() {
		if list, _, _, err := l.Read(b.Context(), appA, "one", 99_900, 50); err != nil || len(list) != 50 {
			b.Fatal(len(list), err)
		}
	}
}
