package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// written is a log in memory; a nil row is one that was erased.
type written struct {
	Store
	rows []*record.WebhookEntry
	err  error
}

func (l *written) WebhookLog(_ context.Context, _ herald.AppKey, after uint64, limit int, each func(record.WebhookEntry) error) error {
	for _, e := range l.rows {
		if e == nil || e.N <= after {
			continue
		}
		if limit--; limit < 0 {
			return nil
		}
		if err := each(*e); err != nil {
			return err
		}
	}
	return l.err
}

// randomLog has rows of all kinds, some of them large and some erased.
func randomLog(r *rand.Rand, rows int) *written {
	l := &written{}
	states := []herald.DeliveryState{herald.StateSent, herald.StateReceived, herald.StateClicked, herald.StateExpired, record.ToldState}
	for n := range rows {
		e := &record.WebhookEntry{N: uint64(n) + 1, Epoch: 1, At: start}
		switch r.IntN(5) {
		case 0:
			e.Devices = []record.WebhookDevice{{Kind: "bound", Ord: 1}, {Kind: "removed", Ord: 2, ID: "x"}}
		case 1:
			e.Ends = []record.WebhookEnd{{Msg: 1, State: herald.MessageExpired}}
		case 2:
			e = nil
		default:
			for range 1 + r.IntN(4) {
				s := sets.New()
				for range 1 + r.IntN(90) {
					s.Add(herald.Ordinal(r.IntN(1 << 18)))
				}
				e.Events = append(e.Events, record.Event{Msg: 3, State: states[r.IntN(len(states))], Set: s, Time: start.Add(time.Duration(n) * time.Second)})
			}
		}
		l.rows = append(l.rows, e)
	}
	return l
}

// TestFeed holds, on random logs, that batches one after the other have each
// event once, and that a batch that is made again from its range, as after a
// crash, is the same one.
func TestFeed(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 7))
		s := &Sender{c: Config{Store: randomLog(r, 60)}}
		events := []subscription{{"*"}, {"receipt.received", "device.*"}, {"receipt.failed"}, {"message.*"}}[r.IntN(4)]
		var want, got []string
		for it, err := range s.walk(t.Context(), app, record.WebhookPos{}, events.wants) {
			if err != nil {
				t.Fatal(err)
			}
			if it.Type != "" {
				want = append(want, it.ID)
			}
		}
		ids := func(list []item) (out []string) {
			for _, it := range list {
				out = append(out, it.ID)
			}
			return out
		}
		f := s.newFeed(t.Context(), app, record.WebhookPos{}, events)
		for {
			from := f.at
			list, _, err := f.window(1)
			if err != nil || len(list) > maxBatch {
				t.Fatalf("%d events, %v", len(list), err)
			}
			if f.at == from {
				break
			}
			to := f.at
			again := s.newFeed(t.Context(), app, from, events)
			same, err := again.upto(to, 0, 0)
			again.stop()
			if err != nil || !slices.Equal(ids(same), ids(list)) {
				t.Fatalf("seed %d: from %v to %v: %d events and then %d, %v", seed, from, to, len(list), len(same), err)
			}
			got = append(got, ids(list)...)
			if r.IntN(3) == 0 { // as by another process
				f.stop()
				f = s.newFeed(t.Context(), app, to, events)
			}
		}
		f.stop()
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d events in batches, %d in the log", seed, len(got), len(want))
		}
		if slices.Sort(got); len(slices.Compact(got)) != len(want) {
			t.Fatalf("seed %d: two events have one ID", seed)
		}
	}
}

func TestFeedFails(t *testing.T) {
	s := &Sender{c: Config{Store: &written{err: errors.New("no disk")}}}
	f := s.newFeed(t.Context(), app, record.WebhookPos{}, subscription{"*"})
	defer f.stop()
	if _, _, err := f.window(1); err == nil {
		t.Error("a log that cannot be read is taken for an empty one")
	}
}
