package receipt

import (
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// maxQueue is how many events may wait for the store. Past it those that devices
// reported are dropped: a lost receipt costs a duplicate, never a message.
const maxQueue = 100_000

// While devices report much, as when all acknowledge the same message, the next
// batch waits a little for more of it: a batch costs as much as hundreds of
// events in it. Much is so many in the batch before; with less, nothing waits.
const (
	gatherFor   = 10 * time.Millisecond
	gatherAfter = 32
)

// maxSpare is how long a queue may be to be used again for the next batch.
const maxSpare = 4096

// book holds the delivery states of one app.
type book struct {
	ledger *Ledger
	app    herald.AppKey

	queueMu  sync.Mutex // guards what is on its way to the log
	queue    []record.Event
	single   singles
	waiters  []chan error
	flushing bool
	hurry    chan struct{} // capacity 1: do not gather any longer

	spare   []piece // room of a run; only who writes uses it
	awaited awaited // has a lock of its own
	lately  lately  // likewise

	folding  sync.Mutex // held by a fold
	applying sync.Mutex // held while a batch is applied: a fold takes whole ones; taken before mu

	mu      sync.RWMutex // guards what follows, and what is in cells
	direct  numbers
	purged  uint64   // stretches of direct below this one are gone for ever
	groups  []*group // in the order of their releases
	live    int      // how many of groups have not ended
	wide    []*group // those of several cells that have not ended, in the same order
	small   postings // those of one cell that have not ended
	aliased []*group // those of wide that were sent by alias
	planned []*group // those of wide that are released in steps
	// Those of one cell that were sent by alias are here, and not in small.
	aliasedSmall postings
	byID         map[herald.MessageID]*group
	notices      []*record.Message // withdrawn, in the order of their notices
	volatile     map[herald.MessageID]*group
	recent       queue              // of volatile, oldest first
	kept         int64              // bytes that the cells of volatile take
	tail         []record.Batch     // durable and not folded yet
	unfolded     int                // events in the tail
	dirty        map[cellKey]*entry // cells that have changed since the last fold, pinned
	released     herald.Pos         // releases up to here are tracked
	loading      bool               // the log of an earlier run is being read
	// Changed with folding held, too; the lists are never changed.
	bundles    map[sets.Slab][]*bundle
	lastBundle uint64 // the highest number of one
}

func (b *book) enqueue(events []record.Event, done chan error) {
	b.queueMu.Lock()
	defer b.queueMu.Unlock()
	b.queue = append(b.queue, events...)
	if done != nil {
		b.waiters = append(b.waiters, done)
	}
	b.queued()
}

// queued has what was queued written. b.queueMu is held.
func (b *book) queued() {
	if len(b.queue)+b.single.events() > maxQueue {
		b.shed()
	}
	if !b.flushing {
		b.flushing = true
		b.ledger.wg.Go(b.flush)
	}
	if len(b.waiters) > 0 || len(b.queue) > maxSpare {
		select {
		case b.hurry <- struct{}{}:
		default:
		}
	}
}

// isSettled reports whether nothing waits to be written, or is being written.
func (b *book) isSettled() bool {
	b.queueMu.Lock()
	defer b.queueMu.Unlock()
	return !b.flushing && len(b.queue) == 0 && b.single.events() == 0
}

// shed drops the reports of devices from a queue that the store does not take:
// their messages will be sent again. Ends, and what somebody waits for, stay.
// b.queueMu is held.
func (b *book) shed() {
	if len(b.waiters) > 0 && len(b.queue) < 4*maxQueue {
		return // somebody waits for them, which bounds how many there are
	}
	for _, w := range b.waiters {
		w <- herald.Errorf(herald.CodeStorageUnavailable, "Repeat the call.", "too many receipts wait for the store")
	}
	b.waiters = nil
	before := len(b.queue) + b.single.devices
	b.single.take() // they are of devices
	b.queue = slices.DeleteFunc(b.queue, func(e record.Event) bool { return !ends(e.State) })
	b.ledger.log.Error("receipt: the store does not take events; reports of devices are dropped, and their messages will be sent again",
		"app", b.app, "dropped", before-len(b.queue))
}

// gather waits for more reports, unless somebody waits for them.
func (b *book) gather() {
	t := time.NewTimer(gatherFor)
	defer t.Stop()
	select {
	case <-t.C:
	case <-b.hurry:
	}
}

// flush writes batches until the queue is empty. What is reported while one
// batch is being written makes the next, so that the batches grow with the
// load and an idle app has no goroutine.
func (b *book) flush() {
	var spare []record.Event // of the batch before, empty
	many := false            // in the batch before
	for {
		if many {
			b.gather()
		}
		b.queueMu.Lock()
		events, waiters := b.queue, b.waiters
		many = b.single.devices >= gatherAfter
		single := b.single.take()
		b.queue, b.waiters = spare, nil
		if len(events) == 0 && len(waiters) == 0 {
			b.flushing, b.queue, b.spare = false, nil, nil
			b.queueMu.Unlock()
			return
		}
		b.queueMu.Unlock()
		setsOf(single, events)
		err := b.write(merge(events))
		spare = nil
		if cap(events) <= maxSpare {
			clear(events)
			spare = events[:0]
		}
		for _, w := range waiters {
			w <- err
		}
	}
}

// merge joins events of the same kind, so that ten thousand acknowledgements of
// one message become one event with a set. The first time stands for all.
func merge(events []record.Event) []record.Event {
	if len(events) < 2 {
		return events
	}
	at := make(chains, len(events))
	before := make([]int32, 0, len(events))
	out := events[:0]
	var own []bool // whose set is this function's to change
	for _, e := range events {
		i := at.find(e.Msg, before, func(i int) bool {
			o := &out[i]
			return o.State == e.State && o.Via == e.Via && o.Detail == e.Detail
		})
		if i < 0 {
			before = at.add(e.Msg, before)
			out, own = append(out, e), append(own, false)
			continue
		}
		if !own[i] {
			out[i].Set, own[i] = out[i].Set.Clone(), true
		}
		out[i].Set.Or(e.Set)
	}
	return out
}

// chains finds what a list has of a message: the place of the last, plus one.
// Before each the list has the one before it of the same message, likewise. There
// are few of each, and a number is looked up in a fraction of the time that a key
// with several texts takes.
type chains map[herald.MessageID]int32

// find gives the place of the last of a message that fits; -1 if none does.
func (c chains) find(id herald.MessageID, before []int32, fits func(int) bool) int {
	for i := c[id]; i > 0; i = before[i-1] {
		if fits(int(i - 1)) {
			return int(i - 1)
		}
	}
	return -1
}

// add notes that the next in the list is of a message.
func (c chains) add(id herald.MessageID, before []int32) []int32 {
	before = append(before, c[id])
	c[id] = int32(len(before))
	return before
}
