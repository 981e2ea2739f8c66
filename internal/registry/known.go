package registry

import (
	"context"
	"strings"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// knownIDs is how many registration IDs of an app are kept in each of the two
// halves of knownDevices: some megabytes at most.
const knownIDs = 32 << 10

// knownDevices keeps which ordinals IDs have that were asked for lately. The
// ordinal of an ID never changes while the device is there; that it is not any
// more is in record.DeadSet before a removal is answered. Of IDs that nobody
// has nothing is kept.
type knownDevices struct {
	mu sync.RWMutex // guards what follows
	// What is found in older only goes over to newer; when that is full older
	// is dropped, and newer takes its place.
	newer, older map[herald.RegistrationID]herald.Ordinal
}

func (k *knownDevices) get(id herald.RegistrationID) (o herald.Ordinal, ok bool) {
	k.mu.RLock()
	o, ok = k.newer[id]
	old := false
	if !ok {
		o, old = k.older[id]
	}
	k.mu.RUnlock()
	if old {
		k.put(id, o)
	}
	return o, ok || old
}

func (k *knownDevices) put(id herald.RegistrationID, o herald.Ordinal) {
	id = herald.RegistrationID(strings.Clone(string(id))) // it may be a part of something large
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.newer == nil || len(k.newer) >= knownIDs {
		k.newer, k.older = map[herald.RegistrationID]herald.Ordinal{}, k.newer
	}
	k.newer[id] = o
}

// ordinals finds devices by registration ID, in memory as far as possible.
func (r *Registry) ordinals(ctx context.Context, app *App, key herald.AppKey, ids []herald.RegistrationID) (map[herald.RegistrationID]herald.Ordinal, error) {
	out := make(map[herald.RegistrationID]herald.Ordinal, len(ids))
	for _, id := range ids {
		if o, ok := app.known.get(id); ok {
			out[id] = o
		}
	}
	if len(out) > 0 {
		app.Index.View(func(v sets.View) {
			for id, o := range out {
				if v.Has(record.DeadSet, o) {
					delete(out, id) // the record says who has the ID now
				}
			}
		})
	}
	if len(out) == len(ids) {
		return out, nil
	}
	var rest []herald.RegistrationID
	for _, id := range ids {
		if _, ok := out[id]; !ok {
			rest = append(rest, id)
		}
	}
	if len(rest) == 0 { // some were given twice
		return out, nil
	}
	found, err := r.store.OrdinalsByID(ctx, key, rest)
	if err != nil {
		return nil, err
	}
	for id, o := range found {
		out[id] = o
		app.known.put(id, o)
	}
	return out, nil
}
