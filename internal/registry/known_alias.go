package registry

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// knownAliasSize is how many aliases of an app are kept in each of the two
// halves of knownAliases.
const knownAliasSize = 32 << 10

// knownAliases keeps which devices aliases have that were asked for lately. It
// forgets an alias before the index comes to the position at which its devices
// changed: what is in it is true at the position of the index, or later. Of
// aliases without a device nothing is kept.
type knownAliases struct {
	mu sync.RWMutex // guards what follows
	// As in knownDevices.
	newer, older map[herald.Alias][]herald.Ordinal
	changes      uint64 // how often something was forgotten
}

// get gives the devices of an alias, ascending. The list must not be changed.
func (k *knownAliases) get(a herald.Alias) ([]herald.Ordinal, bool) {
	k.mu.RLock()
	list, ok := k.newer[a]
	old := false
	if !ok {
		list, old = k.older[a]
	}
	changes := k.changes
	k.mu.RUnlock()
	if old {
		k.put(map[herald.Alias][]herald.Ordinal{a: list}, changes)
	}
	return list, ok || old
}

// since is to be asked before the record is, for put.
func (k *knownAliases) since() uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.changes
}

// put keeps what the record said, unless something was forgotten meanwhile.
func (k *knownAliases) put(found map[herald.Alias][]herald.Ordinal, since uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changes != since {
		return
	}
	for a, list := range found {
		if k.newer == nil || len(k.newer) >= knownAliasSize {
			k.newer, k.older = map[herald.Alias][]herald.Ordinal{}, k.newer
		}
		// The name may be a part of something large.
		k.newer[herald.Alias(strings.Clone(string(a)))] = list
	}
}

// forget drops aliases whose devices have changed; "" is all of them.
func (k *knownAliases) forget(list []herald.Alias) {
	if len(list) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	for _, a := range list {
		if a == "" {
			k.newer, k.older = nil, nil
			return
		}
		delete(k.newer, a)
		delete(k.older, a)
	}
}

// Named is what is in memory of one device, or of the devices of one alias.
type Named struct {
	Direct []herald.Ordinal // ascending, alive; must not be changed
	Pos    herald.Pos       // at which that is so
}

// NamedByID finds a device without the record; false if that has to be asked.
func (a *App) NamedByID(id herald.RegistrationID) (n Named, ok bool) {
	o, ok := a.known.get(id)
	if !ok {
		return n, false
	}
	a.Index.View(func(v sets.View) { n.Pos, ok = v.Pos(), !v.Has(record.DeadSet, o) })
	n.Direct = []herald.Ordinal{o}
	return n, ok
}

// NamedByAlias finds the devices of an alias without the record; false if that
// has to be asked.
func (a *App) NamedByAlias(alias herald.Alias) (n Named, ok bool) {
	// The index is held while the alias is looked up, so that nothing is
	// forgotten of it that the position knows.
	a.Index.View(func(v sets.View) {
		n.Pos = v.Pos()
		n.Direct, ok = a.bears.get(alias)
		for _, o := range n.Direct {
			ok = ok && !v.Has(record.DeadSet, o)
		}
	})
	return n, ok
}

// ordinalsByAlias asks the record, and keeps what it says.
func (r *Registry) ordinalsByAlias(ctx context.Context, app *App, key herald.AppKey, aliases []herald.Alias) (map[herald.Alias][]herald.Ordinal, error) {
	since := app.bears.since()
	found, err := r.store.OrdinalsByAlias(ctx, key, aliases)
	if err != nil {
		return nil, err
	}
	for _, list := range found {
		slices.Sort(list)
	}
	app.bears.put(found, since)
	return found, nil
}
