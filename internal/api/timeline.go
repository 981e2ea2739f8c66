package api

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// How far one page of a device's timeline looks: messages at a time, and in all.
const (
	lookedAtOnce = 500
	lookedAt     = 10_000
)

// unknownState marks an item whose state cannot be read.
const unknownState herald.DeliveryState = "?"

// Timeline tells what happened to a device, newest first, as far as the record
// still has it. A device may ask about itself.
func (s *Devices) Timeline(ctx context.Context, p Principal, id herald.RegistrationID, cursor string, limit int) (DeviceTimeline, error) {
	if err := p.mayRead(id); err != nil {
		return DeviceTimeline{}, err
	}
	if p.Backend() {
		if err := p.may(ScopeRead); err != nil {
			return DeviceTimeline{}, err
		}
	}
	limit, err := pageSize(limit)
	if err != nil {
		return DeviceTimeline{}, err
	}
	var before herald.MessageID
	if cursor != "" {
		if before, err = herald.ParseMessageID(cursor); err != nil {
			return DeviceTimeline{}, herald.Invalid("cursor", "Use the next_cursor of the page before.", "is not a cursor")
		}
	}
	d, err := s.c.Registry.Device(ctx, p.App, id)
	if err != nil {
		return DeviceTimeline{}, err
	}
	out := DeviceTimeline{RegistrationID: id, SeenAt: d.Seen, KeptSince: s.c.Now().Add(-herald.TraceRetention).UTC(), Items: []TimelineItem{}}
	messages := &Messages{s.c}
	may := s.c.Ledger.MayTarget(p.App, d.Ord)
	for looked := 0; looked < lookedAt; looked += lookedAtOnce {
		list, last, err := s.c.Messages.MessagesFor(ctx, p.App, d.Ord, before, lookedAtOnce, may)
		if err != nil {
			return out, err
		}
		for _, m := range list {
			item, err := messages.item(ctx, m, d)
			if m.IsDirect() && errors.Is(err, record.ErrDamaged) {
				item = TimelineItem{Time: m.Accepted, Kind: "message", MessageID: m.ID, State: unknownState, Text: "What became of it cannot be told: what is stored of it is damaged."}
				err = nil
			}
			if herald.CodeOf(err) == herald.CodeNotFound {
				continue // purged since
			}
			if err != nil {
				return out, err
			}
			switch item.State {
			case "":
				continue
			case unknownState:
				item.State = ""
			}
			if len(out.Items) == limit {
				out.NextCursor = before.String()
				return out, nil
			}
			before = m.ID
			out.Items = append(out.Items, item)
		}
		if last == 0 && len(out.Items) == limit {
			out.NextCursor = before.String()
			return out, nil
		}
		if before = last; last == 0 {
			// No message is older than its device.
			out.Items = append(out.Items, TimelineItem{Time: d.Created, Kind: "registered", Text: "The device registered."})
			return out, nil
		}
	}
	out.NextCursor = before.String()
	return out, nil
}

// item tells what became of a message on a device; without a state if it is not
// for it.
func (s *Messages) item(ctx context.Context, m *record.Message, d record.Device) (TimelineItem, error) {
	state, err := s.c.Ledger.State(ctx, m, d.Ord)
	if err != nil || state == "" {
		return TimelineItem{}, err
	}
	if !m.Ended.IsZero() {
		// A message ends in one row; its deliveries follow.
		if err := s.c.Dispatch.Settle(ctx, m); err != nil {
			return TimelineItem{}, err
		}
		if state, err = s.c.Ledger.State(ctx, m, d.Ord); err != nil {
			return TimelineItem{}, err
		}
	}
	steps, err := s.history(ctx, m, d.Ord)
	if err != nil {
		return TimelineItem{}, err
	}
	var c herald.Content
	if err := json.Unmarshal(m.Body, &c); err != nil {
		return TimelineItem{}, err
	}
	online := s.c.Presence.Online(d.App).Contains(d.Ord)
	item := TimelineItem{Time: m.Accepted, Kind: "message", MessageID: m.ID, State: state, Text: summary(state, m, online, d.Seen), Steps: steps}
	if c.Notification != nil {
		item.Title = c.Notification.Title
	}
	return item, nil
}
