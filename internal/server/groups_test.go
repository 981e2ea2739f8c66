package server

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/api"
)

// The CLI makes a group on a server that runs, and its secret sends to the
// apps of the group.
func TestGroupAdministration(t *testing.T) {
	n := startNode(t, t.TempDir())
	admin, done, err := Administer(t.Context(), n.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := done(); err != nil {
			t.Error(err)
		}
		admin.(remoteAdmin).http.CloseIdleConnections()
	}()
	ctx := t.Context()
	second, err := admin.CreateApp(ctx, api.NewApp{Name: "second"})
	if err != nil {
		t.Fatal(err)
	}
	g, err := admin.CreateGroup(ctx, "shops")
	if err != nil || !g.GroupKey.Valid() || len(g.Secret) != herald.SecretLen {
		t.Fatalf("%+v, %v", g, err)
	}
	v, err := admin.ChangeGroup(ctx, g.GroupKey, api.GroupChange{Add: []herald.AppKey{n.app.AppKey, second.AppKey, n.app.AppKey}})
	if err != nil || len(v.Apps) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	list, err := admin.ListGroups(ctx)
	if err != nil || len(list) != 1 || len(list[0].Apps) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	audits, err := n.srv.service.Apps.Audit(ctx, api.Principal{Kind: api.Master, App: second.AppKey}, api.AuditQuery{Operation: "joinGroup"})
	if err != nil || len(audits.Entries) != 1 || audits.Entries[0].Object != string(g.GroupKey) || audits.Entries[0].Actor.Kind != "admin" {
		t.Errorf("%+v, %v", audits, err)
	}
	c, err := client.New(n.srv.URL(), client.GroupSecret(g.GroupKey, g.Secret), client.Options{Tries: 1})
	if err != nil {
		t.Fatal(err)
	}
	sent, err := c.SendToGroup(ctx, client.Message{Audience: herald.Audience{All: true}, Notification: &herald.Notification{Title: "T"}})
	if err != nil || len(sent.Apps) != 2 || sent.Apps[0].Err != nil || sent.Apps[1].Err != nil {
		t.Fatalf("%+v, %v", sent, err)
	}
	m, err := c.GroupMessage(ctx, sent.ID)
	if err != nil || m.Accepted != 2 || m.Apps[0].State != herald.MessageDone {
		t.Errorf("%+v, %v", m, err)
	}
	if page, err := c.GroupMessages(ctx, "", 0); err != nil || len(page.Messages) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	if shown, err := c.Group(ctx); err != nil || len(shown.Apps) != 2 {
		t.Errorf("%+v, %v", shown, err)
	}
	// The credentials of a group are for nothing else.
	if _, err := c.App(ctx); herald.CodeOf(err) != herald.CodeForbidden {
		t.Errorf("an app by the credentials of a group: %v", err)
	}
	if _, err := c.Send(ctx, client.Message{Audience: herald.Audience{All: true}, Notification: &herald.Notification{Title: "T"}}); herald.CodeOf(err) != herald.CodeForbidden {
		t.Errorf("a message by the credentials of a group: %v", err)
	}
	rotated, err := admin.RotateGroup(ctx, g.GroupKey, 0)
	if err != nil || rotated.Secret == g.Secret {
		t.Errorf("%+v, %v", rotated, err)
	}
	if _, err := c.Group(ctx); herald.CodeOf(err) != herald.CodeUnauthorized {
		t.Errorf("the old secret: %v", err)
	}
	if v, err = admin.ChangeGroup(ctx, g.GroupKey, api.GroupChange{Remove: []herald.AppKey{second.AppKey}}); err != nil || len(v.Apps) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if err := admin.DeleteGroup(ctx, g.GroupKey); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"change what is gone": func() error { _, err := admin.ChangeGroup(ctx, g.GroupKey, api.GroupChange{}); return err }(),
		"change no key":       func() error { _, err := admin.ChangeGroup(ctx, "../apps", api.GroupChange{}); return err }(),
		"rotate no key":       func() error { _, err := admin.RotateGroup(ctx, "x", time.Hour); return err }(),
		"delete no key":       admin.DeleteGroup(ctx, "x"),
		"delete again":        admin.DeleteGroup(ctx, g.GroupKey),
	} {
		wantError(t, err, herald.CodeNotFound, "no group")
		if t.Failed() {
			t.Log(name)
		}
	}
}
