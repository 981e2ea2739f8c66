package v1

import (
	"fmt"
	"testing"
)

func TestApprovalOperations(t *testing.T) {
	n := newNode(t)
	n.call("", "POST", "/v1/devices", `{"app_key":"APP"}`, 201)
	if v := n.call(n.key, "PATCH", "/v1/app", `{"approval":{"required":true,"above":0}}`, 200); v["approval"].(map[string]any)["required"] != true {
		t.Errorf("app: %v", v)
	}
	n.call(n.key, "PATCH", "/v1/app", `{"approval":{"above":-1}}`, 422)
	key := "Bearer " + fmt.Sprint(n.call(n.key, "POST", "/v1/keys", `{"name":"sender","scopes":["messages:send"]}`, 201)["key"])
	send := func() string {
		t.Helper()
		v := n.call(key, "POST", "/v1/messages", `{"audience":"all","data":1}`, 202)
		if v["awaiting_approval"] != true || v["target"] != nil || v["estimate"] != 1.0 {
			t.Errorf("sent: %v", v)
		}
		return "/v1/messages/" + fmt.Sprint(v["id"])
	}
	first, second := send(), send()
	if l := n.call(n.key, "GET", "/v1/messages?state=awaiting_approval", "", 200); len(asList(l["messages"])) != 2 {
		t.Errorf("messages: %v", l)
	}
	n.call(key, "POST", first+":approve", "", 403)
	if v := n.call(n.key, "POST", first+":approve", "", 200); v["state"] != "scheduled" || v["approval"].(map[string]any)["decided_by"].(map[string]any)["kind"] != "master" {
		t.Errorf("approved: %v", v)
	}
	n.call(n.key, "POST", first+":approve", "", 409)
	n.call(n.key, "POST", second+":reject", `{"reasons":"x"}`, 422)
	if v := n.call(n.key, "POST", second+":reject", `{"reason":"wrong"}`, 200); v["state"] != "rejected" || v["approval"].(map[string]any)["reason"] != "wrong" {
		t.Errorf("rejected: %v", v)
	}
	n.call(n.key, "POST", second+":reject", `{}`, 409)
	n.call(n.key, "POST", "/v1/messages/999999999:approve", "", 404)
	n.call(n.key, "POST", "/v1/messages/x:reject", `{}`, 404)
	n.call("", "POST", first+":approve", "", 401)
	audits := asList(n.call(n.key, "GET", "/v1/audit?operation=rejectMessage", "", 200)["entries"])
	if len(audits) != 1 || "/v1/messages/"+fmt.Sprint(audits[0].(map[string]any)["object"]) != second {
		t.Errorf("audit log: %v", audits)
	}
}
