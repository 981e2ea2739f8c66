package v1

import (
	"context"
	"fmt"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// The credentials of a group are refused by every operation that is not for
// groups, before it is asked; those of apps, keys and devices by those that are.
func TestGroupsAndOthersAreApart(t *testing.T) {
	r := newRig(t, Config{})
	inner := r.basic
	r.basic = func(ctx context.Context, key herald.AppKey, secret string) (api.Principal, error) {
		if g := herald.GroupKey(key); g.Valid() {
			return api.Principal{Kind: api.GroupOfApps, Group: g}, nil
		}
		return inner(ctx, key, secret)
	}
	req := httptest.NewRequest("GET", "/", nil)
	req.SetBasicAuth("group-k3x9q0a7c5m2p8r1t6v4w0z2", "secret")
	group := "Authorization: " + req.Header.Get("Authorization")
	parameter := regexp.MustCompile(`\{\w+\}`)
	groups := 0
	for pattern, op := range r.ops {
		path := parameter.ReplaceAllString(op.path, "1")
		callers := map[string]string{"group": group}
		if op.group {
			groups++
			callers = map[string]string{"master": master, "key": tokenH + "key", "device": tokenH + "device"}
		}
		for name, caller := range callers {
			if rec := r.do(op.method, path, "{}", caller, "Content-Type: application/json"); rec.Code != 403 {
				t.Errorf("%s as %s: got %d: %s", pattern, name, rec.Code, rec.Body)
			}
		}
		if op.group {
			if rec := r.do(op.method, path, "{}", "Content-Type: application/json"); rec.Code != 401 {
				t.Errorf("%s as nobody: got %d", pattern, rec.Code)
			}
		}
	}
	if groups != 4 {
		t.Errorf("%d operations are for groups", groups)
	}
}

func TestGroupOperations(t *testing.T) {
	n := newNode(t)
	g, secret, err := n.registry.CreateGroup(t.Context(), "shops")
	must(t, err)
	second, _, err := n.registry.CreateApp(t.Context(), "second")
	must(t, err)
	req := httptest.NewRequest("GET", "/", nil)
	req.SetBasicAuth(string(g.Key), secret)
	key := req.Header.Get("Authorization")
	n.call(key, "POST", "/v1/group/messages", `{"audience":"all","data":1}`, 409)
	for _, app := range []herald.AppKey{n.app, second.Key} {
		_, err := n.registry.JoinGroup(t.Context(), g.Key, app)
		must(t, err)
	}
	n.call("", "POST", "/v1/devices", `{"app_key":"APP"}`, 201)
	if v := n.call(key, "GET", "/v1/group", "", 200); v["name"] != "shops" || len(asList(v["apps"])) != 2 {
		t.Errorf("group: %v", v)
	}
	const body = `{"audience":"all","notification":{"title":"T"},"require_target":true}`
	sent := n.call(key, "POST", "/v1/group/messages", body, 202, "Idempotency-Key: k")
	first, other := asList(sent["apps"])[0].(map[string]any), asList(sent["apps"])[1].(map[string]any)
	if first["app_key"] != string(n.app) || first["problem"] != nil || other["message"] != nil || other["problem"].(map[string]any)["code"] != "invalid_request" {
		t.Fatalf("sent: %v", sent)
	}
	id := fmt.Sprint(first["message"].(map[string]any)["id"])
	n.call(n.key, "GET", "/v1/messages/"+id, "", 200)
	if again := n.call(key, "POST", "/v1/group/messages", body, 202, "Idempotency-Key: k"); again["id"] != sent["id"] {
		t.Errorf("sent again: %v", again)
	}
	n.call(key, "POST", "/v1/group/messages", `{"audience":"all","data":1}`, 409, "Idempotency-Key: k")
	n.call(key, "POST", "/v1/group/messages", `{"audience":"all"}`, 422)
	n.call(key, "POST", "/v1/group/messages", body, 400, "Idempotency-Key: a b")
	v := n.call(key, "GET", "/v1/group/messages/"+fmt.Sprint(sent["id"]), "", 200)
	if v["accepted"] != 1.0 || v["refused"] != 1.0 || v["counts"].(map[string]any)["target"] != 1.0 || asList(v["apps"])[0].(map[string]any)["message_id"] != id {
		t.Errorf("group message: %v", v)
	}
	n.call(key, "GET", "/v1/group/messages/1", "", 404)
	n.call(key, "GET", "/v1/group/messages/x", "", 404)
	if l := n.call(key, "GET", "/v1/group/messages?limit=1", "", 200); len(asList(l["messages"])) != 1 {
		t.Errorf("group messages: %v", l)
	}
	n.call(key, "GET", "/v1/group/messages?limit=0", "", 422)
	n.call(key, "GET", "/v1/messages/"+id, "", 403)
}
