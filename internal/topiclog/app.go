package topiclog

import (
	"sync"
	"sync/atomic"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// maxExcess is how many subscriptions of removed devices the filters of an app
// may still count before they are read anew.
const maxExcess = 10_000

// app is what is known of an app in memory: its filters, each once. Its sessions
// are in the record only.
type app struct {
	key     herald.AppKey
	pending atomic.Int64 // entries that are not told yet
	known   atomic.Bool  // filters are those of the record

	// Guarded by Log.mu.
	loading bool
	parked  []*item

	mu      sync.RWMutex // guards what follows
	filters *filters
	excess  int
	changed bool // a device was removed while they were read
}

func newApp(key herald.AppKey) *app { return &app{key: key, filters: newFilters()} }

// begin says that the filters are about to be read.
func (a *app) begin() *filters {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = false
	return newFilters()
}

// set takes the filters that were read, unless a device was removed meanwhile.
func (a *app) set(f *filters) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.changed {
		return false
	}
	a.filters, a.excess = f, 0
	a.known.Store(true)
	return true
}

// decide finds out whether an entry is wanted, and chooses a session for each
// shared group of which none has got it yet.
func (a *app) decide(op *record.TopicOp) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := op.Entry
	op.Keep, op.Assigned = a.filters.wants(e.Topic), nil
	a.filters.groups.match(string(e.Topic), func(id uint32, _ []string) bool {
		for _, g := range a.filters.shared[id] {
			if s, ok := g.assign(e); ok {
				op.Assigned = append(op.Assigned, s)
			}
		}
		return true
	})
	op.Keep = op.Keep || len(op.Assigned) > 0
}

// apply notes what an operation has changed.
func (a *app) apply(op *record.TopicOp) {
	if !a.known.Load() || op.Err != nil || op.Moved == nil && op.Open == nil && op.Away.IsZero() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range op.Moved {
		a.filters.move(m)
	}
	switch {
	case op.Open != nil:
		a.filters.connected(op.Client, true)
	case !op.Away.IsZero() && !op.Ended:
		a.filters.connected(op.Client, false)
	}
}

// mayLeave reports whether with an operation a session may leave a shared group.
func (a *app) mayLeave(op *record.TopicOp) bool {
	if op.Change != nil && len(op.Change.Unsubscribe) == 0 {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.filters.clients[op.Client]) > 0
}

// removed notes that a device is gone, and its sessions with it. Their filters
// stay counted: it is not known whether what was read of the record had them
// already, and one that nobody has costs little.
func (a *app) removed(moves []record.TopicMove) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = true
	for _, m := range moves {
		a.filters.leave(m.Filter, m.Client)
	}
	if a.excess += len(moves); a.excess > maxExcess {
		a.known.Store(false)
	}
}
