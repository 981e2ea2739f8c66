package v1

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/retained"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/topiclog"
)

// nobody is the presence of a node without connections.
type nobody struct{}

func (nobody) Online(herald.AppKey) *sets.Set                        { return sets.New() }
func (nobody) Transports(herald.AppKey, herald.Ordinal) []string     { return nil }
func (nobody) Offered(herald.AppKey, herald.Ordinal) herald.Pos      { return 0 }
func (nobody) Rebind(herald.AppKey, herald.Ordinal, herald.Pos)      {}
func (nobody) Disconnect(herald.AppKey, herald.Ordinal, live.Reason) {}

// counted is who is subscribed to topics on a node with one such topic.
type counted struct{ published []live.Publication }

func (c *counted) PublishThen(_ herald.AppKey, p live.Publication, then func(int, error)) {
	c.published = append(c.published, p)
	then(c.Topic("", p.Topic).Devices, nil)
}

// keep keeps a publication as the retained one of its topic.
func (n *node) keep(topic herald.Topic, text string) {
	done := make(chan error, 1)
	n.keeper.Keep(n.app, &record.TopicEntry{Topic: topic, Payload: []byte(text)}, func(err error) { done <- err })
	must(n.t, <-done)
}

// persistent keeps sessions.
func persistent(t *testing.T, s topiclog.Store) *topiclog.Log {
	l := topiclog.New(topiclog.Config{Store: s})
	t.Cleanup(l.Close)
	return l
}

// keeper keeps retained publications.
func keeper(t *testing.T, s retained.Store) *retained.Keeper {
	k := retained.New(retained.Config{Store: s})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return k
}

func (*counted) Topic(_ herald.AppKey, t herald.Topic) live.TopicCount {
	if t == "chat/7, the room" {
		return live.TopicCount{Topic: t, Devices: 2, Sessions: 3}
	}
	return live.TopicCount{Topic: t}
}

func (c *counted) Topics(_ herald.AppKey, prefix string, after herald.Topic, _ int) []live.TopicCount {
	t := c.Topic("", "chat/7, the room")
	if t.Topic <= after || !strings.HasPrefix(string(t.Topic), prefix) {
		return nil
	}
	return []live.TopicCount{t}
}

func (*counted) Recheck(herald.AppKey) {}

// node is the API over the real service and a store in a temporary folder.
type node struct {
	t   *testing.T
	mux *http.ServeMux
	app herald.AppKey
	key string // Authorization of the app's master secret

	registry *registry.Registry
	counted
	keeper *retained.Keeper
}

func newNode(t *testing.T) *node {
	ctx := t.Context()
	log := slog.New(slog.DiscardHandler)
	var reg *registry.Registry
	var disp atomic.Pointer[dispatch.Dispatcher]
	db, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(t.TempDir(), "herald.db"), Log: log,
		OnSets: func(app herald.AppKey, e record.SetLogEntry) {
			if reg != nil {
				reg.OnSets(app, e)
			}
		},
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			if d := disp.Load(); d != nil {
				d.OnRelease(app, pos)
			}
		}})
	must(t, err)
	reg = registry.New(registry.Config{Store: db, ServerKey: []byte(strings.Repeat("k", 32)), Log: log})
	must(t, reg.Load(ctx))
	ledger := receipt.New(receipt.Config{Store: db, Messages: db, DeadAt: reg.DeadAt, Log: log})
	backlog := offline.New(offline.Config{Store: db, Ledger: ledger, Registry: reg})
	evaluator := audience.New(audience.Config{Registry: reg, Online: nobody{}.Online})
	var service *api.Service
	d, err := dispatch.New(ctx, dispatch.Config{Store: db, Ledger: ledger, Registry: reg, Evaluate: api.Evaluate(evaluator), GroupLimit: 100, Log: log,
		Make: func(ctx context.Context, s *record.Schedule, at time.Time) (dispatch.Request, error) {
			return service.Schedules.Make(ctx, s, at)
		}})
	must(t, err)
	disp.Store(d)
	must(t, d.Start(ctx))
	t.Cleanup(func() {
		d.Close()
		must(t, ledger.Close(context.Background()))
		must(t, db.Close())
	})
	row, secret, err := reg.CreateApp(ctx, "test")
	must(t, err)
	must(t, d.Follow(ctx, row.Key))
	n := &node{t: t, mux: http.NewServeMux(), app: row.Key, registry: reg}
	n.keeper = keeper(t, db)
	service = api.New(api.Config{Registry: reg, Audience: evaluator, Dispatch: d, Ledger: ledger, Backlog: backlog, Presence: nobody{}, Subscriptions: &n.counted, Messages: db, Audits: db, Groups: db, Templates: db, Retained: n.keeper, Sessions: persistent(t, db), Attempts: db, Log: log})
	New(Config{Service: service}).Mount(n.mux)
	req := httptest.NewRequest("GET", "/", nil)
	req.SetBasicAuth(string(row.Key), secret)
	n.key = req.Header.Get("Authorization")
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// call sends a request and checks the status; it gives the answer.
func (n *node) call(as, method, target, body string, status int, headers ...string) map[string]any {
	n.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(strings.ReplaceAll(body, "APP", string(n.app))))
	req.Header = http.Header{}
	if as != "" {
		req.Header.Set("Authorization", as)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	n.mux.ServeHTTP(rec, req)
	if rec.Code != status {
		n.t.Errorf("%s %s: got %d, want %d: %s", method, target, rec.Code, status, rec.Body)
	}
	if strings.Contains(rec.Body.String(), ":null") && !strings.Contains(rec.Body.String(), `"target":null`) {
		n.t.Errorf("%s %s: a member is null that the document says is not: %s", method, target, rec.Body)
	}
	if status >= 400 {
		problemOf(n.t, rec)
	}
	out := map[string]any{}
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
			n.t.Errorf("%s %s: %v", method, target, err)
		}
	}
	return out
}

// TestEveryOperation goes through the API as a caller would, over the real
// service.
func TestEveryOperation(t *testing.T) {
	n := newNode(t)
	reg := n.call("", "POST", "/v1/devices", `{"app_key":"APP","installation":"0123456789abcdef","platform":"web","language":"en-GB"}`, 201)
	again := n.call("", "POST", "/v1/devices", `{"app_key":"APP","installation":"0123456789abcdef","platform":"web"}`, 200)
	id, token := fmt.Sprint(reg["registration_id"]), "Bearer "+fmt.Sprint(again["token"])
	if again["registration_id"] != id || reg["created"] != true || again["created"] != false {
		t.Errorf("registered as %v, then %v", reg, again)
	}
	n.call("", "POST", "/v1/devices", `{"app_key":"nobody"}`, 401)

	n.call(token, "GET", "/v1/devices/"+id, "", 200)
	n.call(n.key, "PATCH", "/v1/devices/"+id, `{"alias":"u/1","tags_add":["标 签/%#"],"attributes":{"plan":"gold"}}`, 200)
	if l := n.call(n.key, "GET", "/v1/devices?tag=%E6%A0%87%20%E7%AD%BE%2F%25%23&limit=1", "", 200); len(asList(l["devices"])) != 1 {
		t.Errorf("devices with the tag: %v", l)
	}
	if l := n.call(n.key, "GET", "/v1/devices?alias=nobody", "", 200); len(asList(l["devices"])) != 0 {
		t.Errorf("devices of no alias: %v", l)
	}
	if v := n.call(n.key, "GET", "/v1/aliases/u%2F1", "", 200); v["alias"] != "u/1" || len(asList(v["devices"])) != 1 {
		t.Errorf("alias: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/tags/%E6%A0%87%20%E7%AD%BE%2F%25%23", "", 200); v["tag"] != "标 签/%#" || v["devices"] != 1.0 {
		t.Errorf("tag: %v", v)
	}
	if v := n.call(n.key, "POST", "/v1/tags/vip", `{"add":["`+id+`"]}`, 200); v["added"] != 1.0 {
		t.Errorf("tagged: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/tags?prefix=v", "", 200); len(asList(v["tags"])) != 1 {
		t.Errorf("tags: %v", v)
	}
	n.call(n.key, "GET", "/v1/tags?prefix=none", "", 200)
	n.call(n.key, "GET", "/v1/tags/none", "", 404)
	n.call(n.key, "DELETE", "/v1/tags/%E6%A0%87%20%E7%AD%BE%2F%25%23", "", 204)
	n.call(n.key, "POST", "/v1/aliases/u2", `{"add":["`+id+`"]}`, 200)

	if v := n.call(n.key, "POST", "/v1/audience/estimate", `{"audience":{"tags":["vip"]}}`, 200); v["devices"] != 1.0 {
		t.Errorf("estimate: %v", v)
	}
	n.sendAndFollow(id, token)

	n.call(n.key, "DELETE", "/v1/aliases/u2", "", 204)
	n.call(n.key, "DELETE", "/v1/devices/"+id, "", 204)
	n.call(n.key, "GET", "/v1/devices/"+id, "", 404)
	n.call(token, "GET", "/v1/devices/"+id, "", 401)
}

func (n *node) sendAndFollow(id, token string) {
	t := n.t
	body := `{"audience":{"aliases":["u2"]},"notification":{"title":"Hello"},"data":{"a":1}}`
	sent := n.call(n.key, "POST", "/v1/messages", body, 202, "Idempotency-Key: k1")
	repeated := n.call(n.key, "POST", "/v1/messages", body, 202, "Idempotency-Key: k1")
	if sent["target"] != 1.0 || sent["stored"] != true || repeated["id"] != sent["id"] {
		t.Errorf("sent %v, then %v", sent, repeated)
	}
	n.call(n.key, "POST", "/v1/messages", strings.Replace(body, "Hello", "Bye", 1), 409, "Idempotency-Key: k1")
	later := n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":1,"send_at":"2999-01-01T00:00:00Z"}`, 422)
	if later["field"] != "send_at" {
		t.Errorf("too far ahead: %v", later)
	}
	n.call(n.key, "POST", "/v1/messages", `{"audience":{"tags":["none"]},"data":1,"require_target":true}`, 422)
	n.call(n.key, "POST", "/v1/messages", `{"audience":"all"}`, 422)
	n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":"`+strings.Repeat("x", herald.MaxMessageBytes)+`"}`, 413)
	n.call(token, "POST", "/v1/messages", body, 403)
	n.call("", "POST", "/v1/messages", body, 401)
	n.call("Bearer nope", "GET", "/v1/app", "", 401)

	at := "/v1/messages/" + fmt.Sprint(sent["id"])
	if l := n.call(n.key, "GET", "/v1/messages?state=sending&limit=1", "", 200); len(asList(l["messages"])) != 1 {
		t.Errorf("messages: %v", l)
	}
	receipts := n.call(token, "POST", "/v1/receipts", `{"receipts":[{"id":"`+fmt.Sprint(sent["id"])+`","event":"displayed"}]}`, 200)
	view := n.call(n.key, "GET", at, "", 200)
	if counts := view["counts"].(map[string]any); receipts["accepted"] != 1.0 || counts["displayed"] != 1.0 || counts["target"] != 1.0 {
		t.Errorf("receipts %v, counts %v", receipts, counts)
	}
	if tr := n.call(n.key, "GET", at+"/devices/"+id, "", 200); tr["state"] != "displayed" || tr["summary"] == "" {
		t.Errorf("trace: %v", tr)
	}
	open := n.call(n.key, "POST", "/v1/messages", `{"audience":"all","data":1}`, 202)
	if v := n.call(n.key, "DELETE", "/v1/messages/"+fmt.Sprint(open["id"]), "", 200); v["state"] != "withdrawn" {
		t.Errorf("withdrawn: %v", v)
	}
	n.call(n.key, "GET", "/v1/messages/999999999", "", 404)
	n.call(n.key, "DELETE", "/v1/messages/999999999", "", 404)
	n.call(n.key, "GET", "/v1/messages?cursor=x", "", 422)
}

func TestTopics(t *testing.T) {
	n := newNode(t)
	reg := n.call("", "POST", "/v1/devices", `{"app_key":"APP"}`, 201)
	id, token := fmt.Sprint(reg["registration_id"]), "Bearer "+fmt.Sprint(reg["token"])
	if v := n.call(n.key, "POST", "/v1/publish", `{"topic":"chat/7, the room", "data": {"text": "<Hi>"} }`, 202); v["topic"] != "chat/7, the room" || v["devices"] != 2.0 {
		t.Errorf("published: %v", v)
	}
	if v := n.call(n.key, "POST", "/v1/publish", `{"topic":"nobody","data":null}`, 202); v["devices"] != 0.0 {
		t.Errorf("published to nobody: %v", v)
	}
	n.call(token, "POST", "/v1/publish", `{"topic":"mine/`+id+`","data":1}`, 403)
	if v := n.call(n.key, "PATCH", "/v1/app", `{"topics":{"publish":["mine/{registration_id}"]}}`, 200); fmt.Sprint(v["topics"]) != "map[publish:[mine/{registration_id}] subscribe:[#]]" {
		t.Errorf("app: %v", v)
	}
	n.call(token, "POST", "/v1/publish", `{"topic":"mine/`+id+`","data":1}`, 202)
	if v := n.call(token, "POST", "/v1/publish", `{"topic":"chat/7","data":1}`, 403); !strings.Contains(fmt.Sprint(v["remedy"]), "topics.publish") {
		t.Errorf("refused: %v", v)
	}
	if got := n.published; len(got) != 3 || string(got[0].Data) != `{"text":"<Hi>"}` || got[0].From != "" || got[2].From != herald.RegistrationID(id) {
		t.Errorf("published %+v", got)
	}
	n.call("", "POST", "/v1/publish", `{"topic":"a","data":1}`, 401)
	n.call(n.key, "POST", "/v1/publish", `{"topic":"a/+","data":1}`, 422)
	n.call(n.key, "POST", "/v1/publish", `{"topic":"a"}`, 422)
	n.call(n.key, "POST", "/v1/publish", `{"topic":"a","data":"`+strings.Repeat("x", 16<<10)+`"}`, 413)
	n.call(n.key, "PATCH", "/v1/app", `{"topics":{"publish":["a","b/#/c"]}}`, 422)
	n.call(n.key, "POST", "/v1/publish", `{"topic":"a","text":"on","retain":true,"qos":1,"expires_in":60,"content_type":"x/y"}`, 202)
	n.call(n.key, "POST", "/v1/publish", `{"topic":"a","base64":"/w=="}`, 202)
	n.call(n.key, "POST", "/v1/publish", `{"topic":"a","text":"on","data":1}`, 422)
	n.keep("a/b c", "on")
	if v := n.call(n.key, "GET", "/v1/retained?prefix=a/", "", 200); !strings.Contains(fmt.Sprint(v["retained"]), "topic:a/b c") {
		t.Errorf("retained: %v", v)
	}
	if v := n.call(n.key, "GET", "/v1/retained/a%2Fb%20c", "", 200); v["data"] != "on" {
		t.Errorf("retained: %v", v)
	}
	n.call(n.key, "GET", "/v1/retained/a%2F+", "", 422)
	n.call(n.key, "DELETE", "/v1/retained/a%2Fb%20c", "", 204)
	n.call(n.key, "GET", "/v1/retained/a%2Fb%20c", "", 404)
	n.call("", "GET", "/v1/retained", "", 401)
	n.call(n.key, "GET", "/v1/sessions?registration_id=x", "", 404)
	if v := n.call(n.key, "GET", "/v1/sessions?limit=1", "", 200); fmt.Sprint(v["sessions"]) != "[]" {
		t.Errorf("sessions: %v", v)
	}
	n.call(n.key, "GET", "/v1/sessions/a%2F1", "", 404)
	n.call(n.key, "DELETE", "/v1/sessions/a%2F1", "", 404)

	list := func(query string) string { return fmt.Sprint(n.call(n.key, "GET", "/v1/topics"+query, "", 200)) }
	const one = "map[topics:[map[devices:2 sessions:3 topic:chat/7, the room]]]"
	for query, want := range map[string]string{
		"":                                     one,
		"?prefix=chat&limit=1":                 one,
		"?prefix=news":                         "map[topics:[]]",
		"?topic=chat%2F7,%20the%20room":        one,
		"?topic=a&topic=chat/7,+the+room":      "map[topics:[map[devices:0 sessions:0 topic:a] map[devices:2 sessions:3 topic:chat/7, the room]]]",
		"?cursor=chat%2F7%2C%20the%20room%200": "map[topics:[]]",
	} {
		if got := list(query); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	n.call(n.key, "GET", "/v1/topics?topic=", "", 422)
	n.call(n.key, "GET", "/v1/topics?topic=a&topic=%23", "", 422)
	n.call(n.key, "GET", "/v1/topics?topic=a&prefix=a", "", 422)
	n.call(token, "GET", "/v1/topics", "", 403)
	n.call("", "GET", "/v1/topics", "", 401)
}

func TestAppAndKeys(t *testing.T) {
	n := newNode(t)
	if v := n.call(n.key, "GET", "/v1/app", "", 200); v["name"] != "test" {
		t.Errorf("app: %v", v)
	}
	if v := n.call(n.key, "PATCH", "/v1/app", `{"name":"shop","origins":["https://shop.example"]}`, 200); v["name"] != "shop" {
		t.Errorf("app: %v", v)
	}
	made := n.call(n.key, "POST", "/v1/keys", `{"name":"reader","scopes":["messages:read"]}`, 201)
	key := "Bearer " + fmt.Sprint(made["key"])
	n.call(key, "GET", "/v1/messages", "", 200)
	n.call(key, "GET", "/v1/messages", "", 200, "Origin: https://shop.example")
	n.call(key, "GET", "/v1/messages", "", 403, "Origin: https://other.example")
	n.call(key, "POST", "/v1/messages", `{"audience":"all","data":1}`, 403)
	n.call(key, "GET", "/v1/keys", "", 403)
	n.call(n.key, "POST", "/v1/keys", `{"name":"x","scopes":["everything"]}`, 422)
	if l := n.call(n.key, "GET", "/v1/keys", "", 200); len(asList(l["keys"])) != 1 || strings.Contains(fmt.Sprint(l), fmt.Sprint(made["key"])) {
		t.Errorf("keys: %v", l)
	}
	path := "/v1/keys/" + fmt.Sprint(made["id"])
	turned := n.call(n.key, "POST", path+"/rotate", `{}`, 200)
	n.call("Bearer "+fmt.Sprint(turned["key"]), "GET", "/v1/messages", "", 200)
	n.call(key, "GET", "/v1/messages", "", 200)
	if turned["old_secret_until"] == nil || turned["key"] == made["key"] {
		t.Errorf("rotated: %v", turned)
	}
	n.call(key, "POST", path+"/rotate", `{}`, 403)
	n.call(n.key, "POST", path+"/rotate", `{"keep":-1}`, 422)
	n.call(n.key, "POST", path+"/rotate", `{"kept":1}`, 422)
	n.call(n.key, "POST", "/v1/keys/nosuchid/rotate", `{}`, 404)
	// The requests of these tests come from 192.0.2.1.
	if v := n.call(n.key, "PATCH", path, `{"networks":["198.51.100.0/24","192.0.2.2"]}`, 200); fmt.Sprint(v["networks"]) != "[192.0.2.2/32 198.51.100.0/24]" {
		t.Errorf("changed: %v", v)
	}
	if v := n.call(key, "GET", "/v1/messages", "", 403); v["code"] != "address_refused" || !strings.Contains(fmt.Sprint(v["remedy"]), "192.0.2.1.") {
		t.Errorf("from elsewhere: %v", v)
	}
	n.call(n.key, "PATCH", path, `{"networks":["192.0.2.0/24"]}`, 200)
	n.call(key, "GET", "/v1/messages", "", 200)
	n.call(n.key, "PATCH", path, `{"expires_at":"2001-01-01T00:00:00Z"}`, 422)
	n.call(n.key, "PATCH", path, `{"networks":["all"]}`, 422)
	n.call(n.key, "PATCH", "/v1/keys/nosuchid", `{}`, 404)
	n.call(n.key, "DELETE", "/v1/keys/"+fmt.Sprint(made["id"]), "", 204)
	n.call(n.key, "DELETE", "/v1/keys/"+fmt.Sprint(made["id"]), "", 404)
	n.call(key, "GET", "/v1/messages", "", 401)
}
