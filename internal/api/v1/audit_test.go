package v1

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/herald-push/herald/internal/record"
)

// told gives the entries of the audit log, oldest first, one a line.
func (n *node) told(query string) []string {
	n.t.Helper()
	var out []string
	for _, v := range asList(n.call(n.key, "GET", "/v1/audit?limit=100&"+query, "", 200)["entries"]) {
		e := v.(map[string]any)
		actor := e["actor"].(map[string]any)
		who := fmt.Sprint(actor["kind"])
		if actor["key_id"] != nil {
			who += " " + fmt.Sprint(actor["key_name"])
		}
		if actor["address"] != "192.0.2.1" {
			n.t.Errorf("the address of %v is %v", e, actor["address"])
		}
		line := who + " " + fmt.Sprint(e["operation"])
		if e["object"] != nil {
			line += " " + fmt.Sprint(e["object"])
		}
		out = append([]string{line}, out...)
	}
	return out
}

// TestAudit: each change of a back end is in the audit log, once, and what is
// refused, read or sent is not.
func TestAudit(t *testing.T) {
	n := newNode(t)
	made := n.call(n.key, "POST", "/v1/keys", `{"name":"ci","scopes":["devices:write","messages:send"]}`, 201)
	id, key := fmt.Sprint(made["id"]), "Bearer "+fmt.Sprint(made["key"])
	want := []string{"master createKey " + id}
	did := func(line string) { want = append(want, line) }

	n.call(n.key, "PATCH", "/v1/app", `{"name":"shop"}`, 200)
	did("master updateApp")
	d := n.call(key, "POST", "/v1/devices", `{"installation":"0123456789abcdef","alias":"anna"}`, 201)
	reg := fmt.Sprint(d["registration_id"])
	did("key ci registerDevice " + reg)
	n.call(key, "PATCH", "/v1/devices/"+reg, `{"language":"en"}`, 200)
	did("key ci updateDevice " + reg)
	n.call(key, "POST", "/v1/tags/vip", `{"add":["`+reg+`"]}`, 200)
	did("key ci changeTag vip")
	n.call(key, "DELETE", "/v1/tags/vip", "", 204)
	did("key ci deleteTag vip")
	n.call(key, "POST", "/v1/aliases/bert", `{"add":["`+reg+`"]}`, 200)
	alias := record.AuditedAlias(n.app, "bert")
	did("key ci changeAlias " + alias)
	n.call(key, "PUT", "/v1/recipients/bert/addresses", `{"phone":"13800138000"}`, 200)
	did("key ci putAddresses " + alias)
	if list := asList(n.call(n.key, "GET", "/v1/recipients/bert/addresses", "", 200)["addresses"]); len(list) != 1 || list[0].(map[string]any)["token"] != "+8613800138000" {
		t.Errorf("bert has the addresses %v", list)
	}
	n.call(key, "DELETE", "/v1/recipients/bert/addresses/phone", "", 204)
	did("key ci deleteAddress " + alias)
	n.call(key, "PUT", "/v1/segments/vips", `{"audience":{"tags":["vip"]}}`, 201)
	did("key ci putSegment vips")
	n.call(key, "DELETE", "/v1/segments/vips", "", 204)
	did("key ci deleteSegment vips")
	m := n.call(key, "POST", "/v1/messages", `{"audience":"all","data":1}`, 202)
	n.call(key, "DELETE", "/v1/messages/"+fmt.Sprint(m["id"]), "", 200)
	did("key ci withdrawMessage " + fmt.Sprint(m["id"]))
	s := fmt.Sprint(n.call(key, "POST", "/v1/schedules", `{"name":"n","trigger":{"cron":"@yearly"},"message":{"audience":"all","data":1}}`, 201, "Idempotency-Key: k")["id"])
	did("key ci createSchedule " + s)
	n.call(key, "POST", "/v1/schedules/"+s+":pause", "", 200)
	did("key ci pauseSchedule " + s)
	n.call(key, "DELETE", "/v1/schedules/"+s, "", 204)
	did("key ci deleteSchedule " + s)
	n.call(key, "DELETE", "/v1/devices/"+reg, "", 204)
	did("key ci removeDevice " + reg)
	n.call(n.key, "POST", "/v1/keys/"+id+"/rotate", `{}`, 200)
	did("master rotateKey " + id)
	n.call(n.key, "PATCH", "/v1/keys/"+id, `{"networks":["192.0.2.1"]}`, 200)
	did("master updateKey " + id)
	n.call(n.key, "DELETE", "/v1/keys/"+id, "", 204)
	did("master deleteKey " + id)

	// None of these is in it.
	n.call(n.key, "DELETE", "/v1/keys/"+id, "", 404)
	n.call(n.key, "PATCH", "/v1/app", `{"name":""}`, 422)
	n.call(n.key, "GET", "/v1/keys", "", 200)
	own := n.call("", "POST", "/v1/devices", `{"app_key":"`+string(n.app)+`"}`, 201)
	n.call("Bearer "+fmt.Sprint(own["token"]), "PATCH", "/v1/devices/"+fmt.Sprint(own["registration_id"]), `{"language":"en"}`, 200)

	if got := n.told(""); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the audit log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for query, lines := range map[string]int{
		"actor=master": 5, "actor=key": 14, "actor=" + id: 14, "operation=deleteKey": 1, "object=" + id: 4, "object=" + url.QueryEscape(alias): 3,
		"alias=bert": 3, "alias=anna": 0, "since=2001-01-01T00:00:00Z": 19, "until=2001-01-01T00:00:00Z": 0,
	} {
		if got := n.told(query); len(got) != lines {
			t.Errorf("%s: %q, want %d", query, got, lines)
		}
	}
}

func TestAuditPages(t *testing.T) {
	n := newNode(t)
	for range 5 {
		n.call(n.key, "PATCH", "/v1/app", `{"device_tags":true}`, 200)
	}
	seen, cursor := map[string]bool{}, ""
	for range 3 {
		page := n.call(n.key, "GET", "/v1/audit?limit=2&cursor="+cursor, "", 200)
		for _, e := range asList(page["entries"]) {
			seen[fmt.Sprint(e.(map[string]any)["id"])] = true
		}
		if page["next_cursor"] == nil {
			cursor = ""
			break
		}
		cursor = fmt.Sprint(page["next_cursor"])
	}
	if len(seen) != 5 || cursor != "" {
		t.Errorf("%d entries on three pages, and then %q", len(seen), cursor)
	}
	key := "Bearer " + fmt.Sprint(n.call(n.key, "POST", "/v1/keys", `{"name":"all","scopes":["messages:send","messages:read","devices:read","devices:write","receipts:write"]}`, 201)["key"])
	n.call(key, "GET", "/v1/audit", "", 403)
	n.call("", "GET", "/v1/audit", "", 401)
	for _, bad := range []string{"limit=0", "limit=x", "cursor=x", "cursor=-1", "since=today", "until=1", "object=a&alias=b", "what=1"} {
		if v := n.call(n.key, "GET", "/v1/audit?"+bad, "", 422); v["status"] != 422.0 {
			t.Errorf("%s: %v", bad, v)
		}
	}
}

// TestAuditChanges: what was and what is, without what is long or secret.
func TestAuditChanges(t *testing.T) {
	n := newNode(t)
	made := n.call(n.key, "POST", "/v1/keys", `{"name":"ci","scopes":["messages:send"],"networks":["192.0.2.0/24"]}`, 201)
	path := "/v1/keys/" + fmt.Sprint(made["id"])
	turned := n.call(n.key, "POST", path+"/rotate", `{"keep":60}`, 200)
	n.call(n.key, "PATCH", path, `{"name":"cd","networks":[]}`, 200)
	n.call(n.key, "PATCH", "/v1/app", `{"name":"shop","origins":["https://`+strings.Repeat("a", 2000)+`.example"]}`, 200)
	entries := asList(n.call(n.key, "GET", "/v1/audit", "", 200)["entries"])
	text := fmt.Sprint(entries)
	for _, secret := range []any{made["key"], turned["key"]} {
		if part := strings.Split(fmt.Sprint(secret), ".")[3]; strings.Contains(text, part) {
			t.Error("a secret is in the audit log")
		}
	}
	for i, want := range []string{
		"map[name:map[new:shop old:test] origins:map[]]",
		"map[name:map[new:cd old:ci] networks:map[old:[192.0.2.0/24]]]",
		"map[old_secret_until:map[new:" + fmt.Sprint(turned["old_secret_until"]) + "]]",
		"map[name:map[new:ci] networks:map[new:[192.0.2.0/24]] scopes:map[new:[messages:send]]]",
	} {
		if got := fmt.Sprint(entries[i].(map[string]any)["changes"]); got != want {
			t.Errorf("entry %d: %s, want %s", i, got, want)
		}
	}
}
