package store

import (
	"context"
	"fmt"

	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

// Accept makes a message durable, and with it its first release, or the job
// that will release it.
func (db *DB) Accept(ctx context.Context, a record.Acceptance) (record.Accepted, error) {
	w := db.prepare(ctx, &a)
	if !w.over() {
		w.err = db.write(ctx, w.run)
	}
	db.settle(ctx, w)
	a.Idempotency = nil // the message is kept in memory, and with it all that it lies in
	return w.out, w.err
}

// AcceptAll makes messages durable as Accept does, in their order and in one
// commit. Each has an outcome of its own; what was refused does not keep the
// others from being accepted.
func (db *DB) AcceptAll(ctx context.Context, list []*record.Acceptance) []record.Outcome {
	all := make([]*acceptance, len(list))
	var open []*acceptance
	for i, a := range list {
		all[i] = db.prepare(ctx, a)
		if !all[i].over() {
			open = append(open, all[i])
		}
	}
	if len(open) > 0 {
		db.acceptOpen(ctx, open)
	}
	out := make([]record.Outcome, len(list))
	for i, w := range all {
		db.settle(ctx, w)
		out[i] = record.Outcome{Accepted: w.out, Err: w.err}
	}
	return out
}

// acceptOpen writes acceptances in one commit. If the SQL of one of them fails,
// they are written again one by one, so that the bad one fails alone.
func (db *DB) acceptOpen(ctx context.Context, open []*acceptance) {
	err := db.do(ctx, &op{rows: len(open), done: make(chan struct{}), run: func(t *tx) error {
		for _, w := range open {
			before := t.writes
			w.err = w.run(t)
			if w.err != nil && (!logical(w.err) || t.writes != before) {
				return w.err
			}
		}
		return nil
	}})
	switch {
	case err == nil:
	case len(open) == 1, db.shared(err), db.w.failed.err() != nil, ctx.Err() != nil:
		for _, w := range open {
			w.out, w.err = record.Accepted{}, err
		}
	default:
		for _, w := range open {
			w.err = db.write(ctx, w.run)
		}
	}
}

// acceptance is a message on its way into a commit.
type acceptance struct {
	*record.Acceptance
	app      int64
	audience []byte
	target   target
	drafted  bool // chunks are written that have no message yet

	out record.Accepted
	err error
}

// over reports whether the outcome is known without a commit.
func (w *acceptance) over() bool { return w.err != nil || w.out.Prior != nil }

// run is what the commit does. It may be called again.
func (w *acceptance) run(t *tx) (err error) {
	w.out, err = t.accept(w.app, w.Acceptance, w.target, w.audience)
	return err
}

// prepare does what does not need the commit.
func (db *DB) prepare(ctx context.Context, a *record.Acceptance) *acceptance {
	w := &acceptance{Acceptance: a, target: target{form: formNone}}
	if w.app, w.err = db.apps.id(a.App); w.err != nil {
		return w
	}
	audience, err := a.Audience.MarshalJSON() // json.Marshal would read it once more
	if err != nil {
		w.err = fmt.Errorf("store: writing an audience: %w", err)
		return w
	}
	w.audience = audience
	m := &a.Message
	if !a.Volatile && !scheduled(m) {
		if w.target, w.err = newTarget(m, db.cfg.Inline); w.err != nil {
			return w
		}
	}
	if w.target.form != formChunks {
		return w
	}
	// A repetition must not write a megabyte to learn that it is one.
	if w.out.Prior, w.err = db.prior(ctx, w.app, a.Idempotency); w.over() {
		return w
	}
	w.drafted = true
	if w.err = db.draft(ctx, w.app, m, &w.target, w.unused); w.err == nil {
		faults.Point("drafted")
	}
	return w
}

func (w *acceptance) unused(t *tx) error { return t.unused(w.app, w.Message.ID) }

// settle removes what a message that was not accepted has left.
func (db *DB) settle(ctx context.Context, w *acceptance) {
	if w.drafted && w.over() {
		db.dropDraft(ctx, w.app, w.Message.ID, w.unused)
	}
	if w.err != nil {
		w.out = record.Accepted{}
	}
}
