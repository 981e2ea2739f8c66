package api_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// grouped makes a group of some apps and gives what its secret proves.
func (w *world) grouped(apps ...herald.AppKey) api.Principal {
	w.t.Helper()
	g, secret, err := w.registry.CreateGroup(w.t.Context(), "shops")
	w.must(err)
	for _, app := range apps {
		_, err := w.registry.JoinGroup(w.t.Context(), g.Key, app)
		w.must(err)
	}
	p, err := w.s.Apps.Basic(w.t.Context(), herald.AppKey(g.Key), secret)
	w.must(err)
	return p
}

func (w *world) toGroup(p api.Principal, body, key string) (api.GroupSent, error) {
	r, err := w.s.Messages.Decode([]byte(body))
	if err != nil {
		return api.GroupSent{}, err
	}
	return w.s.Groups.Send(w.t.Context(), p, r, key, []byte(body))
}

// groupMethods are the rows of the matrix about groups.
func (w *world) groupMethods() map[string]func(context.Context, api.Principal) error {
	return map[string]func(context.Context, api.Principal) error{
		"group": func(ctx context.Context, p api.Principal) error { _, err := w.s.Groups.Group(ctx, p); return err },
		"send to group": func(_ context.Context, p api.Principal) error {
			_, err := w.toGroup(p, `{"audience":"all","data":1}`, "")
			return err
		},
		"group messages": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Groups.List(ctx, p, "", 0)
			return err
		},
		"group message": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Groups.Message(ctx, p, 1)
			return err
		},
	}
}

func TestGroupSend(t *testing.T) {
	w := newWorld(t)
	ann, ben := w.device(w.a, api.RegisterRequest{Alias: "ann"}), w.device(w.b, api.RegisterRequest{Alias: "ben"})
	w.device(w.b, api.RegisterRequest{})
	w.online(ann, true)
	p := w.grouped(w.a, w.b)

	// A group that was never an app's has no way into it.
	sent, err := w.toGroup(p, `{"audience":"all","notification":{"title":"T"}}`, "")
	w.must(err)
	w.settle()
	if len(sent.Apps) != 2 || *sent.Apps[0].Answer.Target != 1 || *sent.Apps[1].Answer.Target != 2 || sent.Apps[0].App != w.a || sent.Apps[0].Name != "test" {
		t.Fatalf("sent %+v", sent)
	}
	for i, master := range []api.Principal{w.masterA, w.masterB} {
		v, err := w.s.Messages.Get(t.Context(), master, sent.Apps[i].Answer.ID)
		w.must(err)
		if v.Notification.Title != "T" {
			t.Errorf("app %d has %+v", i, v)
		}
		// The message of one app is none of the other's.
		if _, err := w.s.Messages.Get(t.Context(), master, sent.Apps[1-i].Answer.ID); code(err) != herald.CodeNotFound {
			t.Errorf("app %d sees the message of the other: %v", i, err)
		}
	}
	if _, err := w.s.Messages.Trace(t.Context(), w.masterB, sent.Apps[1].Answer.ID, ben.Device); err != nil {
		t.Error(err)
	}
	m, err := w.s.Groups.Message(t.Context(), p, sent.ID)
	w.must(err)
	if m.Accepted != 2 || m.Refused != 0 || m.Counts.Target != 3 || m.Counts.Sent != 1 || m.Counts.States[herald.StatePending] != 2 || m.Apps[1].State != herald.MessageSending {
		t.Errorf("group message %+v", m)
	}

	// An audience is each app's own.
	sent, err = w.toGroup(p, `{"audience":{"aliases":["ben"]},"data":1,"require_target":true}`, "")
	w.must(err)
	if code(sent.Apps[0].Err) != herald.CodeInvalidRequest || sent.Apps[1].Err != nil || *sent.Apps[1].Answer.Target != 1 {
		t.Errorf("sent %+v", sent)
	}
	m, err = w.s.Groups.Message(t.Context(), p, sent.ID)
	w.must(err)
	if m.Accepted != 1 || m.Refused != 1 || m.Apps[0].Err == nil || m.Apps[0].ID != 0 {
		t.Errorf("group message %+v", m)
	}
	page, err := w.s.Groups.List(t.Context(), p, "", 1)
	w.must(err)
	if len(page.Messages) != 1 || page.Messages[0].ID != sent.ID || page.NextCursor == "" {
		t.Errorf("page %+v", page)
	}
	page, err = w.s.Groups.List(t.Context(), p, page.NextCursor, 10)
	w.must(err)
	if len(page.Messages) != 1 || page.NextCursor != "" {
		t.Errorf("page %+v", page)
	}
	other := w.grouped(w.a)
	if _, err := w.s.Groups.Message(t.Context(), other, sent.ID); code(err) != herald.CodeNotFound {
		t.Errorf("another group sees it: %v", err)
	}
}

func TestGroupRefuses(t *testing.T) {
	w := newWorld(t)
	p := w.grouped(w.a)
	for name, tt := range map[string]struct {
		p    api.Principal
		body string
		want herald.Code
	}{
		"no app":           {w.grouped(), `{"audience":"all","data":1}`, herald.CodeConflict},
		"nothing said":     {p, `{"audience":"all"}`, herald.CodeInvalidRequest},
		"unknown member":   {p, `{"audience":"all","data":1,"tlt":1}`, herald.CodeInvalidRequest},
		"a group unknown":  {api.Principal{Kind: api.GroupOfApps, Group: "group-000000000000000000000000"}, `{"audience":"all","data":1}`, herald.CodeNotFound},
		"a cursor of none": {p, "", herald.CodeInvalidRequest},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			if tt.body == "" {
				_, err = w.s.Groups.List(t.Context(), tt.p, "x", 0)
			} else {
				_, err = w.toGroup(tt.p, tt.body, "")
			}
			if code(err) != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
	page, err := w.s.Groups.List(t.Context(), p, "", 0)
	w.must(err)
	if len(page.Messages) != 0 {
		t.Errorf("what was refused is listed: %+v", page)
	}
}

func TestGroupIdempotency(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{Alias: "ann"})
	p := w.grouped(w.a, w.b)
	const body = `{"audience":{"aliases":["ann"]},"data":1,"require_target":true}`
	first, err := w.toGroup(p, body, "k")
	w.must(err)
	if first.Apps[0].Err != nil || first.Apps[1].Err == nil {
		t.Fatalf("sent %+v", first)
	}
	// A repetition goes on where the first call was refused.
	w.device(w.b, api.RegisterRequest{Alias: "ann"})
	again, err := w.toGroup(p, body, "k")
	w.must(err)
	if again.ID != first.ID || again.Apps[0].Answer.ID != first.Apps[0].Answer.ID || again.Apps[1].Err != nil {
		t.Fatalf("sent again %+v", again)
	}
	third, err := w.toGroup(p, body, "k")
	w.must(err)
	if third.Apps[1].Answer.ID != again.Apps[1].Answer.ID {
		t.Errorf("sent a third time %+v", third)
	}
	for _, master := range []api.Principal{w.masterA, w.masterB} {
		l, err := w.s.Messages.List(t.Context(), master, "", "", 0)
		w.must(err)
		if len(l.Messages) != 1 {
			t.Errorf("%d messages", len(l.Messages))
		}
	}
	if _, err := w.toGroup(p, `{"audience":"all","data":2}`, "k"); code(err) != herald.CodeIdempotencyConflict {
		t.Errorf("another body: %v", err)
	}
	w.pass(25 * time.Hour)
	if late, err := w.toGroup(p, `{"audience":"all","data":2}`, "k"); err != nil || late.ID == first.ID {
		t.Errorf("a day later: %+v, %v", late, err)
	}
}

// A group is changed by the operator, and at once.
func TestGroupRegistry(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	g, secret, err := w.registry.CreateGroup(ctx, "shops")
	w.must(err)
	good := func(secret string) bool {
		_, err := w.s.Apps.Basic(ctx, herald.AppKey(g.Key), secret)
		if err != nil && code(err) != herald.CodeUnauthorized {
			t.Errorf("refused with %v", err)
		}
		return err == nil
	}
	if !good(secret) || good("x"+secret[1:]) || good("") {
		t.Error("the secret")
	}
	if _, err := w.s.Apps.Basic(ctx, "group-000000000000000000000000", secret); code(err) != herald.CodeUnauthorized {
		t.Errorf("an unknown group: %v", err)
	}
	_, second, err := w.registry.RotateGroup(ctx, g.Key, time.Hour)
	w.must(err)
	if !good(secret) || !good(second) {
		t.Error("a kept secret is refused")
	}
	w.pass(2 * time.Hour)
	if good(secret) || !good(second) {
		t.Error("an old secret is good")
	}
	p, err := w.s.Apps.Basic(ctx, herald.AppKey(g.Key), second)
	w.must(err)
	for _, app := range []herald.AppKey{w.b, w.a, w.b} {
		_, err := w.registry.JoinGroup(ctx, g.Key, app)
		w.must(err)
	}
	v, err := w.s.Groups.Group(ctx, p)
	w.must(err)
	if len(v.Apps) != 2 || v.Apps[0].AppKey != w.b || v.Name != "shops" || v.GroupKey != g.Key {
		t.Errorf("group %+v", v)
	}
	_, err = w.registry.LeaveGroup(ctx, g.Key, w.b)
	w.must(err)
	w.must(w.registry.Load(ctx)) // as at a start
	row, err := w.registry.Group(g.Key)
	w.must(err)
	if !slices.Equal(row.Apps, []herald.AppKey{w.a}) {
		t.Errorf("apps %v", row.Apps)
	}
	for name, err := range map[string]error{
		"an unknown app":   errorOf(w.registry.JoinGroup(ctx, g.Key, "nnnnnnnnnnnnnnnnnnnnnnnn")),
		"not in it":        errorOf(w.registry.LeaveGroup(ctx, g.Key, w.b)),
		"an unknown group": errorOf(w.registry.JoinGroup(ctx, "group-000000000000000000000000", w.a)),
		"delete unknown":   w.registry.DeleteGroup(ctx, "group-000000000000000000000000"),
	} {
		if code(err) != herald.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := w.registry.RotateGroup(ctx, g.Key, -time.Second); code(err) != herald.CodeInvalidRequest {
		t.Errorf("a wrong time to keep: %v", err)
	}
	if _, _, err := w.registry.CreateGroup(ctx, ""); code(err) != herald.CodeInvalidRequest {
		t.Errorf("no name: %v", err)
	}
	w.must(w.registry.DeleteGroup(ctx, g.Key))
	if good(second) {
		t.Error("a deleted group is let in")
	}
	if _, err := w.s.Groups.Group(ctx, p); code(err) != herald.CodeNotFound {
		t.Errorf("a deleted group: %v", err)
	}
	if p, err := w.s.Apps.Bearer(ctx, string(g.Key), netip.Addr{}); err == nil {
		t.Errorf("a group key is a token: %+v", p)
	}
}

func errorOf[T any](_ T, err error) error { return err }
