package dispatch

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// LiveStore takes messages that their routes have kept from connections to them.
type LiveStore interface {
	// StepsBefore tells what is left of the steps of a route that stand before one
	// and are due when it is: those that are to be planned, and whether there is
	// somebody for whom a vendor was not asked once.
	StepsBefore(ctx context.Context, s record.RouteStep) (planning []int, asking bool, err error)
	// PutOffStep gives a leased step back until a time. One that is not held any
	// more answers conflict.
	PutOffStep(ctx context.Context, s record.RouteStep, until time.Time) error
	// LastRelease is the highest position of the log that has a release; 0 if none
	// has. The head of the log may be beyond it: what changes sets has positions too.
	LastRelease(ctx context.Context, app herald.AppKey) (herald.Pos, error)
	// PlanSteps lists the releases that the plan of a message has made.
	PlanSteps(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]record.PlanStep, error)
	// GoLive takes releases of a held message to connections, each at a place in
	// the log of its own, but for those that are there. A step that is not held any
	// more answers conflict.
	GoLive(ctx context.Context, s record.RouteStep, m *record.Message, list []record.LiveRelease) error
}

const (
	// askAgain is how often live looks whether vendors have answered in the steps
	// before it, where it is for those alone whom they do not reach, and mostAsked
	// how many times. It is no point in time, so that vendors have theirs also when
	// the server was down.
	askAgain  = time.Second
	mostAsked = 60
)

// heldBack reports whether a message does not go to connections when it is
// released: because its route does not, or later, or only to whom vendors in steps
// before do not reach. Of a route that nobody has named those count that the app
// has a credential for.
func (d *Dispatcher) heldBack(m *record.Message) bool {
	if d.c.Routes.Vendors == nil || m.Facts == nil || m.Facts.Route == nil {
		return false
	}
	route, named := routeOf(m)
	at := route.LiveStep()
	if at < 0 || route.Steps[at].After > 0 {
		return true
	}
	if route.Steps[at].Until() != herald.StateSent {
		return false // nobody can have received it at once
	}
	have := d.c.Routes.Vendors.Credentials(m.App)
	return slices.ContainsFunc(route.Steps[:at], func(s herald.RouteStep) bool { return named || len(usable(have, &s)) > 0 })
}

// atOnceTo is the plan of a message that is held and released to everybody now.
func atOnceTo(m *record.Message, whole *sets.Set) *record.PlanStart {
	n := whole.Len()
	first, last := whole.Bounds()
	return &record.PlanStart{
		Plan: record.Plan{
			App: m.App, Msg: m.ID, Held: true, Whole: true, Made: 1,
			Parts: []record.PlanPart{{Devices: n, Released: n, From: uint64(last) + 1}},
		},
		Sets: []*sets.Set{whole}, Ranges: []record.PlanRange{{First: first, Last: last}},
	}
}

// waits puts a step off that is due with others before it, if it has to know what
// came of them: live that is for whom vendors did not reach, and what comes behind
// a live step that waits.
func (p *planning) waits(ctx context.Context) (bool, error) {
	if !p.m.Held() || p.live < 0 || p.row.Step < p.live || p.row.Step == p.live && p.step.Until() != herald.StateSent {
		return false, nil
	}
	store, now := p.d.c.Routes.Live, p.d.c.Now()
	left, asking, err := store.StepsBefore(ctx, p.row)
	if err != nil {
		return false, err
	}
	wait := slices.Contains(left, p.live)
	if p.row.Step == p.live {
		// A vendor that has been asked in vain is not waited for.
		wait = (len(left) > 0 || asking) && p.row.Fence <= mostAsked // which grows with each lease
	}
	if !wait {
		return false, nil
	}
	return true, store.PutOffStep(ctx, p.row, now.Add(askAgain))
}

// connections takes what was released of a message to connections, as far as it is
// the turn of that, but for those who have come as far as the step says: who has
// received it is nobody that it waits for.
func (p *planning) connections(ctx context.Context) error {
	if !p.m.Held() {
		return nil
	}
	steps, err := p.d.c.Routes.Live.PlanSteps(ctx, p.m.App, p.m.ID)
	if err != nil {
		return err
	}
	var list []record.LiveRelease
	for _, s := range steps {
		if s.Live != 0 || s.At.Add(time.Duration(p.step.After)).After(p.row.Due) {
			continue
		}
		r, err := p.goesLive(ctx, s)
		if err != nil {
			return err
		}
		list = append(list, r)
	}
	if len(list) == 0 {
		return nil
	}
	return p.d.c.Routes.Live.GoLive(ctx, p.row, p.m, list)
}

func (p *planning) goesLive(ctx context.Context, s record.PlanStep) (record.LiveRelease, error) {
	r := record.LiveRelease{Step: s.Pos, Left: sets.New()}
	some, err := p.d.c.Ledger.StepSet(ctx, p.m, s.Ranges)
	if err != nil {
		return r, err
	}
	if p.step.Until() == herald.StateSent {
		err := p.d.c.Ledger.SentIn(ctx, p.m, some, func(part *sets.Set) error {
			r.Left.Or(part)
			return nil
		})
		// Of whom nobody knows any more gets it: at worst once more.
		if err != nil && !errors.Is(err, record.ErrDamaged) {
			return r, err
		}
		r.Left.And(some)
	}
	if p.m.IsDirect() {
		r.Ords = sets.Minus(some, r.Left).Ordinals()
	}
	return r, nil
}

// releaseLive takes a step of a message that was held to who is connected.
func (d *Dispatcher) releaseLive(ctx context.Context, r record.Release) error {
	m := r.Msg
	d.c.Ledger.Track(m)
	d.c.Ledger.TrackLive(m, r.Step, r.Pos)
	d.c.Ledger.Advance(m.App, r.Pos)
	if m.State != herald.MessageSending {
		d.c.Ledger.Ended(m)
		return nil
	}
	d.gone(m)
	if err := d.rebound(ctx, m, r.Pos); err != nil {
		return err
	}
	some, err := d.c.Ledger.StepSet(ctx, m, r.Ranges)
	if err != nil {
		return err
	}
	left, err := d.c.Ledger.LeftOut(ctx, m, some)
	if err != nil {
		return err
	}
	some.AndNot(left)
	return d.goesOut(ctx, m, r.Pos, some)
}
