package dispatch

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// planning is one step of the route of one message, on its way to errands.
type planning struct {
	d    *Dispatcher
	m    *record.Message
	row  record.RouteStep
	step *herald.RouteStep
	live int                 // the step of the route that is live; -1: none
	have []record.Credential // of the app
	made bool                // there are errands
	// before tells that the step was planned for somebody before.
	before bool
}

// way is a kind of address and the lane by which it is reached.
type way struct {
	record.AddressKind
	lane record.Lane
}

// addressPage is how many addresses are read at once.
const addressPage = 4096

// devices plans a step that acts once for a device.
func (p *planning) devices(ctx context.Context) error {
	kinds, err := p.d.c.Routes.Addresses.AddressKinds(ctx, p.m.App, record.OwnerDevice)
	if err != nil {
		return err
	}
	var ways []way
	for _, k := range kinds {
		v := herald.Vendor(k.Kind)
		if !p.step.Takes(v) {
			continue
		}
		lane := record.Lane{App: p.m.App, Vendor: v, Env: k.Environment, Credential: p.step.Credential}
		// Addresses without a credential are no way, unless the sender asks for it:
		// then it has to be seen that there is none.
		if p.has(lane) || p.step.Vendor != "" {
			ways = append(ways, way{k, lane})
		}
	}
	if len(ways) == 0 {
		return nil
	}
	slices.SortStableFunc(ways, func(a, b way) int { return preference(a.lane.Vendor) - preference(b.lane.Vendor) })
	// Who is connected at the moment is left to the connection that it goes to
	// before, where all that is wanted is that it goes out.
	var here *sets.Set
	if p.step.Until() == herald.StateSent && p.step.After == 0 && p.live >= 0 && p.live < p.row.Step {
		here = p.d.here(p.m.App)
	}
	return p.d.c.Ledger.ShortOf(ctx, p.m, p.step.Until(), nil, func(open *sets.Set) error {
		if here != nil {
			open.AndNot(here)
		}
		for slab, some := range open.Slabs() {
			if err := p.errands(ctx, record.OwnerDevice, slab, some, ways); err != nil {
				return err
			}
		}
		return nil
	})
}

// nobody has it be seen that a step which the sender has asked for reaches
// nobody: the app has no credential for it, or no one has an address.
func (p *planning) nobody(ctx context.Context) error {
	code := "no_address"
	if len(usable(p.have, p.step)) == 0 {
		code = "no_credential"
	}
	return p.d.c.Ledger.ShortOf(ctx, p.m, p.step.Until(), nil, func(open *sets.Set) error {
		for slab, some := range open.Slabs() {
			tried, err := p.d.c.Routes.Store.Tried(ctx, p.m.App, p.m.ID, p.row.Step, record.OwnerDevice, slab)
			if err != nil {
				return err
			}
			left := sets.Minus(some, tried)
			if left.Empty() {
				continue
			}
			if err := p.d.c.Routes.Store.SkipStep(ctx, p.row, p.step.Vendor, slab, code, left); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *planning) has(l record.Lane) bool {
	return slices.ContainsFunc(p.have, func(c record.Credential) bool {
		return c.Vendor == l.Vendor && c.Name == l.Credential && (c.Environment == "" || c.Environment == l.Env)
	})
}

// preference orders vendors of a device that has addresses of several: the maker
// of the device comes before who has to get through to it from elsewhere.
func preference(v herald.Vendor) int {
	switch v {
	case herald.VendorFCM:
		return 1
	case herald.VendorWebPush:
		return 2
	}
	return 0
}

// errands makes errands for those of a slab who have not been tried in this
// step: each goes the first way that there is.
func (p *planning) errands(ctx context.Context, owner record.Owner, slab sets.Slab, some *sets.Set, ways []way) error {
	tried, err := p.d.c.Routes.Store.Tried(ctx, p.m.App, p.m.ID, p.row.Step, owner, slab)
	if err != nil {
		return err
	}
	left := sets.Minus(some, tried)
	p.before = p.before || left.Len() < some.Len()
	var list []record.Errand
	for _, w := range ways {
		if left.Empty() {
			break
		}
		found, err := p.addressed(ctx, owner, w.AddressKind, left)
		if err != nil {
			return err
		}
		if found.Empty() {
			continue
		}
		left.AndNot(found)
		list = append(list, record.Errand{Lane: w.lane, Msg: p.m.ID, Step: p.row.Step, Owner: owner, Kind: w.Kind, Slab: slab, At: p.d.c.Now(), Left: found})
	}
	if len(list) == 0 {
		return nil
	}
	p.made = true
	return p.d.c.Routes.Store.PlanStep(ctx, p.row, list, false)
}

// addressed gives those of a set within a slab who have an address of a kind.
func (p *planning) addressed(ctx context.Context, owner record.Owner, k record.AddressKind, some *sets.Set) (*sets.Set, error) {
	found := sets.New()
	ords := some.Ordinals()
	for from, to := ords[0], ords[len(ords)-1]; ; {
		list, err := p.d.c.Routes.Addresses.AddressesIn(ctx, p.m.App, owner, k.Kind, k.Environment, from, to, addressPage)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if some.Contains(list[i].Ord) {
				found.Add(list[i].Ord)
			}
		}
		if len(list) < addressPage || list[len(list)-1].Ord == to {
			return found, nil
		}
		from = list[len(list)-1].Ord + 1
	}
}
