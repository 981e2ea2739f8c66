package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const (
	// pollEvery is how often a follower looks at the log although nobody woke it:
	// hints may get lost where they cross a network.
	pollEvery = 5 * time.Second
	// firstPause is how long a follower waits when the record has failed it. Each
	// time in a row it waits twice as long, up to pollEvery.
	firstPause = 100 * time.Millisecond
	// mostTries is how often in a row a release is tried of which not everything
	// can be read or written although the database can be reached: some 11 s.
	mostTries = 8
	// patience is how long who waits for a follower waits if the record fails it:
	// as long as for a commit whose answer was lost.
	patience = 8 * time.Second
)

// follower reads the log of one app in order.
type follower struct {
	d    *Dispatcher
	app  herald.AppKey
	wake chan struct{}
	// failed is how often in a row the record has failed it. Its goroutine alone
	// uses it.
	failed int

	mu    sync.Mutex    // guards what follows
	pos   herald.Pos    // releases up to here are handed over
	moved chan struct{} // closed when pos moves; nil if nobody waits for it
	why   error         // the record has failed it, and it has not come on since
	// While whole is true, fresh has every release that the log got since it was
	// read to its end. There may be some in it that were read as well.
	whole bool
	fresh []record.Release
	size  int // about how many bytes fresh holds
}

// Sizes of what a follower keeps so that it need not read it.
const (
	maxFresh   = 32 << 20 // bytes
	groupFresh = 16 << 10 // bytes that a group message counts for, beside its body
)

// note keeps a release that the log has got.
func (f *follower) note(m *record.Message) {
	size := 1024 + len(m.Body) + 4*len(m.Direct)
	if m.Group != nil {
		size += groupFresh
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.size += size; !f.whole || f.size > maxFresh {
		f.whole, f.fresh, f.size = false, nil, 0
		return
	}
	f.fresh = append(f.fresh, record.Release{Pos: m.Pos, Kind: record.ReleaseMessage, Msg: m, At: m.Accepted})
}

// lose forgets what was kept: the log has got something else, and is read.
func (f *follower) lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.whole, f.fresh, f.size = false, nil, 0
}

func (f *follower) rouse() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// next gives the releases that follow, and whether there may be more.
func (f *follower) next(ctx context.Context) (list []record.Release, more bool, err error) {
	const page = 256
	f.mu.Lock()
	after := f.pos
	if f.whole {
		list, f.fresh, f.size = f.fresh, nil, 0
		f.mu.Unlock()
		return list, len(list) > 0, nil
	}
	// What the log got before this is read now; what it gets from here on is
	// kept, unless this is not its end yet.
	f.whole = true
	f.mu.Unlock()
	list, err = f.d.c.Store.Releases(ctx, f.app, after, page)
	if err != nil || len(list) == page {
		f.lose()
	}
	return list, len(list) == page, err
}

func (f *follower) run() {
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	for {
		more, err := f.step(f.d.ctx)
		if more && err == nil {
			continue
		}
		wake, pause := f.wake, pollEvery
		if err != nil {
			// Whoever wakes it has nothing to say about the record.
			wake, pause = nil, min(f.d.pause<<min(max(f.failed-1, 0), 16), pollEvery)
		}
		timer.Reset(pause)
		select {
		case <-f.d.ctx.Done():
			return
		case <-wake:
		case <-timer.C:
			f.lose()
		}
	}
}

// step hands over one page of releases and tells whether there may be more.
// After an error of the record it goes on where that came: nobody is given
// what follows a release that is not with everybody yet.
func (f *follower) step(ctx context.Context) (more bool, err error) {
	list, more, err := f.next(ctx)
	if err != nil {
		f.fails(err)
		if ctx.Err() == nil {
			f.d.c.Log.ErrorContext(ctx, "dispatch: the log could not be read; trying again", "app", f.app, "error", err)
		}
		return false, err
	}
	for _, r := range list {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if r.Pos <= f.pos { // only this goroutine moves it
			continue
		}
		if err := f.handOver(ctx, r); err != nil {
			f.fails(err)
			return false, err
		}
		f.mu.Lock()
		f.pos, f.failed, f.why = r.Pos, 0, nil
		if f.moved != nil {
			close(f.moved)
			f.moved = nil
		}
		f.mu.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed, f.why = 0, nil
	return more, nil
}

func (f *follower) fails(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed++
	f.why = err
}

// handOver does what a release asks. With an error it is to be done again, which
// is harmless, as it is after a crash: see [Dispatcher.Follow].
func (f *follower) handOver(ctx context.Context, r record.Release) error {
	if r.Msg == nil {
		// The store has said that it is damaged. What follows it goes on.
		f.d.c.Ledger.Advance(f.app, r.Pos)
		return nil
	}
	err := f.d.release(ctx, r)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return err // the rest waits in the record
	case f.again(err):
		f.d.c.Log.ErrorContext(ctx, "dispatch: a release was not handed over; trying again", "app", f.app, "message", r.Msg.ID, "error", err)
		return err
	}
	f.d.c.Log.ErrorContext(ctx, "dispatch: a release was not handed over to everybody", "app", f.app, "message", r.Msg.ID, "error", err)
	if !errors.Is(err, record.ErrDamaged) { // of which nobody can read more later
		f.d.reread(f.app, r.Pos)
	}
	return nil
}

// again reports whether a release that has failed is tried again: for as long as
// the database cannot be reached, when nothing else can be handed over either,
// and some times when it can.
func (f *follower) again(err error) bool {
	if f.d.c.Store.Lost(err) {
		return true
	}
	return herald.CodeOf(err) == herald.CodeStorageUnavailable && !errors.Is(err, record.ErrDamaged) && f.failed+1 < mostTries
}

// reread has those who are connected read the backlog, because they were not
// given all that has a place in the log up to a position.
func (d *Dispatcher) reread(app herald.AppKey, pos herald.Pos) {
	for _, o := range d.c.Outlets {
		if r, ok := o.(Rereader); ok {
			r.Reread(app, pos)
		}
	}
}

// reach waits until the releases up to a position are handed over, or the record
// has failed the follower for a while.
func (f *follower) reach(ctx context.Context, pos herald.Pos) error {
	give := time.NewTicker(f.d.patience)
	defer give.Stop()
	for asked := false; ; {
		f.mu.Lock()
		if f.pos >= pos {
			f.mu.Unlock()
			return nil
		}
		if asked && f.why != nil {
			defer f.mu.Unlock()
			return f.why
		}
		if f.moved == nil {
			f.moved = make(chan struct{})
		}
		moved := f.moved
		f.mu.Unlock()
		select {
		case <-moved:
		case <-give.C:
			asked = true
		case <-ctx.Done():
			return ctx.Err()
		case <-f.d.ctx.Done():
			return herald.Errorf(herald.CodeDraining, "Repeat the call.", "the server is stopping")
		}
	}
}
