package dispatch

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// RouteStore keeps steps of routes that fall due, and what they have vendors be
// asked for.
type RouteStore interface {
	// NextRouteStep is when the earliest step may be leased; zero if there is none.
	NextRouteStep(ctx context.Context) (time.Time, error)
	// LeaseRouteSteps takes up to limit steps that are due for a time, raising
	// their fences.
	LeaseRouteSteps(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]record.RouteStep, error)
	// PlanStep writes errands of a step and, if it is done, deletes it; else its
	// lease is longer. A step that is not held any more answers conflict.
	PlanStep(ctx context.Context, s record.RouteStep, list []record.Errand, done bool) error
	// SkipStep keeps that devices of a slab are left out of a step, and why.
	SkipStep(ctx context.Context, s record.RouteStep, vendor herald.Vendor, slab sets.Slab, code string, devices *sets.Set) error
	// Tried gives who of a slab has had an attempt in a step, or is to have one.
	Tried(ctx context.Context, app herald.AppKey, id herald.MessageID, step int, owner record.Owner, slab sets.Slab) (*sets.Set, error)
}

// AddressBook knows where vendors reach devices and people.
type AddressBook interface {
	// AddressKinds gives the kinds and environments of which there are valid
	// addresses.
	AddressKinds(ctx context.Context, app herald.AppKey, owner record.Owner) ([]record.AddressKind, error)
	// AddressesIn lists valid addresses of a kind and environment by ordinal, from
	// one to another, both included.
	AddressesIn(ctx context.Context, app herald.AppKey, owner record.Owner, kind, environment string, from, to herald.Ordinal, limit int) ([]record.Address, error)
	// RecipientsIn gives the recipients of the devices from one ordinal to another,
	// of those that have one, by the ordinal of the device.
	RecipientsIn(ctx context.Context, app herald.AppKey, from, to herald.Ordinal) (map[herald.Ordinal]herald.Ordinal, error)
	// Recipients finds the recipients of aliases.
	Recipients(ctx context.Context, app herald.AppKey, aliases []herald.Alias) (map[herald.Alias]record.Recipient, error)
}

// Vendors knows what an app has of vendors.
type Vendors interface {
	// Credentials gives those of an app, from memory.
	Credentials(app herald.AppKey) []record.Credential
}

// RouteConfig is what routes are made of. With its zero value there is only the
// live channel.
type RouteConfig struct {
	Store     RouteStore
	Live      LiveStore
	Addresses AddressBook
	Vendors   Vendors
	// OnErrands is called when errands may have come.
	OnErrands func()
	// Recall stops the errands of a message that was withdrawn.
	Recall Recaller
}

// routeOf is the route of a message, and whether its sender has named one. What
// its app has by default was looked up when it was accepted; see record.Facts.
func routeOf(m *record.Message) (r herald.Route, named bool) {
	if m.Facts != nil && m.Facts.Route != nil {
		return *m.Facts.Route, m.Facts.RouteName != herald.DefaultRouteName
	}
	return herald.DefaultRoute(), false
}

// atRelease gives a message the steps of its route, if it is released now, and not
// by the steps of a plan.
func (d *Dispatcher) atRelease(m *record.Message) {
	if m.Plan == nil || m.Plan.Whole {
		m.Later = d.later(m)
	}
}

// later gives the steps of a message's route that come after its release: what
// is not live, and live for a message that is held. Of a route that nobody has
// named those are left out that the app has no credential for, so that a message
// costs nothing more where there is no vendor.
func (d *Dispatcher) later(m *record.Message) (out []record.StepAfter) {
	if d.c.Routes.Vendors == nil || m.TTL == 0 {
		return nil
	}
	var have []record.Credential
	route, named := routeOf(m)
	if !named {
		if have = d.c.Routes.Vendors.Credentials(m.App); len(have) == 0 && !m.Held() {
			return nil
		}
	}
	live := -1
	if m.Held() {
		live = route.LiveStep()
	}
	for i := range route.Steps {
		s := &route.Steps[i]
		if i == live || s.Channel != herald.ChannelLive && (named || len(usable(have, s)) > 0) {
			out = append(out, record.StepAfter{Step: i, After: time.Duration(s.After)})
		}
	}
	return out
}

// usable are the credentials that a step may use, in their order. A chat room is
// a credential: without a name in the step any of them is.
func usable(list []record.Credential, s *herald.RouteStep) (out []record.Credential) {
	for _, c := range list {
		if !s.Takes(c.Vendor) {
			continue
		}
		if c.Name == s.Credential || s.Credential == "" && s.Channel == herald.ChannelChat {
			out = append(out, c)
		}
	}
	return out
}

const (
	routeLease = time.Minute
	routePage  = 256 // steps are leased at once
)

// keepRoutes makes errands of steps that fall due, until the dispatcher is closed.
func (d *Dispatcher) keepRoutes() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	defer d.turns.wait()
	for {
		d.report("planning steps of routes", d.planDue(d.ctx))
		select {
		case <-d.ctx.Done():
			return
		case <-d.routes:
		case <-ticker.C:
		}
	}
}

// routed wakes who plans, if a message has steps at once.
func (d *Dispatcher) routed(m *record.Message) {
	if len(m.Later) > 0 {
		select {
		case d.routes <- struct{}{}:
		default:
		}
	}
}

// planDue has the steps planned that are due. It does not wait for that.
func (d *Dispatcher) planDue(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		now := d.c.Now()
		next, err := d.c.Routes.Store.NextRouteStep(ctx)
		if err != nil || next.IsZero() || next.After(now) {
			return err
		}
		list, err := d.c.Routes.Store.LeaseRouteSteps(ctx, now, routeLease, routePage)
		if err != nil {
			return err
		}
		for _, steps := range byMessage(list) {
			d.turns.add(steps, func(s record.RouteStep) {
				err := d.planStep(ctx, s)
				if herald.CodeOf(err) != herald.CodeConflict { // else somebody else has it
					d.report("planning a step of the route of message "+s.Msg.String(), err)
				}
			})
		}
		more = len(list) == routePage
	}
	return nil
}

// byMessage gives steps of one message together, in their order: one may ask what
// came of those before it.
func byMessage(list []record.RouteStep) [][]record.RouteStep {
	slices.SortStableFunc(list, func(a, b record.RouteStep) int { return cmp.Or(cmp.Compare(a.Msg, b.Msg), cmp.Compare(a.Step, b.Step)) })
	var out [][]record.RouteStep
	for i, s := range list {
		if i == 0 || s.Msg != list[i-1].Msg {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], s)
	}
	return out
}

// planStep makes errands of a step. What was planned before is not planned again,
// so that it can be done again from the start after any end.
func (d *Dispatcher) planStep(ctx context.Context, s record.RouteStep) error {
	done := func() error { return d.c.Routes.Store.PlanStep(ctx, s, nil, true) }
	m, err := d.c.Store.Message(ctx, s.App, s.Msg)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return done()
	}
	if err != nil {
		return err
	}
	if m.Held() && m.Facts.Route == nil {
		return done() // what it said was erased, and its route with it
	}
	route, named := routeOf(m)
	if !m.Ended.IsZero() || s.Step >= len(route.Steps) || !d.c.Now().Before(m.Expires()) {
		return done()
	}
	if err := d.handedOver(ctx, m); err != nil {
		return err
	}
	if m.Held() {
		d.gone(m) // which the backlog does for what waits for connections
	}
	p := planning{d: d, m: m, row: s, step: &route.Steps[s.Step], live: route.LiveStep(), have: d.c.Routes.Vendors.Credentials(s.App)}
	if wait, err := p.waits(ctx); err != nil || wait {
		return err
	}
	if err := d.renewed(ctx, s, func() error { return p.plan(ctx, named) }); err != nil {
		return err
	}
	faults.Point("planned_route")
	if err := done(); err != nil {
		return err
	}
	if p.made && d.c.Routes.OnErrands != nil {
		d.c.Routes.OnErrands()
	}
	return nil
}

// plan does it.
func (p *planning) plan(ctx context.Context, named bool) (err error) {
	switch {
	case p.step.Channel == herald.ChannelLive:
		return p.connections(ctx)
	case p.step.Channel.PerRecipient():
		err = p.people(ctx)
	default:
		err = p.devices(ctx)
	}
	if err == nil && named && !p.made && !p.before {
		err = p.nobody(ctx)
	}
	return err
}

// handedOver waits until a message has gone to whoever is connected, as far as it
// is released: until then nobody can say who was not.
func (d *Dispatcher) handedOver(ctx context.Context, m *record.Message) error {
	f := d.follower(m.App)
	if f == nil {
		return herald.Errorf(herald.CodeInternal, "Nothing; it is tried again.", "the log of app %s is not followed yet", m.App)
	}
	upto := m.Pos
	if m.Planned() {
		var err error
		if upto, err = d.c.Routes.Live.LastRelease(ctx, m.App); err != nil {
			return err
		}
	}
	if err := f.reach(ctx, upto); err != nil {
		return err
	}
	// What was written to connections is counted a moment later.
	return d.c.Ledger.Settled(ctx, m.App)
}
