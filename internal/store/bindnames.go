package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// bindNames is what the record has of the names in a list of bindings.
type bindNames struct {
	ids     []string       // each once, ascending
	of      []int          // which of ids each binding of the list names
	devices []foundDevice  // of ids
	aliases []herald.Alias // each once, ascending
	numbers map[herald.Alias]int64
	changes *bindWatch
}

// foundDevice is a device as a reader saw it; ord is -1 if there is none.
type foundDevice struct{ ord, recipient int64 }

// bindNames looks the names of a list up beside the commits. What changes from
// then on is noted until forget.
func (db *DB) bindNames(ctx context.Context, app int64, list []record.Binding) (*bindNames, error) {
	n := newBindNames(list)
	n.changes = db.bindings.watch(app)
	if err := n.read(ctx, &db.readers, app, n.all()); err != nil {
		n.forget()
		return nil, wrap(err)
	}
	return n, nil
}

func (n *bindNames) forget() { n.changes.of.forget(n.changes) }

// now gives the names as they are within a commit, which may be run again.
func (n *bindNames) now(t *tx, app int64) (*bindNames, error) {
	stale := n.changes.among(n)
	if stale == nil {
		return n, nil
	}
	c := *n
	c.devices, c.numbers = slices.Clone(n.devices), maps.Clone(n.numbers)
	return &c, c.read(context.Background(), t, app, stale)
}

func newBindNames(list []record.Binding) *bindNames {
	n := &bindNames{of: make([]int, len(list)), numbers: map[herald.Alias]int64{"": unbound}}
	n.ids, n.aliases = make([]string, len(list)), make([]herald.Alias, 0, len(list))
	for i, b := range list {
		n.ids[i] = string(b.ID)
		for _, name := range [2]herald.Alias{b.Alias, b.From} {
			if name != "" {
				n.aliases = append(n.aliases, name)
			}
		}
	}
	slices.Sort(n.ids)
	slices.Sort(n.aliases)
	n.ids, n.aliases = slices.Compact(n.ids), slices.Compact(n.aliases)
	for i, b := range list {
		n.of[i], _ = slices.BinarySearch(n.ids, string(b.ID))
	}
	n.devices = make([]foundDevice, len(n.ids))
	return n
}

// someNames are those of bindNames that are to be read.
type someNames struct {
	ids     []int
	aliases []herald.Alias
}

func (n *bindNames) all() *someNames {
	s := &someNames{ids: make([]int, len(n.ids)), aliases: n.aliases}
	for i := range s.ids {
		s.ids[i] = i
	}
	return s
}

// read finds devices and recipients. Names go in as JSON arrays; see Resolve.
func (n *bindNames) read(ctx context.Context, from queryer, app int64, some *someNames) error {
	ids := make([]string, len(some.ids))
	for i, k := range some.ids {
		ids[i], n.devices[k] = n.ids[k], foundDevice{ord: -1}
	}
	if len(ids) > 0 {
		if err := each(ctx, from, "SELECT j.key, d.ord, COALESCE(d.recipient, -1) FROM json_each(?) j CROSS JOIN device d ON d.app = ? AND d.id = j.value",
			app, ids, func(scan func(...any) error) error {
				var key int64
				var d foundDevice
				if err := scan(&key, &d.ord, &d.recipient); err != nil {
					return err
				}
				n.devices[some.ids[key]] = d
				return nil
			}); err != nil {
			return err
		}
	}
	if len(some.aliases) == 0 {
		return nil
	}
	for _, alias := range some.aliases {
		delete(n.numbers, alias)
	}
	return each(ctx, from, "SELECT j.key, r.ord FROM json_each(?) j CROSS JOIN recipient r ON r.app = ? AND r.alias = j.value",
		app, some.aliases, func(scan func(...any) error) error {
			var key, number int64
			err := scan(&key, &number)
			n.numbers[some.aliases[key]] = number
			return err
		})
}

// each reads rows about a list of names or numbers of an app: the list is the
// first parameter, the app the second. Its errors are those of the driver, which the writer has to see.
func each(ctx context.Context, from queryer, q string, app int64, names any, row func(scan func(...any) error) error) error {
	list, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("store: reading names: %w", err)
	}
	rows, err := from.QueryContext(ctx, q, string(list), app)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// QueryContext runs a query within the commit, which sees what the group has
// written. The commit does not end with ctx.
func (t *tx) QueryContext(_ context.Context, q string, args ...any) (*sql.Rows, error) {
	s, err := t.stmt(q)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.Background(), args...)
}

// bindings tells those who look names up beside the commits which of them have
// changed since. What was told of and then rolled back is only read again.
type bindings struct {
	mu      sync.Mutex // guards what follows, and the watches
	list    []*bindWatch
	pending []bindChange // of the group that is being written
}

// bindChange is a device that has another alias or is gone, or an alias whose
// recipient was made or is gone, or all names of many bindings.
type bindChange struct {
	app, ord int64 // ord is -1 for an alias
	alias    herald.Alias
	names    *bindNames // or nil
}

// bindWatch is what has changed in an app since somebody began to look.
type bindWatch struct {
	of      *bindings
	app     int64
	devices map[int64]bool
	aliases map[herald.Alias]bool
	names   []*bindNames
}

// watch begins before the names are read. What the group that runs has changed
// is not seen by a reader yet.
func (b *bindings) watch(app int64) *bindWatch {
	w := &bindWatch{of: b, app: app, devices: map[int64]bool{}, aliases: map[herald.Alias]bool{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, w)
	for _, c := range b.pending {
		w.note(c)
	}
	return w
}

func (b *bindings) forget(w *bindWatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = slices.DeleteFunc(b.list, func(x *bindWatch) bool { return x == w })
}

func (w *bindWatch) note(c bindChange) {
	switch {
	case c.app != w.app:
	case c.names != nil:
		w.names = append(w.names, c.names)
	case c.ord < 0:
		w.aliases[c.alias] = true
	default:
		w.devices[c.ord] = true
	}
}

// device is for the writer to say that a device has another alias or is gone.
func (b *bindings) device(app, ord int64) { b.changed(bindChange{app: app, ord: ord}) }

// alias is for the writer to say that a recipient was made or is gone.
func (b *bindings) alias(app int64, alias herald.Alias) {
	b.changed(bindChange{app: app, ord: -1, alias: alias})
}

// names is for the writer to say that devices and aliases of a list have
// changed, without saying which.
func (b *bindings) names(app int64, n *bindNames) { b.changed(bindChange{app: app, names: n}) }

func (b *bindings) changed(c bindChange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = append(b.pending, c)
	for _, w := range b.list {
		w.note(c)
	}
}

// ended is for the writer to say that readers see the group, or that it was
// rolled back.
func (b *bindings) ended() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = b.pending[:0]
}

// among gives the names that have to be read again, or nil. It is for the
// writer, so that nothing changes after it.
func (w *bindWatch) among(n *bindNames) *someNames {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	var s someNames
	if len(w.devices) > 0 {
		for i, d := range n.devices {
			if w.devices[d.ord] {
				s.ids = append(s.ids, i)
			}
		}
	}
	if len(w.aliases) > 0 {
		for _, a := range n.aliases {
			if w.aliases[a] {
				s.aliases = append(s.aliases, a)
			}
		}
	}
	for _, other := range w.names {
		s.ids = append(s.ids, common(n.ids, other.ids)...)
		for _, i := range common(n.aliases, other.aliases) {
			s.aliases = append(s.aliases, n.aliases[i])
		}
	}
	if s.ids == nil && s.aliases == nil {
		return nil
	}
	return &s
}

// common gives the places in one list of what is in both. The lists ascend.
func common[S ~string](list, other []S) (at []int) {
	if len(list) == 0 || len(other) == 0 || list[len(list)-1] < other[0] {
		return nil
	}
	i, _ := slices.BinarySearch(list, other[0])
	for k := 0; i < len(list) && k < len(other); {
		switch c := strings.Compare(string(list[i]), string(other[k])); {
		case c < 0:
			i++
		case c > 0:
			k++
		default:
			at = append(at, i)
			i, k = i+1, k+1
		}
	}
	return at
}
