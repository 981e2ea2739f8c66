//go:build unix

package bench_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

const app herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"

// ledgerWorld is a ledger on a real record.
type ledgerWorld struct {
	db     *sqlite.DB
	ledger *receipt.Ledger
}

func newLedgerWorld(b *testing.B) *ledgerWorld {
	b.Helper()
	db, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(b.TempDir(), "herald.db")})
	if err != nil {
		b.Fatal(err)
	}
	dead := sets.Range(1 << 20)
	w := &ledgerWorld{db: db, ledger: receipt.New(receipt.Config{
		Store: db, Messages: db,
		// A tenth of ten million devices are gone, none of which is in a target.
		DeadAt: func(herald.AppKey, herald.Pos) *sets.Set { return dead.Clone() },
	})}
	if err := db.CreateApp(context.Background(), record.App{Key: app, Name: "a", SecretHash: []byte("h"), Created: time.Now()}); err != nil {
		b.Fatal(err)
	}
	if err := w.ledger.Load(context.Background(), app); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.ledger.Close(context.Background()); err != nil {
			b.Error(err)
		}
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return w
}

// accept takes messages into the record, several at a time so that they share
// commits, and tracks them as dispatch does.
func (w *ledgerWorld) accept(b *testing.B, n int, target func(i int, m *record.Message)) []*record.Message {
	b.Helper()
	out := make([]*record.Message, n)
	errs := make(chan error, 64)
	next := make(chan int)
	for range cap(errs) {
		go func() {
			var err error
			for i := range next {
				now := time.Now()
				m := &record.Message{Message: herald.Message{App: app, Audience: herald.Audience{All: true}, Priority: herald.PriorityNormal,
					TTL: time.Hour, Accepted: now, Due: now, ID: herald.MessageID(i + 1)}, Body: []byte(`{"data":1}`), State: herald.MessageSending}
				target(i, m)
				var done record.Accepted
				if done, err = w.db.Accept(context.Background(), record.Acceptance{Message: *m}); err != nil {
					break
				}
				m.Pos, m.FirstN = done.Pos, done.FirstN
				out[i] = m
			}
			for range next { // lets the feeder end
				continue
			}
			errs <- err
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	for range cap(errs) {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	for _, m := range out {
		w.ledger.Track(m)
	}
	return out
}

// ack takes a frame from a device as a session does.
func (w *ledgerWorld) ack(b *testing.B, o herald.Ordinal, frame []byte) {
	f, err := live.ParseClientFrame(frame)
	if err != nil {
		b.Fatal(err)
	}
	w.ledger.ReportOne(app, o, herald.StateReceived, "receipt", time.Now(), f.IDs...)
}

// BenchmarkReceipts takes acknowledgements all the way: read from the frame,
// written to the log, counted, folded into chunks and segments. One operation
// is one receipt; the sockets are left out.
func BenchmarkReceipts(b *testing.B) {
	const devices = 1 << 20
	first := herald.Ordinal(1 << 20)
	for _, kind := range []struct {
		name   string
		perMsg int
		frame  int // IDs in a frame
	}{
		{"group", devices, 1},
		{"direct to 1", 1, 1},
		{"direct to 1, 10 a frame", 1, 10},
		{"direct to 1000", 1000, 1},
	} {
		b.Run(kind.name, func(b *testing.B) {
			w := newLedgerWorld(b)
			n := (b.N + kind.perMsg - 1) / kind.perMsg
			list := w.accept(b, n, func(i int, m *record.Message) {
				m.Target = int64(kind.perMsg)
				if kind.perMsg > herald.MaxDirect {
					image := sets.New()
					for o := range herald.Ordinal(devices) {
						image.Add(first + o)
					}
					image.Optimize()
					m.Group = record.WholeImage(image)
					return
				}
				for o := range kind.perMsg {
					m.Direct = append(m.Direct, first+herald.Ordinal(i/kind.frame*7919%devices+o))
				}
			})
			type ack struct {
				ord   herald.Ordinal
				frame []byte
			}
			var acks []ack
			for i := 0; i < b.N; i += kind.frame {
				m := list[i/kind.perMsg]
				o := first + herald.Ordinal(i*7919%devices)
				if m.Direct != nil {
					o = m.Direct[i%kind.perMsg]
				}
				frame := fmt.Appendf(nil, `{"type":"ack","ids":["%d"`, m.ID)
				for j := i + 1; j < min(i+kind.frame, b.N); j++ {
					frame = fmt.Appendf(frame, `,"%d"`, list[j].ID)
				}
				acks = append(acks, ack{o, append(frame, "]}"...)})
			}
			b.ReportAllocs()
			used := cpuTime(b)
			b.ResetTimer()
			for i, a := range acks {
				w.ack(b, a.ord, a.frame)
				if i*kind.frame%50_000 >= 50_000-kind.frame { // the devices are not faster than the disk
					if err := w.ledger.Settled(context.Background(), app); err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := w.ledger.Settled(context.Background(), app); err != nil {
				b.Fatal(err)
			}
			if err := w.ledger.Fold(context.Background(), true); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			// Others may use the machine: what counts is the processor's time.
			b.ReportMetric(float64(b.N)/(cpuTime(b)-used).Seconds(), "receipts/cpu-s")
			var received int64
			for _, m := range list {
				c, err := w.ledger.Counts(context.Background(), m)
				if err != nil {
					b.Fatal(err)
				}
				received += c.Received
			}
			if want := min(int64(b.N), int64(n)*int64(kind.perMsg)); received != want {
				b.Fatalf("%d of %d are received", received, want)
			}
		})
	}
}
