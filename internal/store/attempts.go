package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// AttemptCounts counts what came of the steps of a message, by vendor, outcome
// and code.
func (db *DB) AttemptCounts(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.AttemptCount, error) {
	return db.countAttempts(ctx, app, "msg = ?", int64(id))
}

// DeadLetters counts, by message, step, vendor, outcome and code, who was not
// reached and is not tried again; newest messages first, at most limit rows of
// the record.
func (db *DB) DeadLetters(ctx context.Context, app herald.AppKey, limit int) ([]record.AttemptCount, error) {
	out, err := db.countAttempts(ctx, app, "fate IN (?, ?) ORDER BY at DESC LIMIT ?", string(record.FateFailed), string(record.FateUnknown), limit)
	slices.SortStableFunc(out, func(a, b record.AttemptCount) int { return b.At.Compare(a.At) })
	return out, err
}

func (db *DB) countAttempts(ctx context.Context, app herald.AppKey, where string, args ...any) (out []record.AttemptCount, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	at := map[record.AttemptCount]int{}
	err = scan(ctx, &db.readers, "SELECT msg, step, owner, vendor, fate, code, at, bits, crc FROM attempt_chunk WHERE app = ? AND "+where,
		append([]any{a}, args...), func(r *sql.Rows) error {
			var c record.AttemptCount
			var last, crc int64
			var b []byte
			if err := r.Scan(&c.Msg, &c.Step, &c.Owner, &c.Vendor, &c.Fate, &c.Code, &last, &b, &crc); err != nil {
				return wrap(err)
			}
			s, err := parseSet(b, crc, func() string { return fmt.Sprintf("attempt_chunk of message %d", c.Msg) })
			if err != nil {
				return err
			}
			i, ok := at[c]
			if !ok {
				i = len(out)
				at[c], out = i, append(out, c)
			}
			out[i].Count += s.Len()
			if t := fromMillis(last); t.After(out[i].At) {
				out[i].At = t
			}
			return nil
		})
	return out, err
}

// Attempts lists the attempts of a message that are kept in detail, by step and
// owner, at most limit.
func (db *DB) Attempts(ctx context.Context, app herald.AppKey, id herald.MessageID, limit int) ([]record.Attempt, error) {
	return db.attempts(ctx, app, "msg = ? ORDER BY step, owner, ord, vendor LIMIT ?", int64(id), limit)
}

// AttemptsOf lists what is known of a message with one owner: the attempts that
// are kept in detail, and of others the outcome and the time by which it was.
func (db *DB) AttemptsOf(ctx context.Context, app herald.AppKey, id herald.MessageID, owner record.Owner, ord herald.Ordinal) ([]record.Attempt, error) {
	out, err := db.attempts(ctx, app, "msg = ? AND owner = ? AND ord = ? ORDER BY step, vendor", int64(id), string(owner), int64(ord))
	if err != nil {
		return nil, err
	}
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	err = scan(ctx, &db.readers, "SELECT step, vendor, fate, code, at, bits, crc FROM attempt_chunk WHERE app = ? AND msg = ? AND owner = ? AND slab = ? ORDER BY step, vendor",
		[]any{a, int64(id), string(owner), int64(sets.SlabOf(ord))}, func(r *sql.Rows) error {
			x := record.Attempt{App: app, Msg: id, Owner: owner, Ord: ord}
			var at, crc int64
			var b []byte
			if err := r.Scan(&x.Step, &x.Vendor, &x.Fate, &x.Code, &at, &b, &crc); err != nil {
				return wrap(err)
			}
			s, err := parseSet(b, crc, func() string { return fmt.Sprintf("attempt_chunk of message %d", id) })
			known := func(k record.Attempt) bool { return k.Step == x.Step && k.Vendor == x.Vendor }
			if err != nil || !s.Contains(ord) || slices.ContainsFunc(out, known) {
				return err
			}
			x.At = fromMillis(at)
			out = append(out, x)
			return nil
		})
	return out, err
}

// StepsLeft lists the steps of a message's route that are not finished: those
// that are still to be planned with the time when they fall due, and those of
// which vendors are being asked.
func (db *DB) StepsLeft(ctx context.Context, app herald.AppKey, id herald.MessageID) (out []record.StepLeft, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	// Two queries, the earlier one first: a step that is planned between them is
	// in both, and never in none.
	for _, q := range []string{
		"SELECT step, due FROM route_step WHERE app = ? AND msg = ? ORDER BY step, due",
		"SELECT DISTINCT step, 0 FROM errand WHERE app = ? AND msg = ? ORDER BY step",
	} {
		if err := scan(ctx, &db.readers, q, []any{a, int64(id)}, func(r *sql.Rows) error {
			var s record.StepLeft
			var due int64
			if err := r.Scan(&s.Step, &due); err != nil {
				return wrap(err)
			}
			s.Due = fromMillis(due)
			if !slices.ContainsFunc(out, func(o record.StepLeft) bool { return o.Step == s.Step }) {
				out = append(out, s)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (db *DB) attempts(ctx context.Context, app herald.AppKey, where string, args ...any) (out []record.Attempt, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	err = scan(ctx, &db.readers, "SELECT msg, step, owner, ord, vendor, reference, data, crc FROM attempt WHERE app = ? AND "+where, append([]any{a}, args...), func(r *sql.Rows) error {
		x := record.Attempt{App: app}
		var b []byte
		var crc int64
		if err := r.Scan(&x.Msg, &x.Step, &x.Owner, &x.Ord, &x.Vendor, &x.Reference, &b, &crc); err != nil {
			return wrap(err)
		}
		if err := parseRow(b, crc, &x, func() string { return fmt.Sprintf("attempt of message %d, %s %d", x.Msg, x.Owner, x.Ord) }); err != nil {
			return err
		}
		out = append(out, x)
		return nil
	})
	return out, err
}

// Reported keeps what vendors have said later of messages that they took, and
// gives the attempts that it was about. What is not known is left out; a state
// is never followed by a lower one.
func (db *DB) Reported(ctx context.Context, app herald.AppKey, list []record.VendorReport) ([]record.Attempt, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.Attempt
	for _, r := range list {
		if r.Reference == "" {
			continue
		}
		reference, _, _ := strings.Cut(r.Reference, ",") // see putAttempt
		known, err := db.attempts(ctx, app, "vendor = ? AND reference = ? LIMIT 1", string(r.Vendor), cut(reference, 250))
		if err != nil {
			return out, err
		}
		for i := range known {
			x := &known[i]
			if r.State != "" {
				x.State, x.StateAt, x.Problem = r.State, r.Time, nil
			} else if x.State == "" {
				x.Problem, x.StateAt = r.Problem, r.Time
			}
			data, err := json.Marshal(x)
			if err != nil {
				return out, fmt.Errorf("store: writing an attempt: %w", err)
			}
			if err := db.write(ctx, func(t *tx) error {
				_, err := t.exec("UPDATE attempt SET data = ?, crc = ?"+attemptKey, data, checksum(data),
					a, int64(x.Msg), int64(x.Step), string(x.Owner), int64(x.Ord), string(x.Vendor))
				return err
			}); err != nil {
				return out, err
			}
			out = append(out, *x)
		}
	}
	return out, nil
}

// RetryDead has a step of a message be done again for those who had an outcome
// and a code: they are as if they had not been tried, and the step is due. It
// tells how many they are.
func (db *DB) RetryDead(ctx context.Context, app herald.AppKey, c record.AttemptCount) (n int64, err error) {
	return db.dead(ctx, app, c, func(t *tx, a int64) error {
		return t.putRouteSteps(a, c.Msg, t.db.cfg.Now(), []record.StepAfter{{Step: c.Step}})
	})
}

// DiscardDead has those who had an outcome and a code be no dead letters any
// more. It tells how many they are.
func (db *DB) DiscardDead(ctx context.Context, app herald.AppKey, c record.AttemptCount) (n int64, err error) {
	return db.dead(ctx, app, c, nil)
}

// dead takes the chunks of an outcome away, or with no then, calls them discarded.
func (db *DB) dead(ctx context.Context, app herald.AppKey, c record.AttemptCount, then func(*tx, int64) error) (n int64, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	key := []any{a, int64(c.Msg), int64(c.Step), string(c.Owner), string(c.Vendor), string(c.Fate), c.Code}
	const where = " WHERE app = ? AND msg = ? AND step = ? AND owner = ? AND vendor = ? AND fate = ? AND code = ?"
	type chunk struct {
		slab int64
		set  *sets.Set
	}
	err = db.write(ctx, func(t *tx) error {
		n = 0
		var list []chunk
		if err := scan(ctx, t, "SELECT slab, bits, crc FROM attempt_chunk"+where, key, func(r *sql.Rows) error {
			var k chunk
			var b []byte
			var crc int64
			if err := r.Scan(&k.slab, &b, &crc); err != nil {
				return err
			}
			k.set, err = parseSet(b, crc, func() string { return fmt.Sprintf("attempt_chunk of message %d", c.Msg) })
			if err == nil {
				list, n = append(list, k), n+k.set.Len()
			}
			return err
		}); err != nil || n == 0 {
			return err
		}
		if _, err := t.exec("DELETE FROM attempt_chunk"+where, key...); err != nil {
			return err
		}
		if then != nil {
			return then(t, a)
		}
		for _, k := range list {
			e := &record.Errand{Lane: record.Lane{Vendor: c.Vendor}, Msg: c.Msg, Step: c.Step, Owner: c.Owner, Slab: sets.Slab(k.slab)}
			if err := t.tally(a, e, record.Tally{Fate: record.FateDiscarded, Code: c.Code, Set: k.set}); err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}
