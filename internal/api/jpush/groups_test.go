package jpush

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func TestGroupPush(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	key, secret := n.group()
	as := func(method, path, body string) answer {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.SetBasicAuth(string(key), secret)
		return n.serve(r)
	}
	a := as("POST", "/v3/grouppush", `{`+toAll+`,`+hello+`,"options":{"sendno":7}}`)
	var out map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.text), &out); err != nil || a.Code != 200 || len(out) != 3 || !digits(strings.Trim(string(out["group_msgid"]), `"`)) {
		t.Fatalf("%d %s", a.Code, a.text)
	}
	if got := string(out[string(n.app)]); !like(`{"msg_id":"…","sendno":"7"}`, got) {
		t.Error(got)
	}
	for app, got := range out {
		if app != string(n.app) && app != "group_msgid" && !like(`{"error":{"code":1011,"message":"…"}}`, string(got)) {
			t.Errorf("%s: %s", app, got)
		}
	}
	as("POST", "/v3/grouppush", `{`+toAll+`}`).refused(t, 400, codeMissing)
	as("POST", "/v3/grouppush/file", `{}`).refused(t, 403, codeForbidden)
	as("GET", "/v3/group/messages/detail?group_msgids=1", ``).refused(t, 403, codeForbidden)
	as("POST", "/v3/push", `{`+toAll+`,`+hello+`}`).refused(t, 403, codeForbidden)
	n.do("POST", "/v3/grouppush", `{`+toAll+`,`+hello+`}`).refused(t, 403, codeForbidden)
	secret = "wrong"
	as("POST", "/v3/grouppush", `{}`).refused(t, 401, codeAuth)
}

func TestOverride(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	first := n.pushed(`{` + toAll + `,` + hello + `}`)
	second := n.pushed(fmt.Sprintf(`{%s,%s,"options":{"override_msg_id":%s,"apns_collapse_id":"c"}}`, toAll, hello, first))
	if v := n.view(second); v.Replaces != first {
		t.Errorf("%+v", v)
	}
	n.do("POST", "/v3/push", `{`+toAll+`,`+hello+`,"options":{"override_msg_id":7}}`).refused(t, 400, codeValue)
}

func TestPushFromTemplate(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "alice")
	_, _, err := n.service.Templates.Put(t.Context(), n.master, "order", api.TemplateRequest{Language: "en", Contents: map[string]herald.Notification{"en": {Title: "Order {{number}}", Body: "is {{state}}"}}})
	must(t, err)
	a := n.do("POST", "/v3/push/template", `{"id":"order","params":[{"keys":{"number":7,"state":"ready"},"audience":{"alias":["alice"]},"trace_id":"t1"},`+
		`{"keys":{"number":8,"state":"ready"},"audience":{"alias":["nobody"]},"trace_id":"t2"},{"audience":"all","trace_id":"t3"},1]}`)
	a.want(t, 200, `{"code":0,"message":"success","data":{"push_list":[{"code":0,"message":"success","message_id":"…","trace_id":"t1"},`+
		`{"code":1011,"message":"…","trace_id":"t2"},{"code":1003,"message":"template.values.number: the template \"order\" has no value for {{number}}","trace_id":"t3"},{"code":1003,"message":"…","trace_id":""}]}}`)
	id, err := herald.ParseMessageID(strings.Split(strings.SplitAfter(a.text, `"message_id":"`)[1], `"`)[0])
	must(t, err)
	if v := n.view(id); v.Notification == nil || v.Notification.Title != "Order 7" || v.Notification.Body != "is ready" {
		t.Errorf("%+v", v.Notification)
	}
	n.do("POST", "/v3/push/template", `{"id":"order"}`).refused(t, 400, codeMissing)
	n.do("POST", "/v3/push/template", `{"id":"order","params":1}`).refused(t, 400, codeValue)
	n.do("POST", "/v3/push/template", `{"id":"order","params":[],"x":1}`).refused(t, 400, codeUnknown)
	n.do("POST", "/v3/push/template", ``).refused(t, 400, codeMissing)
}
