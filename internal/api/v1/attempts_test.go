package v1

import (
	"fmt"
	"testing"
)

func TestAttemptOperations(t *testing.T) {
	n := newNode(t)
	sent := n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":1,"debug":true}`, 202)
	path := fmt.Sprintf("/v1/messages/%s/attempts", sent["id"])
	v := n.call(n.key, "GET", path, "", 200)
	if v["message_id"] != sent["id"] {
		t.Errorf("attempts of %v: %v", sent["id"], v)
	}
	for _, list := range []string{"outcomes", "attempts", "pending"} {
		if l, ok := v[list].([]any); !ok || len(l) != 0 {
			t.Errorf("%s are %v, want none", list, v[list])
		}
	}
	n.call(n.key, "GET", "/v1/messages/1/attempts", "", 404)
	n.call(n.key, "GET", "/v1/messages/x/attempts", "", 404)
	n.call("", "GET", path, "", 401)
	if v := n.call(n.key, "GET", "/v1/dead_letters?limit=7", "", 200); v["dead_letters"] == nil {
		t.Errorf("dead letters: %v", v)
	}
	n.call(n.key, "GET", "/v1/dead_letters?limit=x", "", 422)
	n.call(n.key, "GET", "/v1/dead_letters?limit=1001", "", 422)
	for _, verb := range []string{"retry", "discard"} {
		path := "/v1/dead_letters:" + verb
		if v := n.call(n.key, "POST", path, `{"vendor":"apns","code":"rejected/BadTopic","step":0}`, 200); fmt.Sprint(v["count"]) != "0" {
			t.Errorf("%s: %v", verb, v)
		}
		if v := n.call(n.key, "POST", path, `{}`, 422); v["field"] != "message_id" {
			t.Errorf("%s of nothing: %v", verb, v)
		}
		n.call(n.key, "POST", path, `{"vendors":"apns"}`, 422)
		n.call(n.key, "POST", path, `{`, 400)
		n.call("", "POST", path, `{"vendor":"apns"}`, 401)
	}
}
