package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/herald-push/herald"
)

// GroupSecret makes the credentials of a group of apps, which may send to its
// apps and nothing else.
func GroupSecret(groupKey herald.GroupKey, secret string) Credentials {
	return Credentials{"Basic " + base64.StdEncoding.EncodeToString([]byte(string(groupKey)+":"+secret))}
}

// Group is a group of apps.
type Group struct {
	GroupKey herald.GroupKey `json:"group_key"`
	Name     string          `json:"name"`
	Apps     []GroupApp      `json:"apps"`
}

// GroupApp is an app of a group.
type GroupApp struct {
	AppKey  herald.AppKey `json:"app_key"`
	Name    string        `json:"name"`
	Devices int64         `json:"devices"`
}

// GroupSent is what came of a message to a group.
type GroupSent struct {
	ID   herald.MessageID // of the group message
	Apps []GroupResult
}

// GroupResult is what came of a group message in one app.
type GroupResult struct {
	AppKey herald.AppKey
	// Sent is what the message would be answered if the app had sent it.
	Sent
	// Err says why the app refused it; a [*herald.Error].
	Err error
}

// GroupMessageSummary is a group message in a list.
type GroupMessageSummary struct {
	ID        herald.MessageID `json:"id"`
	CreatedAt time.Time        `json:"created_at"`
	Accepted  int64            `json:"accepted"` // apps that took it
	Refused   int64            `json:"refused"`
}

// GroupMessagePage is one page of group messages, newest first.
type GroupMessagePage struct {
	Messages   []GroupMessageSummary `json:"messages"`
	NextCursor string                `json:"next_cursor,omitempty"` // "" on the last
}

// GroupMessage is a group message with what became of it.
type GroupMessage struct {
	GroupMessageSummary
	Counts herald.Counts     `json:"counts"` // of all apps together
	Apps   []GroupMessageApp `json:"apps"`
}

// GroupMessageApp is what became of a group message in one app.
type GroupMessageApp struct {
	AppKey    herald.AppKey       `json:"app_key"`
	MessageID herald.MessageID    `json:"message_id,omitempty"` // 0 if the app refused it
	State     herald.MessageState `json:"state,omitempty"`
	Counts    *herald.Counts      `json:"counts,omitempty"`
	Problem   *AppProblem         `json:"problem,omitempty"`
}

// AppProblem is why an app refused a group message.
type AppProblem struct {
	Code   herald.Code `json:"code"`
	Detail string      `json:"detail"`
	Remedy string      `json:"remedy"`
	Field  string      `json:"field,omitempty"`
}

// Group shows the group with its apps. This and the other calls about groups
// need the credentials of a group: see [GroupSecret].
func (c *Client) Group(ctx context.Context) (Group, error) {
	var out Group
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/group", into: &out})
	return out, err
}

// SendToGroup sends a message to each app of the group. What one app refuses,
// which its result says, others may take. Another call with the same idempotency
// key sends to those apps only that have not taken it.
func (c *Client) SendToGroup(ctx context.Context, m Message) (GroupSent, error) {
	key := m.IdempotencyKey
	if key == "" {
		key = rand.Text()
	}
	var answer struct {
		ID   herald.MessageID `json:"id"`
		Apps []struct {
			AppKey  herald.AppKey   `json:"app_key"`
			Message json.RawMessage `json:"message"`
			Problem json.RawMessage `json:"problem"`
		} `json:"apps"`
	}
	if err := c.do(ctx, call{method: http.MethodPost, path: "/v1/group/messages", body: m, key: key, into: &answer}); err != nil {
		return GroupSent{}, err
	}
	out := GroupSent{ID: answer.ID, Apps: make([]GroupResult, len(answer.Apps))}
	for i, app := range answer.Apps {
		text := app.Message
		if app.Problem != nil {
			text = app.Problem
		}
		r := readResult(text)
		out.Apps[i] = GroupResult{AppKey: app.AppKey, Sent: r.Sent, Err: r.Err}
	}
	return out, nil
}

// GroupMessages lists group messages, newest first.
func (c *Client) GroupMessages(ctx context.Context, cursor string, limit int) (GroupMessagePage, error) {
	var out GroupMessagePage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/group/messages", query: page(cursor, limit), into: &out})
	return out, err
}

// GroupMessage shows what became of a group message, by app.
func (c *Client) GroupMessage(ctx context.Context, id herald.MessageID) (GroupMessage, error) {
	var out GroupMessage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/group/messages/" + id.String(), into: &out})
	return out, err
}
