package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Report takes receipts: a device's own, or, from a back end, those of any
// device of the app.
func (s *Receipts) Report(ctx context.Context, p Principal, r ReceiptsRequest) (ReceiptsAnswer, error) {
	if p.Kind != Device {
		if err := p.may(ScopeReceipts); err != nil {
			return ReceiptsAnswer{}, err
		}
	}
	if len(r.Receipts) == 0 && r.Cursor == "" {
		return ReceiptsAnswer{}, herald.Invalid("receipts", "Give receipts, or a cursor.", "there is nothing to take")
	}
	if len(r.Receipts) > herald.MaxIDsPerCall {
		return ReceiptsAnswer{}, herald.Invalid("receipts", "Make several calls.", "%d receipts are more than %d", len(r.Receipts), herald.MaxIDsPerCall)
	}
	if err := s.cursor(ctx, p, r.Cursor); err != nil {
		return ReceiptsAnswer{}, err
	}
	ords, err := s.ordinals(ctx, p, r.Receipts)
	if err != nil {
		return ReceiptsAnswer{}, err
	}
	var a ReceiptsAnswer
	var events []record.Event
	for i, receipt := range r.Receipts {
		o, ok := ords[i]
		if ok {
			if ok, err = s.sentTo(ctx, p.App, receipt.ID, o); err != nil {
				return ReceiptsAnswer{}, err
			}
		}
		if !ok {
			a.Unknown++
			continue
		}
		a.Accepted++
		state := receipt.Event
		if state == herald.StateWithdrawn {
			state = record.ToldState
		}
		events = append(events, record.Event{Msg: receipt.ID, State: state, Set: sets.New(o), Time: s.c.Now(), Via: "receipt"})
	}
	return a, s.c.Ledger.Apply(ctx, p.App, events...)
}

func (s *Receipts) cursor(ctx context.Context, p Principal, cursor string) error {
	if cursor == "" {
		return nil
	}
	if p.Kind != Device {
		return herald.Invalid("cursor", "Leave it out.", "only a device has a cursor")
	}
	if pos, ok := s.c.Registry.ParseCursor(p.App, cursor); ok {
		return s.c.Backlog.Resume(ctx, offline.Device{App: p.App, Ord: p.Ord, ID: p.Device}, pos, s.c.Presence.Offered(p.App, p.Ord))
	}
	return nil // a foreign cursor costs duplicates, no error
}

// ordinals finds whose each receipt is, by its index; unknown devices are
// absent.
func (s *Receipts) ordinals(ctx context.Context, p Principal, list []Receipt) (map[int]herald.Ordinal, error) {
	var ids []herald.RegistrationID
	for i, r := range list {
		at := fmt.Sprintf("receipts[%d]", i)
		switch r.Event {
		case herald.StateReceived, herald.StateDisplayed, herald.StateClicked, herald.StateWithdrawn:
		default:
			return nil, herald.Invalid(at+".event", "Report received, displayed, clicked or withdrawn.", "%.20q cannot be reported", string(r.Event))
		}
		if p.Kind == Device {
			if r.RegistrationID != "" && r.RegistrationID != p.Device {
				return nil, herald.Errorf(herald.CodeForbidden, "Leave registration_id out.", "a device may report only its own receipts")
			}
		} else if !r.RegistrationID.Valid() {
			return nil, herald.Invalid(at+".registration_id", "Say whose receipt it is.", "is not a registration ID")
		}
		ids = append(ids, r.RegistrationID)
	}
	out := make(map[int]herald.Ordinal, len(list))
	if p.Kind == Device {
		for i := range list {
			out[i] = p.Ord
		}
		return out, nil
	}
	found, err := s.c.Registry.Ordinals(ctx, p.App, ids)
	for i, id := range ids {
		if o, ok := found[id]; ok {
			out[i] = o
		}
	}
	return out, err
}

// sentTo reports whether a message is for a device and, if it is released in
// steps, has come to it.
func (s *Receipts) sentTo(ctx context.Context, app herald.AppKey, id herald.MessageID, o herald.Ordinal) (bool, error) {
	m, ok := s.c.Ledger.Volatile(app, id)
	if !ok {
		var err error
		m, err = s.c.Ledger.Catalog().Message(ctx, app, id)
		if herald.CodeOf(err) == herald.CodeNotFound {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	state, err := s.c.Ledger.State(ctx, m, o)
	if m.IsDirect() && errors.Is(err, record.ErrDamaged) {
		return true, nil // its devices are known, and what they report heals it
	}
	if err != nil || state == "" || !m.Planned() {
		return state != "", err
	}
	_, released, err := s.c.Ledger.StepOf(ctx, m, o)
	return released, err
}
