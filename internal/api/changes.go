package api

import (
	"context"
	"errors"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// That a device is removed, or has another alias, is durable before what follows
// from it is done: its sessions are told, and what waits for it ends. If the
// record fails between the two, or does not say whether the change was made, that
// is done later, as it is at a start after a crash; and it does not depend on a
// caller who is still there.

// maxRemovals is how many removals of an app may have been under way when one
// was interrupted: as many as one commit takes.
const maxRemovals = 512

// unfinished passes on the error of what follows from a change.
func (s *Devices) unfinished(app herald.AppKey, err error) error {
	if err != nil && s.c.Unfinished != nil {
		s.c.Unfinished(app)
	}
	return err
}

// unsure passes on the error of a change, which may have been made all the same.
func (s *Devices) unsure(app herald.AppKey, err error) error {
	if herald.CodeOf(err) == herald.CodeStorageUnavailable {
		return s.unfinished(app, err)
	}
	return err
}

// rebound tells the sessions of devices that their aliases have changed, and ends
// what waits for them by those that they have lost.
func (s *Devices) rebound(ctx context.Context, app herald.AppKey, ords *sets.Set, pos herald.Pos) error {
	faults.Point("bound")
	for o := range ords.All() {
		s.c.Presence.Rebind(app, o, pos)
	}
	return s.unfinished(app, s.c.Backlog.Rebound(context.WithoutCancel(ctx), app, ords, pos))
}

// retired closes the sessions of a device that was removed, and ends what waits
// for it.
func (s *Devices) retired(ctx context.Context, d record.Device) error {
	faults.Point("removed")
	s.away(d.App, d.Ord)
	err := s.c.Backlog.Gone(context.WithoutCancel(ctx), offline.Device{App: d.App, Ord: d.Ord, ID: d.ID}, d.BoundPos)
	return s.unfinished(d.App, err)
}

func (s *Devices) away(app herald.AppKey, o herald.Ordinal) {
	s.c.Presence.Disconnect(app, o, live.Reason{Code: live.CloseBadToken, Text: "the device was removed"})
}

// FinishChanges does once more what follows from the last removals and changes of
// aliases of an app, and finishes its erasures. It may be called again. A commit
// has to come before it, which finds out what became of those that had no answer.
func (s *Devices) FinishChanges(ctx context.Context, app herald.AppKey) error {
	return errors.Join(s.c.Registry.Sure(ctx, app), s.FinishRemovals(ctx, app), s.FinishRebindings(ctx, app), s.FinishErasures(ctx, app))
}

// FinishRemovals does so for removals: nobody removes a device twice.
func (s *Devices) FinishRemovals(ctx context.Context, app herald.AppKey) error {
	a, err := s.c.Registry.App(app)
	if err != nil {
		return err
	}
	list := a.RemovedSince(0)
	for _, r := range list[max(0, len(list)-maxRemovals):] {
		s.away(app, r.Ord)
		if err := s.c.Backlog.Gone(ctx, offline.Device{App: app, Ord: r.Ord}, r.Pos); err != nil {
			return err
		}
	}
	return nil
}

// FinishRebindings does so for aliases.
func (s *Devices) FinishRebindings(ctx context.Context, app herald.AppKey) error {
	online := s.c.Presence.Online(app)
	return s.c.Backlog.FinishRebindings(ctx, app, func(ords *sets.Set, pos herald.Pos) {
		for o := range sets.Intersect(ords, online).All() {
			s.c.Presence.Rebind(app, o, pos)
		}
	})
}
