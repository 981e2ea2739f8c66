package api

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Erase removes a device, and with it what the record knows of it: contents of
// messages that were for it alone, its names in audiences, its history, and its
// alias if nobody else bears it. Counts stay as they are. It looks at every
// message of the app, so that only a back end may ask for it.
//
// Contents go before the device does: who is stopped in between calls again.
func (s *Devices) Erase(ctx context.Context, p Principal, id herald.RegistrationID) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	d, err := s.c.Registry.Device(ctx, p.App, id)
	if err != nil {
		return err
	}
	e := record.Erasure{App: p.App, Ord: d.Ord, ID: d.ID}
	if d.Alias != "" {
		bound, err := s.c.Registry.OrdinalsByAlias(ctx, p.App, []herald.Alias{d.Alias})
		if err != nil {
			return err
		}
		if len(bound[d.Alias]) <= 1 {
			e.Alias = d.Alias
		}
	}
	if err := s.erase(ctx, e); err != nil {
		return err
	}
	if err := s.Remove(ctx, p, id); err != nil {
		return err
	}
	// What was reported until now is history when it is folded.
	if err := s.c.Ledger.Settled(ctx, p.App); err != nil {
		return err
	}
	if err := s.c.Ledger.Fold(ctx, true); err != nil {
		return err
	}
	e.Gone = true
	return s.erase(ctx, e)
}

func (s *Devices) erase(ctx context.Context, e record.Erasure) error {
	changed, err := s.c.Messages.Erase(ctx, e)
	for _, id := range changed {
		s.c.Ledger.Catalog().Forget(e.App, id)
	}
	return err
}
