package store

import (
	"context"
	"database/sql"
	"time"
)

// longestLease is longer than any lease of what falls due.
const longestLease = 10 * time.Minute

// endLeases gives back jobs and steps of routes that an earlier run has leased: who
// opens the record is the only one that writes to it, so nobody does them any more,
// and what was due at a crash need not wait for the end of a lease. A fence keeps
// out whoever is still about to.
func (db *DB) endLeases(ctx context.Context) error {
	now := db.cfg.Now()
	for _, table := range []string{"job", "route_step"} {
		var ids []int64
		// One whose time has been put off is among them, and is looked at early.
		err := scan(ctx, &db.readers, "SELECT id FROM "+table+" WHERE at > ? AND at <= ? AND at > due AND fence > 0", []any{millis(now), millis(now.Add(longestLease))},
			func(r *sql.Rows) error {
				var id int64
				err := r.Scan(&id)
				ids = append(ids, id)
				return wrap(err)
			})
		if err != nil {
			return err
		}
		for len(ids) > 0 {
			some := ids[:min(len(ids), endedAtOnce)]
			ids = ids[len(some):]
			if err := db.write(ctx, func(t *tx) error {
				for _, id := range some {
					if _, err := t.exec("UPDATE "+table+" SET at = due, fence = fence + 1 WHERE id = ?", id); err != nil {
						return err
					}
				}
				return nil
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// endedAtOnce is how many leases are given back in one commit.
const endedAtOnce = 256
