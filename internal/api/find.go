package api

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Check does all that Send does before a message is accepted, and accepts
// nothing. It tells how many devices the message would be for.
func (s *Messages) Check(ctx context.Context, p Principal, r SendRequest) (Estimate, error) {
	if err := s.maySend(p, &r); err != nil {
		return Estimate{}, err
	}
	w, err := s.evaluate(ctx, p.App, &r, nil)
	if err != nil {
		return Estimate{}, err
	}
	return Estimate{Devices: w.target, Unknown: w.answer.Unknown}, nil
}

// States tells where a message stands on some devices, at most
// herald.MaxIDsPerCall: "" for those that it is not for. Devices that the app
// does not have are left out.
func (s *Messages) States(ctx context.Context, p Principal, id herald.MessageID, ids []herald.RegistrationID) (map[herald.RegistrationID]herald.DeliveryState, error) {
	for _, scope := range []Scope{ScopeRead, ScopeDevicesRead} {
		if err := p.may(scope); err != nil {
			return nil, err
		}
	}
	found, err := s.c.Registry.Ordinals(ctx, p.App, validIDs(ids))
	if err != nil {
		return nil, err
	}
	m, err := s.find(ctx, p.App, id)
	if err != nil {
		return nil, err
	}
	out := make(map[herald.RegistrationID]herald.DeliveryState, len(found))
	for id, o := range found {
		out[id] = ""
		if m.State == herald.MessageScheduled || m.Target < 0 {
			continue // nobody knows yet who it is for
		}
		if out[id], err = s.c.Ledger.State(ctx, m, o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// validIDs gives those of some registration IDs that could be one.
func validIDs(ids []herald.RegistrationID) []herald.RegistrationID {
	out := make([]herald.RegistrationID, 0, len(ids))
	for _, id := range ids {
		if id.Valid() {
			out = append(out, id)
		}
	}
	return out
}

// Find shows some devices, at most herald.MaxIDsPerCall. Those that the app does
// not have are left out.
func (s *Devices) Find(ctx context.Context, p Principal, ids []herald.RegistrationID) (map[herald.RegistrationID]DeviceView, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return nil, err
	}
	if len(ids) > herald.MaxIDsPerCall {
		return nil, herald.Invalid("registration_ids", "Make several calls.", "more than %d registration IDs", herald.MaxIDsPerCall)
	}
	found, err := s.c.Registry.Ordinals(ctx, p.App, validIDs(ids))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	ords := make([]herald.Ordinal, 0, len(found))
	for _, o := range found {
		ords = append(ords, o)
	}
	slices.Sort(ords)
	ords = slices.Compact(ords)
	list, err := s.c.Registry.Devices(ctx, p.App, record.DeviceFilter{Within: ords}, 0, len(ords))
	if err != nil {
		return nil, err
	}
	out := make(map[herald.RegistrationID]DeviceView, len(list))
	for _, d := range list {
		if out[d.ID], err = s.view(d); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// DeleteTagOn takes a tag off the devices of some platforms.
func (s *Devices) DeleteTagOn(ctx context.Context, p Principal, t herald.Tag, platforms ...herald.Platform) error {
	if err := p.may(ScopeDevicesWrite); err != nil {
		return err
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return err
	}
	some := sets.New()
	app.Index.View(func(v sets.View) {
		has := v.Set(record.TagSet(t))
		for _, q := range platforms {
			some.Or(sets.Intersect(has, v.Set(record.PlatformSet(q))))
		}
	})
	if some.Empty() {
		return tagNotFound(t)
	}
	return s.c.Registry.ChangeTag(ctx, p.App, t, sets.New(), some)
}
