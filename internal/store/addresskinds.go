package store

import (
	"context"
	"database/sql"
	"slices"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// kinds remembers of which kinds there are valid addresses, which every message
// that may go to a vendor asks for. The zero value is empty.
type kinds struct {
	mu    sync.Mutex // guards what follows
	known map[kindsOf][]record.AddressKind
	// changes counts what may have made an answer untrue that somebody is
	// reading from the record.
	changes uint64
}

type kindsOf struct {
	app   int64
	owner record.Owner
}

// noted is told of addresses of owners of one sort after the commit that
// registered them. lost says that others may have gone.
func (k *kinds) noted(app int64, owner record.Owner, lost bool, list ...record.Address) {
	if len(list) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	of := kindsOf{app, owner}
	k.changes++
	for _, a := range list {
		lost = lost || !slices.Contains(k.known[of], record.AddressKind{Kind: a.Kind, Environment: a.Environment})
	}
	if lost {
		delete(k.known, of)
	}
}

// forget is called after a commit with which addresses may have gone.
func (k *kinds) forget(app int64, owner record.Owner) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	delete(k.known, kindsOf{app, owner})
}

// AddressKinds lists the kinds and environments of which there are valid
// addresses.
func (db *DB) AddressKinds(ctx context.Context, app herald.AppKey, owner record.Owner) ([]record.AddressKind, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	of := kindsOf{a, owner}
	db.kinds.mu.Lock()
	list, known := db.kinds.known[of]
	changes := db.kinds.changes
	db.kinds.mu.Unlock()
	if known {
		return slices.Clone(list), nil
	}
	if list, err = db.readKinds(ctx, a, ownerNumber(owner)); err != nil {
		return nil, err
	}
	db.kinds.mu.Lock()
	defer db.kinds.mu.Unlock()
	if db.kinds.changes == changes {
		if db.kinds.known == nil {
			db.kinds.known = map[kindsOf][]record.AddressKind{}
		}
		db.kinds.known[of] = slices.Clone(list)
	}
	return list, nil
}

// readKinds goes through an index from each kind to the next one: there are a
// few, and may be millions of addresses.
func (db *DB) readKinds(ctx context.Context, app, owner int64) (out []record.AddressKind, err error) {
	next := func(after string, q string, args ...any) (v string, ok bool, err error) {
		err = scan(ctx, &db.readers, q, append(args, after), func(r *sql.Rows) error {
			ok = true
			return wrap(r.Scan(&v))
		})
		return v, ok, err
	}
	const from = " FROM address INDEXED BY address_token WHERE app = ? AND owner = ? AND invalid = 0"
	for kind := ""; ; {
		more := false
		if kind, more, err = next(kind, "SELECT kind"+from+" AND kind > ? ORDER BY kind LIMIT 1", app, owner); err != nil || !more {
			return out, err
		}
		// An environment may be empty, and nothing is below that.
		environment, ok, err := next("", "SELECT environment"+from+" AND kind = ? AND environment >= ? ORDER BY environment LIMIT 1", app, owner, kind)
		for ; ok && err == nil; environment, ok, err = next(environment, "SELECT environment"+from+" AND kind = ? AND environment > ? ORDER BY environment LIMIT 1", app, owner, kind) {
			out = append(out, record.AddressKind{Kind: kind, Environment: environment})
		}
		if err != nil {
			return nil, err
		}
	}
}
