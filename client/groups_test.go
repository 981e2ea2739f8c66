package client

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/herald-push/herald"
)

func TestGroups(t *testing.T) {
	const key = "group-k3x9q0a7c5m2p8r1t6v4w0z2"
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, secret, _ := r.BasicAuth(); user != key || secret != "s" {
			t.Errorf("credentials %q %q", user, secret)
		}
		switch at := r.Method + " " + r.URL.RequestURI(); at {
		case "GET /v1/group":
			fmt.Fprint(w, `{"group_key":"`+key+`","name":"shops","apps":[{"app_key":"a","name":"A","devices":3}]}`)
		case "POST /v1/group/messages":
			if r.Header.Get("Idempotency-Key") == "" {
				t.Error("no idempotency key")
			}
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"id":"5","apps":[{"app_key":"a","message":{"id":"6","target":3,"unknown":0,"stored":true}},{"app_key":"b","problem":{"status":422,"code":"invalid_request","detail":"empty","remedy":"Check."}}]}`)
		case "GET /v1/group/messages?cursor=7&limit=2":
			fmt.Fprint(w, `{"messages":[{"id":"5","accepted":1,"refused":1}],"next_cursor":"5"}`)
		case "GET /v1/group/messages/5":
			fmt.Fprint(w, `{"id":"5","accepted":1,"refused":1,"counts":{"target":3},"apps":[{"app_key":"a","message_id":"6","state":"sending","counts":{"target":3}},{"app_key":"b","problem":{"code":"invalid_request"}}]}`)
		default:
			t.Errorf("unexpected call %s", at)
		}
	})
	c.cred = GroupSecret(key, "s")
	ctx := t.Context()
	g, err := c.Group(ctx)
	if err != nil || g.GroupKey != key || len(g.Apps) != 1 || g.Apps[0].Devices != 3 {
		t.Errorf("%+v, %v", g, err)
	}
	sent, err := c.SendToGroup(ctx, Message{Audience: herald.Audience{All: true}})
	if err != nil || sent.ID != 5 || sent.Apps[0].ID != 6 || sent.Apps[0].Err != nil || herald.CodeOf(sent.Apps[1].Err) != herald.CodeInvalidRequest {
		t.Errorf("%+v, %v", sent, err)
	}
	list, err := c.GroupMessages(ctx, "7", 2)
	if err != nil || len(list.Messages) != 1 || list.NextCursor != "5" {
		t.Errorf("%+v, %v", list, err)
	}
	m, err := c.GroupMessage(ctx, 5)
	if err != nil || m.Counts.Target != 3 || m.Apps[0].MessageID != 6 || m.Apps[1].Problem == nil {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestGroupRefused(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if _, err := c.SendToGroup(t.Context(), Message{}); herald.CodeOf(err) != herald.CodeForbidden {
		t.Errorf("got %v", err)
	}
}
