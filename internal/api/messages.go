package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func messageNotFound(id herald.MessageID) error {
	return herald.Errorf(herald.CodeNotFound, "Check the ID; messages are kept for 30 days after their end, their counts for 90, those with TTL 0 for 10 minutes.", "there is no message %s", id)
}

// find gives a message as it is now, stored or volatile.
func (s *Messages) find(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error) {
	if m, ok := s.c.Ledger.Volatile(app, id); ok {
		return m, nil
	}
	m, err := s.c.Messages.Message(ctx, app, id)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil, messageNotFound(id)
	}
	if err != nil {
		return nil, err
	}
	return m, s.c.Dispatch.Settle(ctx, m)
}

// Get shows a message with its counts.
func (s *Messages) Get(ctx context.Context, p Principal, id herald.MessageID) (MessageView, error) {
	if err := p.may(ScopeRead); err != nil {
		return MessageView{}, err
	}
	return s.show(ctx, p.App, id)
}

// show is Get for a caller who may.
func (s *Messages) show(ctx context.Context, app herald.AppKey, id herald.MessageID) (MessageView, error) {
	m, err := s.find(ctx, app, id)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return s.counted(ctx, app, id)
	}
	if err != nil {
		return MessageView{}, err
	}
	v, err := s.view(ctx, m)
	if err == nil {
		v.Segments, err = s.expanded(ctx, m)
	}
	return v, err
}

// counted shows what is left of a message after its retention: its counts,
// without content and audience.
func (s *Messages) counted(ctx context.Context, app herald.AppKey, id herald.MessageID) (MessageView, error) {
	c, err := s.c.Messages.Counted(ctx, app, id)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return MessageView{}, messageNotFound(id)
	}
	if err != nil {
		return MessageView{}, err
	}
	v, err := plainView(&record.Message{Message: c.Message, State: c.State, Ended: c.Ended, Unknown: c.Unknown, Body: []byte("{}")})
	v.Counts = &c.Counts
	return v, err
}

// view shows a message with its counts.
func (s *Messages) view(ctx context.Context, m *record.Message) (MessageView, error) {
	v, err := plainView(m)
	if err != nil || m.Unreleased() || m.Target < 0 {
		return v, err
	}
	c, err := s.c.Ledger.Counts(ctx, m)
	if err != nil {
		return v, err
	}
	v.Counts = &c
	if err := s.showPlan(ctx, &v, m); err != nil {
		return v, err
	}
	if v.State == herald.MessageSending && !c.Open() {
		v.State = herald.MessageDone
	}
	if !v.Stored && v.State == herald.MessageSending {
		v.State = herald.MessageDone // it was now or never
	}
	return v, nil
}

func plainView(m *record.Message) (MessageView, error) {
	v := MessageView{
		ID: m.ID, State: m.State, Audience: m.Audience, TTL: int64(m.TTL / time.Second), Priority: m.Priority,
		CollapseKey: m.CollapseKey, OrderingKey: m.OrderingKey, Stored: m.TTL > 0,
		AcceptedAt: m.Accepted, ExpiresAt: m.Expires(), Unknown: m.Unknown,
	}
	showWhen(&v, m)
	showFacts(&v, m.Facts)
	if m.State == herald.MessageAwaiting {
		v.ExpiresAt = m.Accepted.Add(herald.ApprovalTTL)
	}
	if !m.Ended.IsZero() {
		v.EndedAt = &m.Ended
	}
	var c herald.Content
	if err := json.Unmarshal(m.Body, &c); err != nil {
		return v, err
	}
	v.Notification, v.Data, v.PlatformData = c.Notification, c.Data, c.PlatformData
	if m.Facts != nil {
		v.Vendors = m.Facts.Vendors
	}
	if m.Facts != nil && m.Facts.Schedule != nil {
		v.Schedule = &MessageSchedule{ID: m.Facts.Schedule.ID, Occurrence: m.Facts.Schedule.Occurrence}
	}
	return v, nil
}

// states that a message may be listed by, and by which it is stored then: that
// nothing of it is open any more is counted, not stored.
var listedStates = map[herald.MessageState]herald.MessageState{
	"": "", herald.MessageScheduled: herald.MessageScheduled, herald.MessageSending: herald.MessageSending, herald.MessageDone: herald.MessageSending,
	herald.MessageWithdrawn: herald.MessageWithdrawn, herald.MessageExpired: herald.MessageExpired, herald.MessageReplaced: herald.MessageReplaced,
	herald.MessageAwaiting: herald.MessageAwaiting, herald.MessageRejected: herald.MessageRejected,
}

// List shows messages, newest first, with their counts, on which their state
// depends; state "" means any. A page may be shorter than asked for, and even
// empty, before the last one: what is in another state when it is counted is
// left out, and so is a message that is purged meanwhile.
func (s *Messages) List(ctx context.Context, p Principal, state herald.MessageState, cursor string, limit int) (MessagePage, error) {
	if err := p.may(ScopeRead); err != nil {
		return MessagePage{}, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return MessagePage{}, err
	}
	stored, known := listedStates[state]
	if !known {
		return MessagePage{}, herald.Invalid("state", "Use awaiting_approval, scheduled, sending, done, withdrawn, expired, replaced or rejected.", "%.20q is not a state to list by", string(state))
	}
	f := record.MessageFilter{State: stored, Limit: limit + 1}
	if cursor != "" {
		if f.Before, err = herald.ParseMessageID(cursor); err != nil {
			return MessagePage{}, herald.Invalid("cursor", "Use the next_cursor of the page before.", "is not a cursor")
		}
	}
	list, err := s.c.Messages.Messages(ctx, p.App, f)
	if err != nil {
		return MessagePage{}, err
	}
	page := MessagePage{Messages: []MessageView{}}
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = list[limit-1].ID.String()
	}
	for _, m := range list {
		v, err := s.listed(ctx, m)
		if herald.CodeOf(err) == herald.CodeNotFound {
			continue
		}
		if err != nil {
			return MessagePage{}, err
		}
		if state == "" || v.State == state {
			page.Messages = append(page.Messages, v)
		}
	}
	return page, nil
}

// listed shows a message of a list, which has no targets; counting needs them. A
// message that is damaged, which asking for it alone would say, must not hide the
// others: it is shown as it is stored, without counts.
func (s *Messages) listed(ctx context.Context, row *record.Message) (MessageView, error) {
	m, err := s.find(ctx, row.App, row.ID)
	var v MessageView
	if err == nil {
		v, err = s.view(ctx, m)
	}
	if err == nil || ctx.Err() != nil || herald.CodeOf(err) == herald.CodeNotFound {
		return v, err
	}
	return plainView(row)
}

// Withdraw ends a message: after it returns nobody is sent it any more, and
// those who have it were told to remove it, or will be when they connect. A
// message that has been withdrawn already is answered as it is.
func (s *Messages) Withdraw(ctx context.Context, p Principal, id herald.MessageID) (MessageView, error) {
	if err := p.may(ScopeSend); err != nil {
		return MessageView{}, err
	}
	m, err := s.c.Dispatch.Withdraw(ctx, p.App, id)
	switch herald.CodeOf(err) {
	case "":
	case herald.CodeNotFound:
		return MessageView{}, messageNotFound(id)
	case herald.CodeConflict:
		if m, err = s.ended(ctx, p.App, id, err); err != nil {
			return MessageView{}, err
		}
	default:
		return MessageView{}, err
	}
	return s.view(ctx, m)
}

// ended looks at a message that could not be withdrawn.
func (s *Messages) ended(ctx context.Context, app herald.AppKey, id herald.MessageID, why error) (*record.Message, error) {
	m, err := s.find(ctx, app, id)
	if err != nil {
		return nil, err
	}
	if m.State != herald.MessageWithdrawn {
		if m.TTL == 0 {
			return nil, why
		}
		return nil, herald.Errorf(herald.CodeConflict, "Nothing is sent any more; there is nothing to do.", "the message is %s already", m.State)
	}
	return m, nil
}
