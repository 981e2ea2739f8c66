package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/dialect"
)

// BenchmarkAccept measures durable acceptances by several callers at once: a
// message to one device, and one to everybody in an app of a million.
func BenchmarkAccept(b *testing.B) {
	everybody := sets.Range(1_000_000)
	for _, kind := range []struct {
		name string
		make func(i int64) record.Acceptance
	}{
		{"direct", func(i int64) record.Acceptance {
			return message(herald.MessageID(i), herald.Ordinal(i*7919%1_000_000))
		}},
		{"broadcast", func(i int64) record.Acceptance {
			a := message(herald.MessageID(i))
			a.Group, a.Target = record.WholeImage(everybody), 1_000_000
			return a
		}},
	} {
		for _, callers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/callers=%d", kind.name, callers), func(b *testing.B) {
				db := newDB(b)
				commit, commits := db.w.sync, 0
				db.w.sync = func() error { commits++; return commit() }
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for range callers {
					wg.Go(func() {
						for {
							i := next.Add(1)
							if i > int64(b.N) {
								return
							}
							if _, err := db.Accept(context.Background(), kind.make(i)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
				b.ReportMetric(float64(b.N)/float64(commits), "msg/commit")
			})
		}
	}
}

// BenchmarkBareCommit is what the tables alone cost: one goroutine writes the
// rows of direct messages in transactions of as many messages as there would
// be callers.
func BenchmarkBareCommit(b *testing.B) {
	for _, group := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("direct/group=%d", group), func(b *testing.B) {
			db := newDB(b)
			t := &tx{db: db, w: &db.w, heads: map[int64]*head{}}
			exec := func(q string, args ...any) {
				if _, err := t.exec(q, args...); err != nil {
					b.Fatal(err)
				}
			}
			a := message(0, 1)
			target := []byte{0, 1, 1}
			b.ResetTimer()
			for i := 0; i < b.N; {
				must(b, db.w.say(dialect.Begin))
				for range min(group, b.N-i) {
					i++
					exec("INSERT INTO release_log (app, pos, kind, msg, at) VALUES (1, ?, 'message', ?, 1800000000000)", i, i)
					exec(toEntries.text(1), 1, i*7919%1_000_000, i, i, i)
					exec(`INSERT INTO msg VALUES (1, ?, 'sending', 0, 1800003600000, ?, 0, 0, 0, 1, 0, ?, 'normal', '', '', 3600000,
						1800000000000, 1800000000000, '"all"', ?, ?, 1, ?, ?, NULL, 0)`, i, i, i, a.Body, checksum(a.Body), target, checksum(target))
				}
				exec("UPDATE app_head SET pos = ? WHERE app = 1", i)
				must(b, db.w.control("COMMIT"))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkBareTopics is the same for entries of the topic log, of 100 bytes:
// what internal/topiclog does with them is measured by its BenchmarkAppend.
func BenchmarkBareTopics(b *testing.B) {
	for _, group := range []int{64, 512, 2048} {
		b.Run(fmt.Sprintf("group=%d", group), func(b *testing.B) {
			db := newDB(b)
			t := &tx{db: db, w: &db.w, heads: map[int64]*head{}}
			e := record.TopicEntry{QoS: 1, Payload: make([]byte, 100)}
			b.ResetTimer()
			for i := 0; i < b.N; {
				must(b, db.w.say(dialect.Begin))
				for range min(group, b.N-i) {
					i++
					body := record.AppendTopicBody(nil, &e)
					if _, err := t.exec(toTopics.text(1), 1, i, fmt.Sprintf("sensors/%d/temperature", i%1000), "", "publisher", 1800000000000, 0, body, checksum(body)); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := t.exec("UPDATE app_head SET pos = ? WHERE app = 1", i); err != nil {
					b.Fatal(err)
				}
				must(b, db.w.control("COMMIT"))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
