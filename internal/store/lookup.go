package store

import (
	"context"
	"database/sql"
	"sync"

	"github.com/herald-push/herald"
)

// fewIDs is how many IDs a call looks up at most together with other calls.
const fewIDs = 16

// lookups joins calls that ask for a few IDs each. What comes while a query
// runs is asked in the next one: every message to one device needs such an
// answer, and a query for one ID costs many times what one more ID in a query
// does. There is no delay: what comes alone is asked alone.
type lookups struct {
	db *DB
	wg sync.WaitGroup

	mu      sync.Mutex
	running bool // somebody asks, and will ask for what waits then
	waiting []*lookup
}

type lookup struct {
	app  int64
	ids  []herald.RegistrationID
	done chan struct{}
	// To be read after done is closed: what the query found for this call and
	// others.
	found map[string]herald.Ordinal
	err   error
}

// ordinals finds the ordinals of at most fewIDs IDs.
func (s *lookups) ordinals(ctx context.Context, app int64, ids []herald.RegistrationID) (map[herald.RegistrationID]herald.Ordinal, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := &lookup{app: app, ids: ids, done: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, l)
	first := !s.running
	s.running = true
	s.mu.Unlock()
	if first && s.ask() {
		s.wg.Go(func() {
			for s.ask() {
			}
		})
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.err != nil {
		return nil, l.err
	}
	out := make(map[herald.RegistrationID]herald.Ordinal, len(ids))
	for _, id := range ids {
		if o, ok := l.found[string(id)]; ok {
			out[id] = o
		}
	}
	return out, nil
}

// ask answers calls of one app, as many as one query takes, and reports
// whether others wait. It is for one goroutine at a time.
func (s *lookups) ask() (more bool) {
	s.mu.Lock()
	list := s.waiting
	n, ids := 0, 0
	for n < len(list) && list[n].app == list[0].app && ids+len(list[n].ids) <= inSlice {
		ids += len(list[n].ids)
		n++
	}
	s.waiting = list[n:]
	s.mu.Unlock()

	// No call's end may end the query for the others.
	found, err := s.query(context.Background(), list[:n], ids)
	for _, l := range list[:n] {
		l.found, l.err = found, err
		close(l.done)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = len(s.waiting) > 0
	return s.running
}

// lookupSizes are the lengths of the lists that are asked for; a shorter one
// repeats its last ID, so that few statements need to be prepared.
var lookupSizes = [...]int{1, 8, 64, inSlice}

func (s *lookups) query(ctx context.Context, list []*lookup, n int) (map[string]herald.Ordinal, error) {
	size := inSlice
	for i := len(lookupSizes) - 1; i >= 0 && lookupSizes[i] >= n; i-- {
		size = lookupSizes[i]
	}
	args := make([]any, 1, size+1)
	args[0] = list[0].app
	for _, l := range list {
		for _, id := range l.ids {
			args = append(args, string(id))
		}
	}
	for len(args) <= size {
		args = append(args, args[len(args)-1])
	}
	found := make(map[string]herald.Ordinal, n)
	err := scan(ctx, &s.db.readers, "SELECT id, ord FROM device WHERE app = ? AND id IN ("+in(size)+")", args, func(r *sql.Rows) error {
		var id string
		var o int64
		err := r.Scan(&id, &o)
		found[id] = herald.Ordinal(o)
		return wrap(err)
	})
	return found, err
}
