package api

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/record"
)

// when checks what a message says of how it is released over time, and puts it
// into the request.
func (s *Messages) when(app herald.AppKey, r *SendRequest, now time.Time, q *dispatch.Request) error {
	if r.Spread == nil && r.SendAtLocal == "" && r.QuietHours == "" {
		return nil
	}
	m := &q.Message
	if r.Spread != nil {
		if err := r.Spread.Validate(m.TTL); err != nil {
			return err
		}
	}
	if err := s.quiet(app, r, m); err != nil {
		return err
	}
	if err := local(r, now, m); err != nil {
		return err
	}
	if q.Facts == nil {
		q.Facts = &record.Facts{}
	}
	q.Facts.When = &record.When{Spread: r.Spread, Local: r.SendAtLocal, Quiet: r.QuietHours}
	return nil
}

func (s *Messages) quiet(app herald.AppKey, r *SendRequest, m *herald.Message) error {
	switch r.QuietHours {
	case "", herald.QuietIgnore:
		return nil
	case herald.QuietRespect:
	default:
		return herald.Invalid("quiet_hours", "Write respect or ignore.", "%.20q says nothing of quiet hours", r.QuietHours)
	}
	if m.TTL == 0 {
		return herald.Invalid("ttl", "Give a ttl above 0 with quiet_hours.", "a message with TTL 0 cannot wait until quiet hours end")
	}
	a, err := s.c.Registry.App(app)
	if err != nil {
		return err
	}
	if a.Row().Settings.QuietHours == nil {
		return herald.Invalid("quiet_hours", "Set the app's quiet_hours with PATCH /v1/app.", "the app has no quiet hours")
	}
	return nil
}

// local gives a message with a local time its due time: when the last clock of
// the world shows it, from which its TTL counts.
func local(r *SendRequest, now time.Time, m *herald.Message) error {
	if r.SendAtLocal == "" {
		return nil
	}
	at, err := herald.ParseLocal(r.SendAtLocal)
	switch {
	case err != nil:
		return err
	case r.SendAt != nil:
		return herald.Invalid("send_at_local", "Give one of them.", "contradicts send_at")
	case r.Spread != nil:
		return herald.Invalid("send_at_local", "Give one of them; time zones spread the message already.", "contradicts spread")
	case m.TTL == 0:
		return herald.Invalid("ttl", "Give a ttl above 0 with send_at_local.", "a message with TTL 0 cannot wait for its time")
	case at.Sub(now) > herald.MaxSendAhead:
		return herald.Invalid("send_at_local", "Send it later, or keep it in your own schedule.", "is more than a year ahead")
	}
	if m.Due = at.Add(herald.LastZone); !m.Due.After(now) {
		return herald.Invalid("send_at_local", "Give a time that is still to come somewhere, or leave it out to send now.", "has passed in all time zones")
	}
	return nil
}

// waits reports whether a request is for a later time.
func waits(q *dispatch.Request, now time.Time) bool {
	m := record.Message{Message: q.Message, Facts: q.Facts}
	m.Accepted = now
	return !m.Due.IsZero() && m.Waits()
}

// showWhen shows when a message was to be sent.
func showWhen(v *MessageView, m *record.Message) {
	if m.Facts != nil && m.Facts.When != nil {
		w := m.Facts.When
		v.Spread, v.SendAtLocal, v.QuietHours = w.Spread, w.Local, w.Quiet
	}
	if v.SendAtLocal == "" && m.Scheduled() {
		v.SendAt = &m.Due
	}
}

// dueText says in words when a message is due.
func dueText(m *record.Message) string {
	if m.Facts != nil && m.Facts.When != nil && m.Facts.When.Local != "" {
		return m.Facts.When.Local + " by the clock of each device"
	}
	return stamp(m.Due)
}

// showPlan shows how far the release of a message is.
func (s *Messages) showPlan(ctx context.Context, v *MessageView, m *record.Message) error {
	if !m.Planned() {
		return nil
	}
	p, err := s.c.Dispatch.PlanOf(ctx, m.App, m.ID)
	if err != nil || p.Whole {
		return err
	}
	v.Release = &Release{Steps: p.Made, Stopped: p.Stopped}
	v.Release.Devices, v.Release.Released = p.Devices()
	if m.Ended.IsZero() {
		v.Paused = p.Paused
		if !p.Next.IsZero() {
			v.Release.NextAt = &p.Next
		}
	}
	return nil
}

// releasedStep says when a message was released to a device or, if that is
// still to come, what it waits for.
func (s *Messages) releasedStep(ctx context.Context, m *record.Message, o herald.Ordinal) (*TraceStep, string, error) {
	if !m.Planned() {
		return &TraceStep{Time: m.Due, Event: "released", Text: released(m.Target)}, "", nil
	}
	step, ok, err := s.c.Ledger.StepOf(ctx, m, o)
	if err != nil {
		return nil, "", err
	}
	if ok && m.Held() && m.Facts.When == nil {
		return &TraceStep{Time: step.At, Event: "released", Text: released(m.Target)}, "", nil
	}
	if ok {
		return &TraceStep{Time: step.At, Event: "released", Text: fmt.Sprintf("Released to this device in its turn, as one of %d.", m.Target)}, "", nil
	}
	p, err := s.c.Dispatch.PlanOf(ctx, m.App, m.ID)
	if err != nil {
		return nil, "", err
	}
	part, err := s.c.Ledger.PartOf(ctx, m, o)
	if err != nil || part < 0 || part >= len(p.Parts) {
		return nil, "", err
	}
	if p.Paused {
		return nil, "Waits for its release: the sender has paused the message.", nil
	}
	now := s.c.Now()
	switch at := p.ReadyAt(part, now); {
	case at.After(now) && p.Quiet != nil && p.Parts[part].At.IsZero():
		return nil, fmt.Sprintf("Waits for its release at %s: the device is in quiet hours (%s) until then.", stamp(at), p.Quiet), nil
	case at.After(now):
		return nil, "Waits for its release at " + stamp(at) + ", when its clock shows the time that the sender chose.", nil
	case p.Every > 0:
		return nil, "Waits for its release: the message is released to some devices after the other, and has not come to this one.", nil
	}
	return nil, "Waits for its release, which is due.", nil
}

// ChangeRelease pauses, resumes or stops the release of a message on its way.
func (s *Messages) ChangeRelease(ctx context.Context, p Principal, id herald.MessageID, c record.PlanChange) (MessageView, error) {
	if err := p.may(ScopeSend); err != nil {
		return MessageView{}, err
	}
	err := s.c.Dispatch.ChangePlan(ctx, p.App, id, c)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return MessageView{}, messageNotFound(id)
	}
	if err != nil {
		return MessageView{}, err
	}
	m, err := s.find(ctx, p.App, id)
	if err != nil {
		return MessageView{}, err
	}
	return s.view(ctx, m)
}

// hours are the quiet hours of an update; nil for none.
func (q *QuietHoursUpdate) hours() *herald.QuietHours {
	if q.From == "" && q.To == "" {
		return nil
	}
	return &herald.QuietHours{From: q.From, To: q.To}
}

func (u *AppUpdate) validHours() error {
	if u.TimeZone != nil && *u.TimeZone != "" {
		if _, err := time.LoadLocation(*u.TimeZone); err != nil || *u.TimeZone == "Local" {
			return herald.Invalid("time_zone", "Use an IANA name such as Asia/Shanghai.", "%.40q is not a time zone", *u.TimeZone)
		}
	}
	if u.QuietHours == nil {
		return nil
	}
	if q := u.QuietHours.hours(); q != nil {
		return q.Validate()
	}
	return nil
}
