package api

import (
	"context"
	"errors"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// Eraser forgets devices.
type Eraser interface {
	// Erase forgets what the record knows of a device, and gives the messages
	// that it has changed. It may be repeated. When the device is gone, it also
	// ends the erasure.
	Erase(ctx context.Context, e record.Erasure) ([]herald.MessageID, error)
	// BeginErasure notes durably that a device is to be erased.
	BeginErasure(ctx context.Context, e record.Erasure) error
	// Erasures lists the erasures of an app that have begun and not ended.
	Erasures(ctx context.Context, app herald.AppKey) ([]record.Erasure, error)
}

// Frames are encoded messages that are kept in memory; a Presence may keep some.
type Frames interface {
	// Forget drops what is kept of some messages.
	Forget(ids ...herald.MessageID)
}

// Erase removes a device, and with it what the record knows of it: contents of
// messages that were for it alone, its names in audiences, its history, and its
// alias if nobody else bears it. Counts stay as they are. It looks at every
// message of the app, so that only a back end may ask for it.
//
// That it has begun is durable before anything goes: when it is interrupted,
// calling again finishes it, and the server does so by itself, at the latest at
// the next start.
func (s *Devices) Erase(ctx context.Context, p Principal, id herald.RegistrationID) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	return s.unsure(p.App, s.eraseDevice(context.WithoutCancel(ctx), p.App, id))
}

func (s *Devices) eraseDevice(ctx context.Context, app herald.AppKey, id herald.RegistrationID) error {
	begun, err := s.begun(ctx, app, id)
	if err != nil {
		return err
	}
	d, err := s.c.Registry.Device(ctx, app, id)
	if herald.CodeOf(err) == herald.CodeNotFound && begun != nil {
		return s.finishErasure(ctx, *begun)
	}
	if err != nil {
		return err
	}
	e := record.Erasure{App: app, Ord: d.Ord, ID: d.ID}
	if d.Alias != "" {
		bound, err := s.c.Registry.OrdinalsByAlias(ctx, app, []herald.Alias{d.Alias})
		if err != nil {
			return err
		}
		if len(bound[d.Alias]) <= 1 {
			e.Alias = d.Alias
		}
	}
	if err := s.c.Messages.BeginErasure(ctx, e); err != nil {
		return err
	}
	if err := s.erase(ctx, e); err != nil {
		return err
	}
	if _, err := s.c.Registry.Remove(ctx, app, id); err != nil && herald.CodeOf(err) != herald.CodeNotFound {
		return err // not_found: an erasure that was interrupted is finished meanwhile
	}
	return s.finishErasure(ctx, e)
}

// begun finds an erasure that has begun; nil if there is none.
func (s *Devices) begun(ctx context.Context, app herald.AppKey, id herald.RegistrationID) (*record.Erasure, error) {
	list, err := s.c.Messages.Erasures(ctx, app)
	for _, e := range list {
		if e.ID == id {
			return &e, err
		}
	}
	return nil, err
}

// finishErasure erases what is left when the device has been removed.
func (s *Devices) finishErasure(ctx context.Context, e record.Erasure) error {
	app, err := s.c.Registry.App(e.App)
	if err != nil {
		return err
	}
	s.away(e.App, e.Ord)
	removed := app.RemovedSince(0)
	if i := slices.IndexFunc(removed, func(r registry.Removal) bool { return r.Ord == e.Ord }); i >= 0 {
		if err := s.c.Backlog.Gone(ctx, offline.Device{App: e.App, Ord: e.Ord, ID: e.ID}, removed[i].Pos); err != nil {
			return err
		}
	}
	// What was reported until now is history when it is folded.
	if err := s.c.Ledger.Settled(ctx, e.App); err != nil {
		return err
	}
	if err := s.c.Ledger.Fold(ctx, true); err != nil {
		return err
	}
	e.Gone = true
	return s.erase(ctx, e)
}

// FinishErasures finishes the erasures of an app that were interrupted.
func (s *Devices) FinishErasures(ctx context.Context, app herald.AppKey) error {
	list, err := s.c.Messages.Erasures(ctx, app)
	errs := []error{err}
	for _, e := range list {
		err := s.eraseDevice(ctx, app, e.ID)
		if herald.CodeOf(err) != herald.CodeNotFound { // a call has finished it meanwhile
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (s *Devices) erase(ctx context.Context, e record.Erasure) error {
	changed, err := s.c.Messages.Erase(ctx, e)
	if s.c.Retained != nil {
		s.c.Retained.Forget(e.App)
	}
	for _, id := range changed {
		s.c.Ledger.Catalog().Forget(e.App, id)
	}
	if f, ok := s.c.Presence.(Frames); ok && len(changed) > 0 {
		f.Forget(changed...)
	}
	return err
}
