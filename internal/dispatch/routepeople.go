package dispatch

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// kindOf is the kind of address that recipients are reached by on a channel; ""
// where none is needed.
var kindOf = map[herald.Channel]string{
	herald.ChannelSMS: record.KindPhone, herald.ChannelEmail: record.KindEmail, herald.ChannelChat: record.KindChat,
}

// people plans a step that acts once for a person, however many devices there
// are, or once for all (a webhook, a room).
func (p *planning) people(ctx context.Context) error {
	usable := usable(p.have, p.step)
	if len(usable) == 0 {
		if p.step.Vendor == "" {
			return nil
		}
		// It has to be seen that there is no credential.
		usable = []record.Credential{{Vendor: p.step.Vendor, Name: p.step.Credential}}
	}
	first := usable[0]
	kind := kindOf[p.step.Channel]
	if kind == "" {
		return p.room(ctx, first)
	}
	kinds, err := p.d.c.Routes.Addresses.AddressKinds(ctx, p.m.App, record.OwnerRecipient)
	if err != nil {
		return err
	}
	var ways []way
	for _, k := range kinds {
		if k.Kind != kind {
			continue
		}
		lane := record.Lane{App: p.m.App, Vendor: first.Vendor, Env: "", Credential: first.Name}
		if kind == record.KindChat { // whose environment is the room
			for _, c := range usable {
				if c.Name == k.Environment {
					ways = append(ways, way{k, record.Lane{App: p.m.App, Vendor: c.Vendor, Credential: c.Name}})
				}
			}
			continue
		}
		ways = append(ways, way{k, lane})
	}
	if len(ways) > 0 {
		open, err := p.open(ctx)
		if err != nil {
			return err
		}
		for slab, some := range open.Slabs() {
			if err := p.errands(ctx, record.OwnerRecipient, slab, some, ways); err != nil {
				return err
			}
		}
	}
	reached := p.made || p.before
	if kind == record.KindChat && !reached && (p.step.Credential != "" || len(usable) == 1) {
		return p.room(ctx, first)
	}
	return nil
}

// room makes the one errand of a step that is for all at once.
func (p *planning) room(ctx context.Context, c record.Credential) error {
	tried, err := p.d.c.Routes.Store.Tried(ctx, p.m.App, p.m.ID, p.row.Step, record.OwnerApp, 0)
	if err != nil || !tried.Empty() {
		p.before = true
		return err
	}
	p.made = true
	lane := record.Lane{App: p.m.App, Vendor: c.Vendor, Env: c.Environment, Credential: c.Name}
	return p.d.c.Routes.Store.PlanStep(ctx, p.row, []record.Errand{{Lane: lane, Msg: p.m.ID, Step: p.row.Step, Owner: record.OwnerApp, At: p.d.c.Now(), Left: sets.New(0)}}, false)
}

// open gives the recipients that a message has not come to: of whose devices
// none has it as far as the step wants, and those that the audience names by
// alias and that have no device.
func (p *planning) open(ctx context.Context) (*sets.Set, error) {
	open := sets.New()
	all := sets.New()
	if err := p.d.c.Ledger.ShortOf(ctx, p.m, p.step.Until(), nil, func(s *sets.Set) error {
		all.Or(s)
		return p.owners(ctx, s, open)
	}); err != nil {
		return nil, err
	}
	if len(p.m.Audience.Aliases) > 0 {
		found, err := p.d.c.Routes.Addresses.Recipients(ctx, p.m.App, p.m.Audience.Aliases)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			open.Add(herald.Ordinal(r.Ord))
		}
	}
	// Who has it on one device is not told again by another way.
	target, err := p.d.c.Ledger.Target(ctx, p.m)
	if err != nil {
		return nil, err
	}
	target.AndNot(all)
	has := sets.New()
	if err := p.owners(ctx, target, has); err != nil {
		return nil, err
	}
	p.before = p.before || !has.Empty() // nothing is missing where one device has it
	open.AndNot(has)
	return open, nil
}

// owners adds the recipients of devices to a set.
func (p *planning) owners(ctx context.Context, devices, to *sets.Set) error {
	for _, some := range devices.Slabs() {
		ords := some.Ordinals()
		found, err := p.d.c.Routes.Addresses.RecipientsIn(ctx, p.m.App, ords[0], ords[len(ords)-1])
		if err != nil {
			return err
		}
		for device, recipient := range found {
			if some.Contains(device) {
				to.Add(recipient)
			}
		}
	}
	return nil
}
