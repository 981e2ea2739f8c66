package courier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// point is a place where the process may be killed: from then on nothing that it
// does has any effect.
func (w *world) point(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pointLocked(ctx)
}

func (w *world) pointLocked(ctx context.Context) error {
	if w.dead != nil {
		select {
		case <-w.dead:
			return errCrash
		default:
		}
		if w.kill > 0 {
			if w.kill--; w.kill == 0 {
				close(w.dead)
				return errCrash
			}
		}
	}
	return ctx.Err()
}

func (w *world) begin(ctx context.Context) error {
	w.mu.Lock()
	if err := w.pointLocked(ctx); err != nil {
		w.mu.Unlock()
		return err
	}
	if err := w.fail; err != nil {
		w.mu.Unlock()
		return err
	}
	return nil
}

func (w *world) ErrandLanes(ctx context.Context, now time.Time) (lanes []record.Lane, next time.Time, err error) {
	if err := w.begin(ctx); err != nil {
		return nil, next, err
	}
	defer w.mu.Unlock()
	for _, e := range w.errands {
		switch {
		case !e.At.After(now):
			if !slices.Contains(lanes, e.Lane) {
				lanes = append(lanes, e.Lane)
			}
		case next.IsZero() || e.At.Before(next):
			next = e.At
		}
	}
	return lanes, next, nil
}

func copyOf(e *record.Errand) record.Errand {
	out := *e
	out.Left = e.Left.Clone()
	if e.Doubt != nil {
		out.Doubt = e.Doubt.Clone()
	}
	return out
}

func (w *world) LeaseErrands(ctx context.Context, lane record.Lane, now time.Time, lease time.Duration, limit int) (out []record.Errand, err error) {
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	var due []*record.Errand
	for _, e := range w.errands {
		if e.Lane == lane && !e.At.After(now) {
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *record.Errand) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return int(a.ID - b.ID)
	})
	for _, e := range due[:min(limit, len(due))] {
		e.Fence++
		e.At = now.Add(lease)
		w.leased[e.ID] = true
		out = append(out, copyOf(e))
	}
	w.peak = max(w.peak, len(w.leased))
	return out, nil
}

func (w *world) SaveErrand(ctx context.Context, s record.ErrandSave) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	defer w.mu.Unlock()
	e := w.errands[s.Errand.ID]
	if e == nil || e.Fence != s.Errand.Fence {
		return herald.Errorf(herald.CodeConflict, "", "the errand is another's")
	}
	w.saves++
	for _, t := range s.Tallies {
		t.Set = t.Set.Clone()
		w.tallies[e.ID] = append(w.tallies[e.ID], t)
	}
	w.attempts = append(w.attempts, s.Attempts...)
	*e = copyOf(s.Errand)
	if !e.At.After(time.Now()) || time.Until(e.At) < w.lease() {
		delete(w.leased, e.ID)
	}
	if e.Left.Empty() {
		delete(w.errands, e.ID)
		delete(w.leased, e.ID)
	}
	return nil
}

func (w *world) lease() time.Duration { return w.limits.withDefaults().Lease }

func (w *world) Reported(ctx context.Context, _ herald.AppKey, reports []record.VendorReport) (out []record.Attempt, err error) {
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	for _, r := range reports {
		for i := range w.attempts {
			if a := &w.attempts[i]; a.Vendor == r.Vendor && a.Reference == r.Reference {
				a.State, a.StateAt, a.Problem = r.State, r.Time, r.Problem
				out = append(out, *a)
			}
		}
	}
	return out, nil
}

func (w *world) Addresses(ctx context.Context, _ herald.AppKey, owner record.Owner, ord herald.Ordinal) (out []record.Address, err error) {
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	for _, a := range slices.Backward(w.addresses) {
		if a.Owner == owner && a.Ord == ord {
			out = append(out, a)
		}
	}
	return out, nil
}

func (w *world) AddressesIn(ctx context.Context, _ herald.AppKey, owner record.Owner, kind, environment string, from, to herald.Ordinal, limit int) (out []record.Address, err error) {
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	for _, a := range w.addresses {
		if a.Owner == owner && a.Kind == kind && a.Environment == environment && a.Ord >= from && a.Ord <= to && a.Invalid.IsZero() && len(out) < limit {
			out = append(out, a)
		}
	}
	return out, nil
}

func (w *world) SetAddress(ctx context.Context, a record.Address) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	defer w.mu.Unlock()
	for i := range w.addresses {
		if o := &w.addresses[i]; o.Owner == a.Owner && o.Ord == a.Ord && o.Kind == a.Kind && o.Invalid.IsZero() {
			o.Invalid, o.Reason = a.Updated, "replaced"
		}
	}
	w.addresses = append(w.addresses, a)
	return nil
}

func (w *world) InvalidateAddress(ctx context.Context, a record.Address, reason string, at, since time.Time) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	defer w.mu.Unlock()
	for i := range w.addresses {
		o := &w.addresses[i]
		if o.Owner == a.Owner && o.Ord == a.Ord && o.Kind == a.Kind && o.Token == a.Token && o.Invalid.IsZero() && (since.IsZero() || !o.Updated.After(since)) {
			o.Invalid, o.Reason = at, reason
		}
	}
	return nil
}

func (w *world) Message(ctx context.Context, _ herald.AppKey, id herald.MessageID) (*record.Message, error) {
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	defer w.mu.Unlock()
	m := w.messages[id]
	if w.damaged {
		return nil, fmt.Errorf("store: %w", record.ErrDamaged)
	}
	if m == nil {
		return nil, herald.Errorf(herald.CodeNotFound, "", "no such message")
	}
	own := *m
	return &own, nil
}

func (w *world) ShortOf(ctx context.Context, m *record.Message, state herald.DeliveryState, among *sets.Set, each func(*sets.Set) error) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	out := among.Clone()
	if state == herald.StateReceived {
		out.AndNot(w.received[m.ID])
	}
	w.mu.Unlock()
	if out.Empty() {
		return nil
	}
	return each(out)
}

func (w *world) Report(_ herald.AppKey, events ...record.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pointLocked(context.Background()) != nil {
		return
	}
	w.events = append(w.events, events...)
}
