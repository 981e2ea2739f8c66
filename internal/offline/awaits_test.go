package offline_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// asked is a record that counts what is asked of it for a device.
type asked struct {
	*sqlite.DB
	mu      sync.Mutex // guards what follows
	entries int
	blocks  int
	fail    error
	during  func() // called while entries are being read, once
}

func (a *asked) Entries(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.Entry, error) {
	list, err := a.DB.Entries(ctx, app, ord, after, limit)
	a.read()
	return list, err
}

func (a *asked) EntryMessages(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.EntryMessage, error) {
	list, err := a.DB.EntryMessages(ctx, app, ord, after, limit)
	a.read()
	return list, err
}

func (a *asked) read() {
	a.mu.Lock()
	a.entries++
	during := a.during
	a.during = nil
	a.mu.Unlock()
	if during != nil {
		during()
	}
}

func (a *asked) EntryDevices(ctx context.Context, app herald.AppKey, first, last herald.Ordinal) (*sets.Set, error) {
	a.mu.Lock()
	a.blocks++
	fail := a.fail
	a.mu.Unlock()
	if fail != nil {
		return nil, fail
	}
	return a.DB.EntryDevices(ctx, app, first, last)
}

func (a *asked) since(f func()) (entries, blocks int) {
	a.mu.Lock()
	entries, blocks = a.entries, a.blocks
	a.mu.Unlock()
	f()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.entries - entries, a.blocks - blocks
}

// TestNothingIsReadForNothing: a device for which no direct message waits costs
// no query, and one for which one does gets it, whenever it was released.
func TestNothingIsReadForNothing(t *testing.T) {
	b := newBench(t)
	db := &asked{DB: b.db}
	b.backlog = offline.New(offline.Config{Store: db, Ledger: b.ledger, Registry: b.registry, Now: func() time.Time { return b.now }})
	first, second, third := b.device(""), b.device(""), b.device("")
	waiting := func(d offline.Device) (n int) {
		t.Helper()
		list, _, _, err := b.backlog.Waiting(t.Context(), d, 0, 100)
		b.must(err)
		return len(list)
	}
	expect := func(what string, entries, blocks int, f func()) {
		t.Helper()
		if e, n := db.since(f); e != entries || n != blocks {
			t.Errorf("%s: the entries of %d devices and %d blocks were read, want %d and %d", what, e, n, entries, blocks)
		}
	}
	one := b.send(nil, first)

	db.fail = errors.New("the disk is away")
	expect("a block that cannot be read", 1, 1, func() {
		if n := waiting(second); n != 0 {
			t.Errorf("%d wait", n)
		}
	})
	db.fail = nil
	expect("the first time", 1, 1, func() {
		if n := waiting(first); n != 1 {
			t.Errorf("%d wait", n)
		}
	})
	expect("others of its block", 0, 0, func() { waiting(second); waiting(third) })
	two := b.send(nil, first, second)
	expect("after another message", 2, 0, func() {
		if n, m := waiting(first), waiting(second); n != 2 || m != 1 {
			t.Errorf("%d and %d wait", n, m)
		}
		waiting(third)
	})
	b.report(one, herald.StateReceived, first)
	b.report(two, herald.StateReceived, first)
	b.report(two, herald.StateReceived, second)
	expect("when all is received", 2, 0, func() { waiting(first); waiting(second) })
	expect("and asked again", 0, 0, func() { waiting(first); waiting(second) })

	// What is released while the entries are read stays known.
	three := b.send(nil, first)
	b.report(three, herald.StateReceived, first)
	db.during = func() { b.send(nil, first) }
	waiting(first)
	if n := waiting(first); n != 1 {
		t.Errorf("%d wait, want what was released while it was asked", n)
	}
}

// TestAskedTogether: devices of one block that come at once read it once.
func TestAskedTogether(t *testing.T) {
	b := newBench(t)
	db := &asked{DB: b.db}
	b.backlog = offline.New(offline.Config{Store: db, Ledger: b.ledger, Registry: b.registry, Now: func() time.Time { return b.now }})
	var devices []offline.Device
	for range 20 {
		devices = append(devices, b.device(""))
	}
	b.send(nil, devices[3])
	var wg sync.WaitGroup
	_, blocks := db.since(func() {
		for i, d := range devices {
			wg.Go(func() {
				list, _, _, err := b.backlog.Waiting(t.Context(), d, 0, 100)
				if want := i == 3; err != nil || len(list) == 1 != want {
					t.Errorf("device %d: %d wait, %v", i, len(list), err)
				}
			})
		}
		wg.Wait()
	})
	if blocks != 1 {
		t.Errorf("the block was read %d times", blocks)
	}
	// Who has gone leaves nothing behind that others would take for an answer.
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := b.backlog.Waiting(over, offline.Device{App: b.app, Ord: 1 << 20}, 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v", err)
	}
}
