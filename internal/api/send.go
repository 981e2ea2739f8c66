package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/record"
)

const forNobody = "the audience is empty now"

// ForNobody reports whether an error is about a message that is for nobody and
// requires a target. Those of a group are kept as text, so it goes by that.
func ForNobody(err error) bool {
	var e *herald.Error
	return errors.As(err, &e) && e.Code == herald.CodeInvalidRequest && e.Field == "audience" && e.Message == forNobody
}

// Decode reads the body of a send request, strictly. Its errors are
// *herald.Error with the member at fault.
func (s *Messages) Decode(body []byte) (SendRequest, error) {
	var m BatchMessage
	err := decode(body, &m, false)
	return m.SendRequest, err
}

// Send accepts a message. With an idempotency key (1 to 128 bytes; "" for
// none) the same body gets the same answer for 24 hours, and another body is
// an idempotency_conflict. body is the request as it came.
func (s *Messages) Send(ctx context.Context, p Principal, r SendRequest, key string, body []byte) (SendAnswer, error) {
	if err := s.maySend(p, &r); err != nil {
		return SendAnswer{}, err
	}
	return s.accept(withSender(ctx, p), p, r, s.idempotency(key, body))
}

// accept accepts a message of somebody who may send it.
func (s *Messages) accept(ctx context.Context, p Principal, r SendRequest, i *record.Idempotency) (SendAnswer, error) {
	w, err := s.evaluate(ctx, p.App, &r, i)
	if err != nil {
		return s.refused(ctx, p.App, w, err)
	}
	m, prior, err := s.c.Dispatch.Accept(ctx, w.q)
	if err != nil {
		return s.refused(ctx, p.App, w, err)
	}
	if prior != nil {
		return firstAnswer(prior)
	}
	w.answer.ID = m.ID
	return w.answer, nil
}

// IsPrompt reports whether Send would not have to wait for anything: nothing is
// stored, and whom the message is for is in memory.
func (s *Messages) IsPrompt(p Principal, r *SendRequest, key string) bool {
	if key != "" || r.TTL == nil || *r.TTL != 0 || r.Template != nil || r.Replaces != 0 {
		return false
	}
	_, known := s.c.Audience.Known(p.App, &r.Audience)
	return known
}

// sending is a message on its way to dispatch, and what its sender is told.
type sending struct {
	q      dispatch.Request
	answer SendAnswer
	target int64 // answer points to it
}

// idempotency is the row of a key; nil for none.
func (s *Messages) idempotency(key string, body []byte) *record.Idempotency {
	if key == "" {
		return nil
	}
	hash := sha256.Sum256(body)
	return &record.Idempotency{Key: key, Hash: hash[:], Until: s.c.Now().Add(herald.IdempotencyTTL)}
}

// evaluate checks a message and turns whom it is for into a target. What it
// gives has the idempotency row also after an error.
func (s *Messages) evaluate(ctx context.Context, app herald.AppKey, r *SendRequest, i *record.Idempotency) (*sending, error) {
	w := &sending{q: dispatch.Request{Idempotency: i}}
	r, facts, err := s.rendered(ctx, app, r)
	if err != nil {
		return w, err
	}
	w.q, err = s.request(app, r, s.c.Now().UTC())
	w.q.Idempotency = i
	if facts != nil {
		factsOf(&w.q).Template = facts.Template
	}
	if err == nil {
		err = s.addFacts(ctx, app, r, &w.q)
	}
	if err != nil {
		return w, err
	}
	t, known := s.c.Audience.Known(app, &r.Audience)
	if !known {
		if t, err = s.c.Audience.Evaluate(ctx, app, r.Audience); err != nil {
			return w, err
		}
	}
	if r.RequireTarget && t.Devices == 0 {
		return w, herald.Invalid("audience", "Check the names, or leave out require_target.", forNobody)
	}
	w.target = t.Devices
	w.answer = SendAnswer{Target: &w.target, Unknown: t.Unknown, Stored: w.q.Message.TTL > 0}
	if waits(&w.q, s.c.Now()) {
		w.answer.Target, w.answer.Estimate = nil, &w.target
		for _, id := range audience.FilesOf(&r.Audience) { // they are needed then
			if err := s.c.Registry.KeepFile(ctx, app, id, w.q.Message.Due); err != nil {
				return w, err
			}
		}
	}
	if err := s.hold(ctx, app, w); err != nil {
		return w, err
	}
	w.q.Target = target(t)
	if i != nil {
		w.q.Answer = func(id herald.MessageID) []byte {
			answer := w.answer
			answer.ID = id
			b, _ := json.Marshal(answer) // of numbers and booleans
			return b
		}
	}
	return w, nil
}

// refused answers a message that was not accepted. What was accepted once stays
// accepted, although the same call would be refused now (an empty audience, a
// limit).
func (s *Messages) refused(ctx context.Context, app herald.AppKey, w *sending, err error) (SendAnswer, error) {
	if w.q.Idempotency != nil {
		if prior, e := s.c.Dispatch.Answered(ctx, app, *w.q.Idempotency); e == nil && prior != nil {
			return firstAnswer(prior)
		}
	}
	return SendAnswer{}, err
}

func firstAnswer(b []byte) (a SendAnswer, err error) {
	if err = json.Unmarshal(b, &a); err != nil {
		err = fmt.Errorf("api: reading an idempotent answer: %w", err)
	}
	return a, err
}

// maySend checks the right to send: a page may send to itself and nobody else.
func (s *Messages) maySend(p Principal, r *SendRequest) error {
	if p.Kind != Page {
		return p.may(ScopeSend)
	}
	a := r.Audience
	if r.Replaces != 0 {
		return herald.Errorf(herald.CodeForbidden, "Send it from a back end.", "a page may not replace a message, which may be for others")
	}
	if r.Route != nil || r.Debug || r.Digest != nil {
		return herald.Errorf(herald.CodeForbidden, "Send it from a back end.", "a page may not choose a route, or see what vendors are told")
	}
	if p.Device == "" {
		return herald.Errorf(herald.CodeForbidden, "Register the page first with POST /v1/devices.", "this page is no device yet")
	}
	self := herald.Audience{RegistrationIDs: []herald.RegistrationID{p.Device}}
	got, err1 := json.Marshal(a)
	want, err2 := json.Marshal(self)
	if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
		return herald.Errorf(herald.CodeForbidden, fmt.Sprintf("Send with the audience %s, or from a back end.", want), "a page may send only to itself")
	}
	return nil
}

// request checks a send request and turns it into one for dispatch.
func (s *Messages) request(app herald.AppKey, r *SendRequest, now time.Time) (q dispatch.Request, err error) {
	if err := r.Audience.Validate(); err != nil {
		return q, err
	}
	if err := validContent(r); err != nil {
		return q, err
	}
	content := herald.Content{Notification: r.Notification, Data: r.Data, PlatformData: r.PlatformData}
	body, plain, err := contentJSON(&content)
	if err != nil {
		return q, herald.Invalid("data", "Send any JSON value.", "is not JSON")
	}
	if len(body) > herald.MaxMessageBytes {
		e := herald.Errorf(herald.CodeTooLarge, "Send an address from which the app fetches the rest.", "notification and data have %d bytes as JSON, more than %d", len(body), herald.MaxMessageBytes)
		return q, e
	}
	m := herald.Message{
		App: app, Content: content, Audience: r.Audience, Priority: r.Priority,
		CollapseKey: r.CollapseKey, OrderingKey: r.OrderingKey, TTL: herald.DefaultTTL,
	}
	if m.Priority == "" {
		m.Priority = herald.PriorityNormal
	}
	for _, name := range [...]struct{ field, key string }{{"collapse_key", r.CollapseKey}, {"ordering_key", r.OrderingKey}} {
		if name.key != "" {
			if err := herald.ValidName(name.field, name.key); err != nil {
				return q, err
			}
		}
	}
	if r.TTL != nil {
		if *r.TTL < 0 || *r.TTL > int64(herald.MaxTTL/time.Second) {
			return q, herald.Invalid("ttl", "Give seconds from 0 to 2592000 (30 days).", "%d is out of range", *r.TTL)
		}
		m.TTL = time.Duration(*r.TTL) * time.Second
	}
	if r.SendAt != nil && r.SendAt.After(now) {
		if r.SendAt.Sub(now) > herald.MaxSendAhead {
			return q, herald.Invalid("send_at", "Send it later, or keep it in your own schedule.", "is more than a year ahead")
		}
		if m.TTL == 0 {
			return q, herald.Invalid("ttl", "Give a ttl above 0 with send_at.", "a message with TTL 0 cannot wait for its time")
		}
		m.Due = r.SendAt.UTC()
	}
	switch m.Priority {
	case herald.PriorityLow, herald.PriorityNormal, herald.PriorityHigh:
	default:
		return q, herald.Invalid("priority", "Write low, normal or high.", "%.20q is not a priority", string(m.Priority))
	}
	if err := validWay(r, m.TTL); err != nil {
		return q, err
	}
	q = dispatch.Request{Message: m, Body: body, Plain: plain}
	if len(r.Vendors) > 0 {
		q.Facts = &record.Facts{Vendors: r.Vendors}
	}
	return q, s.when(app, r, now, &q)
}

func validContent(r *SendRequest) error {
	if r.Notification == nil && (len(r.Data) == 0 || string(r.Data) == "null") && len(r.PlatformData) == 0 {
		return herald.Invalid("notification", "Give a notification, or data, or both.", "the message says nothing")
	}
	for p := range r.PlatformData {
		if !p.Valid() {
			return herald.Invalid("platform_data."+string(p), "Use the name of a platform, such as ios or android.", "%.40q is not a platform", string(p))
		}
	}
	if err := r.Vendors.Validate("vendors"); err != nil {
		return err
	}
	if r.Notification == nil {
		return nil
	}
	return validWhole("notification", r.Notification)
}

// validWhole checks a notification with what differs on platforms and in
// languages; field is the member that it is.
func validWhole(field string, n *herald.Notification) error {
	if err := validNotification(field, n, true); err != nil {
		return err
	}
	for p, over := range n.Platforms {
		at := fmt.Sprintf("%s.platforms.%s", field, p)
		if !p.Valid() {
			return herald.Invalid(at, "Use the name of a platform, such as ios or android.", "%.40q is not a platform", string(p))
		}
		if err := validOverride(at, &over); err != nil {
			return err
		}
	}
	return validLanguages(field+".languages", n.Languages)
}

func validOverride(at string, over *herald.Notification) error {
	if over.Platforms != nil {
		return herald.Invalid(at+".platforms", "Remove it.", "overrides cannot be nested")
	}
	if over.Languages != nil {
		return herald.Invalid(at+".languages", "Remove it.", "overrides cannot be nested")
	}
	return validNotification(at, over, false)
}

func validNotification(at string, n *herald.Notification, whole bool) error {
	if whole && n.Empty() {
		return herald.Invalid(at, "Give it at least a title or a body.", "the notification says nothing")
	}
	for _, x := range [...]struct{ field, address string }{{"image", n.Image}, {"click", n.Click}} {
		if x.address == "" {
			continue
		}
		if err := validAddress(at+"."+x.field, x.address, x.field == "image"); err != nil {
			return err
		}
	}
	if n.Badge != nil && *n.Badge < 0 {
		return herald.Invalid(at+".badge", "Give 0 or more.", "%d is negative", *n.Badge)
	}
	if len(n.Actions) > 5 {
		return herald.Invalid(at+".actions", "Give at most 5.", "%d actions are too many", len(n.Actions))
	}
	for i, a := range n.Actions {
		field := fmt.Sprintf("%s.actions[%d]", at, i)
		if a.ID == "" || a.Title == "" || len(a.ID) > 64 || utf8.RuneCountInString(a.Title) > 128 {
			return herald.Invalid(field, "Give an id (1 to 64 bytes) and a title (1 to 128 characters).", "the action is not complete")
		}
		if err := validAddress(field+".click", a.Click, false); err != nil {
			return err
		}
	}
	return nil
}

// validAddress checks an address. A picture is fetched by the device, so it
// must be on the web; a click may be a deep link into the app, but never a
// script.
func validAddress(field, address string, web bool) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || !u.IsAbs() {
		return herald.Invalid(field, "Give a whole address, such as https://www.example.com/a.", "%.60q is not an absolute address", address)
	}
	switch u.Scheme {
	case "https", "http":
		if u.Host == "" {
			return herald.Invalid(field, "Give a whole address, such as https://www.example.com/a.", "%.60q names no host", address)
		}
		return nil
	case "javascript", "data", "vbscript", "file":
		return herald.Invalid(field, "Use https, or the app's own scheme.", "addresses with %s: are not allowed", u.Scheme)
	}
	if web {
		return herald.Invalid(field, "Use https.", "a picture cannot have the scheme %.20q", u.Scheme)
	}
	return nil
}
