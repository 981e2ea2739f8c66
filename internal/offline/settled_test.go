package offline_test

import (
	"context"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// reading is a store that counts the entries that were read.
type reading struct {
	offline.Store
	entries int
}

func (r *reading) Entries(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.Entry, error) {
	list, err := r.Store.Entries(ctx, app, ord, after, limit)
	r.entries += len(list)
	return list, err
}

func (r *reading) EntryMessages(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.EntryMessage, error) {
	list, err := r.Store.EntryMessages(ctx, app, ord, after, limit)
	r.entries += len(list)
	return list, err
}

// What a device has received is not read at each of its connections, and what
// waits is found wherever it is.
func TestSettledEntriesAreReadOnce(t *testing.T) {
	b := newBench(t)
	store := &reading{Store: b.db}
	b.backlog = offline.New(offline.Config{Store: store, Ledger: b.ledger, Registry: b.registry, Now: func() time.Time { return b.now }})
	d, other := b.device(""), b.device("")
	receive := func(list []*record.Message) {
		t.Helper()
		var events []record.Event
		for _, m := range list {
			events = append(events, record.Event{Msg: m.ID, State: herald.StateReceived, Set: sets.New(d.Ord), Time: b.now, Via: "test"})
		}
		b.must(b.ledger.Apply(t.Context(), b.app, events...))
	}
	read := func(want int) {
		t.Helper()
		if store.entries != want {
			t.Errorf("%d entries were read, want %d", store.entries, want)
		}
		store.entries = 0
	}
	list := b.sendMany(200, d)
	receive(list[:100])
	receive(list[101:150])
	waits := []string{message(list[100])}
	for _, m := range list[150:] {
		waits = append(waits, message(m))
	}
	b.wantPage(d, waits...)
	read(200)
	b.wantPage(d, waits...)
	read(100) // from the oldest that waits on
	receive(list[100:])
	b.wantPage(d)
	b.wantPage(d)
	read(100)
	b.wantPage(d)
	read(0)
	first := b.send(nil, d)
	b.send(nil, other)
	second := b.send(nil, d)
	b.wantPage(d, message(first), message(second))
	read(2)
	b.report(second, herald.StateReceived, d)
	b.wantPage(d, message(first))
	b.report(first, herald.StateReceived, d)
	b.wantPage(d)
}
