package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

var (
	errAway    = herald.Errorf(herald.CodeStorageUnavailable, "Wait.", "the database is away")
	errOther   = herald.Errorf(herald.CodeStorageUnavailable, "Wait.", "the database did not do it")
	errDamaged = &herald.Error{Code: herald.CodeStorageUnavailable, Err: record.ErrDamaged}
)

// broken is a record that fails a number of times when it is asked for
// something.
type broken struct {
	*sqlite.DB

	mu   sync.Mutex // guards what follows
	at   string     // what fails
	err  error
	left int // how often it still does
}

// breaks says what fails from now on.
func (f *broken) breaks(at string, err error, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.err, f.left = at, err, times
}

func (f *broken) fails(at string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at != at || f.left == 0 {
		return nil
	}
	f.left--
	return f.err
}

// unused is how often it was not asked for what would have failed.
func (f *broken) unused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.left
}

func (*broken) Lost(err error) bool { return errors.Is(err, errAway) }

func (f *broken) Releases(ctx context.Context, app herald.AppKey, after herald.Pos, limit int) ([]record.Release, error) {
	if err := f.fails("log"); err != nil {
		return nil, err
	}
	return f.DB.Releases(ctx, app, after, limit)
}

func (f *broken) ByCollapseKey(ctx context.Context, app herald.AppKey, key string) ([]herald.MessageID, error) {
	if err := f.fails("collapse"); err != nil {
		return nil, err
	}
	return f.DB.ByCollapseKey(ctx, app, key)
}

func (f *broken) Cells(ctx context.Context, app herald.AppKey, slab sets.Slab, ids []herald.MessageID, waiting bool, each func(record.Chunk) error) error {
	if err := f.fails("cells"); err != nil {
		return err
	}
	return f.DB.Cells(ctx, app, slab, ids, waiting, each)
}

func newBrokenBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir(), now: begin, dense: true, broken: &broken{}}
	b.open()
	row, _, err := b.registry.CreateApp(t.Context(), "test")
	b.must(err)
	b.app = row.Key
	b.must(b.ledger.Load(t.Context(), b.app))
	t.Cleanup(b.close)
	b.d.pause = time.Microsecond
	b.follow()
	b.accept(to(b.devices(1)...)) // after which the log has been read to its end
	b.reach()
	b.outlet.mu.Lock()
	defer b.outlet.mu.Unlock()
	b.outlet.got = nil
	return b
}

// rereading is an outlet that knows what it was told to read again.
type rereading struct {
	*outlet
	pos []herald.Pos
}

func (o *rereading) Reread(_ herald.AppKey, pos herald.Pos) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pos = append(o.pos, pos)
}

// TestRecordFails has the record fail while a message is handed over. Nobody is
// given the one behind it first; and who cannot be given it is told to look.
func TestRecordFails(t *testing.T) {
	for _, tt := range []struct {
		name, at string
		err      error
		times    int
		collapse string
		late     bool // the first message goes to nobody
		reread   bool
	}{
		{name: "away for long", at: "cells", err: errAway, times: 3 * mostTries},
		{name: "away when the log is read", at: "log", err: errAway, times: 3 * mostTries},
		{name: "away when older ones are replaced", at: "collapse", err: errAway, times: 3 * mostTries, collapse: "k"},
		{name: "not for long", at: "cells", err: errOther, times: mostTries - 1},
		{name: "for long", at: "cells", err: errOther, times: mostTries, late: true, reread: true},
		{name: "older ones are not replaced", at: "collapse", err: errOther, times: 1, collapse: "k"},
		{name: "damaged", at: "cells", err: errDamaged, times: 1, late: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBrokenBench(t)
			out := &rereading{outlet: b.outlet}
			b.d.c.Outlets = []Outlet{out}
			o := b.devices(2)
			b.online(o...)
			b.broken.breaks(tt.at, tt.err, tt.times)
			b.d.follower(b.app).lose() // it reads the log, and nothing is at hand
			first := b.accept(toGroup(o...), key(tt.collapse))
			second := b.accept(to(o...))
			b.reach()
			if n := b.broken.unused(); n != 0 {
				t.Errorf("it would have failed %d times more", n)
			}
			want := []herald.MessageID{first.ID, second.ID}
			if tt.late {
				want = want[1:]
			}
			var got []herald.MessageID
			for _, h := range b.outlet.handed() {
				got = append(got, h.Msg.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("handed over: %v, want %v", got, want)
			}
			if reread := slices.Equal(out.pos, []herald.Pos{first.Pos}); reread != tt.reread || len(out.pos) > 1 {
				t.Errorf("to be read again up to %v; the message is at %d", out.pos, first.Pos)
			}
		})
	}
}

// TestRecordFailsOnceInAWhile: that it has failed is forgotten when it has not.
func TestRecordFailsOnceInAWhile(t *testing.T) {
	b := newBrokenBench(t)
	o := b.devices(1)
	b.online(o...)
	for range 3 {
		b.broken.breaks("cells", errOther, mostTries-1)
		m := b.accept(toGroup(o...))
		b.reach()
		if got := b.outlet.handed(); len(got) == 0 || got[len(got)-1].Msg.ID != m.ID {
			t.Fatalf("message %s was not handed over", m.ID)
		}
	}
}

// TestCapsWhileTheRecordFails: what is done again counts once.
func TestCapsWhileTheRecordFails(t *testing.T) {
	b := newBrokenBench(t)
	o := b.devices(1)
	b.online(o...)
	b.caps(record.CapRule{Category: "news", Max: 2, Seconds: 3600})
	b.send("news", toGroup(o...))
	b.broken.breaks("collapse", errAway, 5) // comes after the caps
	r := request(to(o...), key("k"))
	r.Message.App, r.Facts = b.app, &record.Facts{Category: "news"}
	second, _, err := b.d.Accept(t.Context(), r)
	b.must(err)
	b.reach()
	b.wantRejected("the second", b.message(second.ID))
	b.broken.breaks("cells", errAway, 5) // is asked for them first
	third := b.send("news", toGroup(o...))
	if got, err := b.ledger.NotRejected(t.Context(), third); err != nil || !got.Empty() {
		t.Errorf("the third is not refused for %v, %v", got.Ordinals(), err)
	}
}

// TestWithdrawWhileTheRecordFails: who withdraws is not kept waiting for as long as
// the database is away, and when it is back may repeat the call.
func TestWithdrawWhileTheRecordFails(t *testing.T) {
	b := newBrokenBench(t)
	b.d.patience = time.Microsecond
	o := b.devices(2)
	b.online(o...)
	m := b.accept(toGroup(o...))
	b.reach()
	b.broken.breaks("log", errAway, 1<<30)
	if _, err := b.d.Withdraw(t.Context(), b.app, m.ID); !errors.Is(err, errAway) {
		t.Errorf("while the database is away: %v", err)
	}
	b.broken.breaks("", nil, 0)
	b.d.patience = time.Minute
	b.reach()
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateUnconfirmed})
	if _, err := b.d.Withdraw(t.Context(), b.app, m.ID); herald.CodeOf(err) != herald.CodeConflict {
		t.Errorf("withdrawn again: %v", err)
	}
	notice := false
	for _, h := range b.outlet.handed() {
		notice = notice || h.Kind == record.ReleaseWithdraw && h.Set.Contains(o[0])
	}
	if !notice {
		t.Error("nobody was told that it was withdrawn")
	}
}
