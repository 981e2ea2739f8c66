package v1

import (
	"context"
	"net/http"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const (
	exampleGroup        = `{"group_key":"group-k3x9q0a7c5m2p8r1t6v4w0z2","name":"All shops","apps":[{"app_key":"a1b2c3d4e5f6a1b2c3d4e5f6","name":"Shop","devices":120}]}`
	exampleGroupSent    = `{"id":"245870126268416000","apps":[{"app_key":"a1b2c3d4e5f6a1b2c3d4e5f6","name":"Shop","message":{"id":"245870126268416001","target":3,"unknown":0,"stored":true}}]}`
	exampleGroupMessage = `{"id":"245870126268416000","created_at":"2026-11-21T09:30:00Z","accepted":1,"refused":0,"counts":{"target":3,"sent":2,"received":1,"displayed":0,"clicked":0,"states":{"pending":1,"sent":1,"received":1}},"apps":[{"app_key":"a1b2c3d4e5f6a1b2c3d4e5f6","message_id":"245870126268416001","state":"sending","counts":{"target":3,"sent":2,"received":1,"displayed":0,"clicked":0,"states":{"pending":1,"sent":1,"received":1}}}]}`
)

// GroupSentApp is what came of a group message in one app.
type GroupSentApp struct {
	AppKey  herald.AppKey   `json:"app_key"`
	Name    string          `json:"name,omitempty"`
	Message *api.SendAnswer `json:"message,omitempty" doc:"What the message would be answered if it were sent by the app itself; absent if the app refused it."`
	Problem *Problem        `json:"problem,omitempty" doc:"Why the app refused it."`
}

// GroupSent is the answer of POST /v1/group/messages.
type GroupSent struct {
	ID   herald.MessageID `json:"id" doc:"ID of the group message, which asks for what became of it in all apps."`
	Apps []GroupSentApp   `json:"apps" doc:"What came of it, by app."`
}

// GroupMessageApp is what became of a group message in one app.
type GroupMessageApp struct {
	AppKey    herald.AppKey       `json:"app_key"`
	MessageID herald.MessageID    `json:"message_id,omitempty" doc:"The message of that app; absent if the app refused it."`
	State     herald.MessageState `json:"state,omitempty" doc:"State of that message; absent if it was refused, or nothing is kept of it any more."`
	Counts    *herald.Counts      `json:"counts,omitempty"`
	Problem   *Problem            `json:"problem,omitempty" doc:"Why the app refused it."`
}

// GroupMessageView is a group message with what became of it.
type GroupMessageView struct {
	ID        herald.MessageID  `json:"id" doc:"ID of the group message."`
	CreatedAt time.Time         `json:"created_at" doc:"When it was sent."`
	Accepted  int64             `json:"accepted" doc:"Apps that took it."`
	Refused   int64             `json:"refused" doc:"Apps that refused it."`
	Counts    herald.Counts     `json:"counts" doc:"Of all apps together."`
	Apps      []GroupMessageApp `json:"apps" doc:"By app."`
}

type groupMessageInput struct {
	ID string `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"ID of the group message, as POST /v1/group/messages answered it." example:"245870126268416000"`
}

type groupListInput struct {
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Messages on a page."`
}

// addGroups adds the operations of groups of apps, which have credentials of
// their own.
func (a *API) addGroups() {
	register(a, operation{
		id: "getGroup", method: "GET", path: "/v1/group", tag: "Groups of apps", summary: "Show the group", group: true,
		description: "Shows the group that the credentials belong to, with its apps. Needs the credentials of a group: `Authorization: Basic` with group key and secret, which the operator makes with `herald group create`.",
		answer:      exampleGroup,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.GroupView], error) {
		return answer(a.service.Groups.Group(ctx, x.p))
	})
	register(a, operation{
		id: "sendToGroup", method: "POST", path: "/v1/group/messages", tag: "Groups of apps", summary: "Send a message to each app of a group", status: http.StatusAccepted, write: true, group: true,
		description: "Sends one message to each app of the group. The body is that of POST /v1/messages; the audience is evaluated in each app by itself, and in each the message is one of that app, with an ID of its own. " +
			"What one app refuses others may take: the answer says for each app what the message would be answered there or, with `problem`, why it was refused. A body that is wrong for every app is refused as a whole. " +
			"With an idempotency key, a repetition sends to those apps only that have not taken the message. A call counts as many requests as the group has apps. Needs the credentials of a group.",
		body: api.SendRequest{}, example: `{"audience":"all","notification":{"title":"Hello","body":"World"}}`, answer: exampleGroupSent,
		errors: []int{http.StatusConflict},
	}, a.sendToGroup)
	register(a, operation{
		id: "listGroupMessages", method: "GET", path: "/v1/group/messages", tag: "Groups of apps", summary: "List group messages", group: true,
		description: "Shows the messages that were sent with the credentials of the group, newest first. Needs the credentials of a group.",
		answer:      `{"messages":[{"id":"245870126268416000","created_at":"2026-11-21T09:30:00Z","accepted":1,"refused":0}]}`,
	}, func(ctx context.Context, x *exchange, in *groupListInput) (*reply[api.GroupMessagePage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Groups.List(ctx, x.p, in.Cursor, limit))
	})
	register(a, operation{
		id: "getGroupMessage", method: "GET", path: "/v1/group/messages/{id}", tag: "Groups of apps", summary: "Show what became of a group message", group: true,
		description: "Shows the counts of a group message, by app and of all apps together. It is kept for 90 days after its TTL. Needs the credentials of a group.",
		answer:      exampleGroupMessage, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *groupMessageInput) (*reply[GroupMessageView], error) {
		id, err := messageID(in.ID)
		if err != nil {
			return nil, err
		}
		m, err := a.service.Groups.Message(ctx, x.p, id)
		if err != nil {
			return nil, err
		}
		return answer(a.groupMessage(x, m), nil)
	})
}

// admitGroup keeps the credentials of a group to the operations that are for
// them, and others from those.
func (x *exchange) admitGroup() error {
	switch isGroup := x.p.Kind == api.GroupOfApps; {
	case isGroup && !x.op.group:
		return herald.Errorf(herald.CodeForbidden, "Call it with the credentials of the app; those of a group are for /v1/group.", "a group of apps may not do this")
	case x.op.group && !isGroup:
		return herald.Errorf(herald.CodeForbidden, "Send Authorization: Basic with a group key and its secret; herald group create makes them.", "only a group of apps may do this")
	}
	return nil
}

func (a *API) sendToGroup(ctx context.Context, x *exchange, _ *sendInput) (*reply[GroupSent], error) {
	key, err := idempotencyKey(x.r.Header)
	if err != nil {
		return nil, err
	}
	req, err := a.service.Messages.Decode(x.body)
	if err != nil {
		return nil, err
	}
	g, err := a.service.Groups.Group(ctx, x.p)
	if err != nil {
		return nil, err
	}
	if err := a.takeGroup(x, len(g.Apps)-1); err != nil {
		return nil, err
	}
	sent, err := a.service.Groups.Send(ctx, x.p, req, key, x.body)
	if err != nil {
		return nil, err
	}
	out := GroupSent{ID: sent.ID, Apps: make([]GroupSentApp, len(sent.Apps))}
	for i, o := range sent.Apps {
		out.Apps[i] = GroupSentApp{AppKey: o.App, Name: o.Name}
		if o.Err != nil {
			out.Apps[i].Problem = a.appProblem(x, o.Err)
		} else {
			out.Apps[i].Message = &o.Answer
		}
	}
	return answer(out, nil)
}

// takeGroup counts the apps of a group beyond the first, which was counted with
// the request: as far as the limits of a caller ever take at once.
func (a *API) takeGroup(x *exchange, more int) error {
	b := a.limits.keys
	if b == nil || more <= 0 {
		return nil
	}
	return a.limits.take(x.w, b, x.p.RateKey(), min(more, b.Burst()-1))
}

// appProblem describes why one app refused a group message.
func (a *API) appProblem(x *exchange, err error) *Problem {
	status := statusOf(err)
	a.logFailure(x, err, status)
	p, _ := describe(x, err, status)
	return p
}

func (a *API) groupMessage(x *exchange, m api.GroupMessage) GroupMessageView {
	v := GroupMessageView{ID: m.ID, CreatedAt: m.CreatedAt, Accepted: m.Accepted, Refused: m.Refused, Counts: m.Counts, Apps: make([]GroupMessageApp, len(m.Apps))}
	for i, app := range m.Apps {
		v.Apps[i] = GroupMessageApp{AppKey: app.App, MessageID: app.ID, State: app.State, Counts: app.Counts}
		if app.Err != nil {
			v.Apps[i].Problem = a.appProblem(x, app.Err)
		}
	}
	return v
}
