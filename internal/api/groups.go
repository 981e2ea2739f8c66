package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// GroupStore keeps what was sent to groups of apps.
type GroupStore interface {
	// BeginGroupMessage writes a message to a group before it is sent. One with
	// the same idempotency key that is not older than since is given in its
	// place, and nothing is written.
	BeginGroupMessage(ctx context.Context, m record.GroupMessage, since time.Time) (prior *record.GroupMessage, err error)
	// EndGroupMessage writes what came of it.
	EndGroupMessage(ctx context.Context, m record.GroupMessage) error
	// GroupMessage finds one; not_found if there is none.
	GroupMessage(ctx context.Context, group herald.GroupKey, id herald.MessageID) (record.GroupMessage, error)
	// GroupMessages lists those before an ID (0 for the newest), newest first.
	GroupMessages(ctx context.Context, group herald.GroupKey, before herald.MessageID, limit int) ([]record.GroupMessage, error)
}

// Groups sends to the apps of a group.
type Groups struct {
	c        Config
	messages *Messages
}

// groupAtOnce is how many apps of a group are sent to at the same time.
const groupAtOnce = 8

// GroupOutcome is what came of a group message in one app: an answer, or an
// error.
type GroupOutcome struct {
	App    herald.AppKey
	Name   string // of the app, now; "" if it is not in the group any more
	Answer SendAnswer
	Err    error
}

// GroupSent is what a sender to a group is told.
type GroupSent struct {
	ID   herald.MessageID
	Apps []GroupOutcome
}

// GroupApp is an app of a group.
type GroupApp struct {
	AppKey  herald.AppKey `json:"app_key"`
	Name    string        `json:"name"`
	Devices int64         `json:"devices"`
}

// GroupView is a group as its caller sees it.
type GroupView struct {
	GroupKey herald.GroupKey `json:"group_key" doc:"Public name of the group."`
	Name     string          `json:"name"`
	Apps     []GroupApp      `json:"apps" doc:"The apps in the group, in the order in which they were added."`
}

// GroupMessageSummary is a group message in a list.
type GroupMessageSummary struct {
	ID        herald.MessageID `json:"id" doc:"ID of the group message."`
	CreatedAt time.Time        `json:"created_at" doc:"When it was sent."`
	Accepted  int64            `json:"accepted" doc:"Apps that took it."`
	Refused   int64            `json:"refused" doc:"Apps that refused it."`
}

// GroupMessagePage is one page of group messages, newest first.
type GroupMessagePage struct {
	Messages   []GroupMessageSummary `json:"messages"`
	NextCursor string                `json:"next_cursor,omitempty"`
}

// GroupMessageApp is a group message in one app.
type GroupMessageApp struct {
	App   herald.AppKey
	ID    herald.MessageID    // of the message there; 0 if it was refused
	State herald.MessageState // "" if nothing is left of it
	// Counts is nil while the message is scheduled, and if nothing is left.
	Counts *herald.Counts
	Err    error // why it was refused
}

// GroupMessage is a group message with what became of it.
type GroupMessage struct {
	GroupMessageSummary
	Counts herald.Counts // of all apps together
	Apps   []GroupMessageApp
}

// mayGroup checks that a group calls, and gives it as it is now.
func (s *Groups) mayGroup(p Principal) (record.AppGroup, error) {
	switch p.Kind {
	case GroupOfApps:
		return s.c.Registry.Group(p.Group)
	case Anonymous:
		return record.AppGroup{}, herald.Errorf(herald.CodeUnauthorized, groupRemedy, "this call needs the credentials of a group")
	}
	return record.AppGroup{}, herald.Errorf(herald.CodeForbidden, groupRemedy, "only a group of apps may do this")
}

const groupRemedy = "Send Authorization: Basic with a group key and its secret; herald group create makes them."

// Group shows the caller's group with its apps.
func (s *Groups) Group(_ context.Context, p Principal) (GroupView, error) {
	g, err := s.mayGroup(p)
	if err != nil {
		return GroupView{}, err
	}
	v := GroupView{GroupKey: g.Key, Name: g.Name, Apps: []GroupApp{}}
	for _, key := range g.Apps {
		app, err := s.c.Registry.App(key)
		if err != nil {
			return GroupView{}, err
		}
		v.Apps = append(v.Apps, GroupApp{AppKey: key, Name: app.Row().Name, Devices: app.Devices()})
	}
	return v, nil
}

// Send sends one message to each app of the caller's group, where it is a
// message of that app like any other. What one app refuses, others may take.
// With an idempotency key a repetition within 24 hours sends to those apps only
// that have not taken it.
func (s *Groups) Send(ctx context.Context, p Principal, r SendRequest, key string, body []byte) (GroupSent, error) {
	g, err := s.mayGroup(p)
	if err != nil {
		return GroupSent{}, err
	}
	if len(g.Apps) == 0 {
		return GroupSent{}, herald.Errorf(herald.CodeConflict, "Add apps with herald group add, on the machine of the server.", "the group has no app")
	}
	now := s.c.Now().UTC()
	// What is wrong for every app is refused as a whole, and nothing is sent.
	q, err := s.messages.request("", r.anyContent(), now)
	if err != nil {
		return GroupSent{}, err
	}
	replaced, err := s.replaced(ctx, g.Key, r.Replaces)
	if err != nil {
		return GroupSent{}, err
	}
	hash := sha256.Sum256(body)
	due := now
	if q.Message.Due.After(due) {
		due = q.Message.Due
	}
	m := record.GroupMessage{Group: g.Key, ID: s.c.Dispatch.NextID(), IdemKey: key, Hash: hash[:], Created: now.Truncate(time.Millisecond),
		Expires: due.Add(q.Message.TTL + herald.CountRetention)}
	prior, err := s.c.Groups.BeginGroupMessage(ctx, m, now.Add(-herald.IdempotencyTTL))
	if err != nil {
		return GroupSent{}, err
	}
	if prior != nil {
		if !bytes.Equal(prior.Hash, m.Hash) {
			return GroupSent{}, herald.Errorf(herald.CodeIdempotencyConflict, "Use a new Idempotency-Key for a new request.", "the Idempotency-Key was used for another request")
		}
		m = *prior
	}
	open := s.open(&m, g)
	if err := s.sendOpen(ctx, &m, open, r, key, replaced); err != nil {
		return GroupSent{}, err
	}
	if len(open) > 0 {
		if err := s.c.Groups.EndGroupMessage(ctx, m); err != nil {
			return GroupSent{}, err
		}
	}
	return s.sent(m), nil
}

// open makes sure that each app of a group has a place among the results, and
// gives the places of those that have not taken the message.
func (s *Groups) open(m *record.GroupMessage, g record.AppGroup) (open []int) {
	for _, app := range g.Apps {
		if !slices.ContainsFunc(m.Results, func(r record.GroupResult) bool { return r.App == app }) {
			m.Results = append(m.Results, record.GroupResult{App: app})
		}
	}
	for i, r := range m.Results {
		if r.Message == 0 && slices.Contains(g.Apps, r.App) {
			open = append(open, i)
		}
	}
	return open
}

// replaced gives the messages of the apps that a group message overrides.
func (s *Groups) replaced(ctx context.Context, group herald.GroupKey, id herald.MessageID) (map[herald.AppKey]herald.MessageID, error) {
	if id == 0 {
		return nil, nil
	}
	old, err := s.c.Groups.GroupMessage(ctx, group, id)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil, herald.Invalid("replaces", "Give the ID of a message of this group.", "there is no group message %s to replace", id)
	}
	if err != nil {
		return nil, err
	}
	out := map[herald.AppKey]herald.MessageID{}
	for _, r := range old.Results {
		out[r.App] = r.Message
	}
	return out, nil
}

// sendOpen sends to the apps at some places, a few at a time.
func (s *Groups) sendOpen(ctx context.Context, m *record.GroupMessage, open []int, r SendRequest, key string, replaced map[herald.AppKey]herald.MessageID) error {
	places := make(chan struct{}, groupAtOnce)
	var wg sync.WaitGroup
	for _, i := range open {
		places <- struct{}{}
		r := r
		r.Replaces = replaced[m.Results[i].App] // an app that refused the older one has nothing to replace
		wg.Go(func() {
			defer func() { <-places }()
			m.Results[i] = s.sendTo(ctx, m, m.Results[i].App, r, key)
		})
	}
	wg.Wait()
	return ctx.Err() // nobody waits for the answer; a repetition goes on
}

// sendTo sends to one app. The idempotency key of a group has a space in it,
// which no sender of the app can write, so that the two never meet.
func (s *Groups) sendTo(ctx context.Context, m *record.GroupMessage, app herald.AppKey, r SendRequest, key string) record.GroupResult {
	var i *record.Idempotency
	if key != "" {
		i = &record.Idempotency{Key: string(m.Group) + " " + m.ID.String(), Hash: m.Hash, Until: s.c.Now().Add(herald.IdempotencyTTL)}
	}
	p := Principal{Kind: GroupOfApps, App: app, Group: m.Group}
	answer, err := s.messages.accept(withSender(ctx, p), p, r, i)
	if err != nil {
		return refusedResult(app, err)
	}
	b, err := json.Marshal(answer)
	if err != nil {
		return refusedResult(app, err)
	}
	return record.GroupResult{App: app, Message: answer.ID, Answer: b}
}

func refusedResult(app herald.AppKey, err error) record.GroupResult {
	var e *herald.Error
	if !errors.As(err, &e) {
		e = herald.Errorf(herald.CodeInternal, "Repeat the call with the same Idempotency-Key; if this persists, look at the server's log.", "the message was not accepted")
	}
	return record.GroupResult{App: app, Code: e.Code, Text: e.Message, Remedy: e.Remedy, Field: e.Field}
}

// problemOf is why an app refused a group message; nil if it did not.
func problemOf(r record.GroupResult) error {
	if r.Message != 0 {
		return nil
	}
	if r.Code == "" { // the call ended, or the server, before the app was asked
		return herald.Errorf(herald.CodeInternal, "Repeat the call with the same Idempotency-Key.", "it is not known whether the app has taken the message")
	}
	return &herald.Error{Code: r.Code, Message: r.Text, Remedy: r.Remedy, Field: r.Field}
}

func (s *Groups) sent(m record.GroupMessage) GroupSent {
	out := GroupSent{ID: m.ID, Apps: make([]GroupOutcome, len(m.Results))}
	for i, r := range m.Results {
		out.Apps[i] = GroupOutcome{App: r.App, Err: problemOf(r)}
		if app, err := s.c.Registry.App(r.App); err == nil {
			out.Apps[i].Name = app.Row().Name
		}
		if r.Message != 0 {
			out.Apps[i].Err = json.Unmarshal(r.Answer, &out.Apps[i].Answer)
		}
	}
	return out
}

func groupSummary(m record.GroupMessage) GroupMessageSummary {
	v := GroupMessageSummary{ID: m.ID, CreatedAt: m.Created}
	for _, r := range m.Results {
		if r.Message != 0 {
			v.Accepted++
		} else {
			v.Refused++
		}
	}
	return v
}

// Message shows what became of a group message, by app.
func (s *Groups) Message(ctx context.Context, p Principal, id herald.MessageID) (GroupMessage, error) {
	g, err := s.mayGroup(p)
	if err != nil {
		return GroupMessage{}, err
	}
	m, err := s.c.Groups.GroupMessage(ctx, g.Key, id)
	if err != nil {
		return GroupMessage{}, err
	}
	out := GroupMessage{GroupMessageSummary: groupSummary(m), Counts: herald.Counts{States: map[herald.DeliveryState]int64{}}}
	for _, r := range m.Results {
		a := GroupMessageApp{App: r.App, ID: r.Message, Err: problemOf(r)}
		if r.Message != 0 {
			v, err := s.messages.show(ctx, r.App, r.Message)
			switch {
			case err == nil:
				a.State, a.Counts = v.State, v.Counts
			case herald.CodeOf(err) != herald.CodeNotFound:
				return GroupMessage{}, err
			}
		}
		if a.Counts != nil {
			out.Counts = sum(out.Counts, *a.Counts)
		}
		out.Apps = append(out.Apps, a)
	}
	return out, nil
}

// sum adds counts; the devices of two apps are different ones.
func sum(a, b herald.Counts) herald.Counts {
	a.Target, a.Sent, a.Received = a.Target+b.Target, a.Sent+b.Sent, a.Received+b.Received
	a.Displayed, a.Clicked = a.Displayed+b.Displayed, a.Clicked+b.Clicked
	for state, n := range b.States {
		a.States[state] += n
	}
	return a
}

// List shows the group's messages, newest first.
func (s *Groups) List(ctx context.Context, p Principal, cursor string, limit int) (GroupMessagePage, error) {
	g, err := s.mayGroup(p)
	if err != nil {
		return GroupMessagePage{}, err
	}
	limit, err = pageSize(limit)
	if err != nil {
		return GroupMessagePage{}, err
	}
	var before herald.MessageID
	if cursor != "" {
		if before, err = herald.ParseMessageID(cursor); err != nil {
			return GroupMessagePage{}, herald.Invalid("cursor", "Use the next_cursor of the page before.", "is not a cursor")
		}
	}
	list, err := s.c.Groups.GroupMessages(ctx, g.Key, before, limit+1)
	if err != nil {
		return GroupMessagePage{}, err
	}
	page := GroupMessagePage{Messages: []GroupMessageSummary{}}
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = list[limit-1].ID.String()
	}
	for _, m := range list {
		page.Messages = append(page.Messages, groupSummary(m))
	}
	return page, nil
}
