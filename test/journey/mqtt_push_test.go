package journey_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// pushTopic is where a device gets its pushes, without a subscription.
const pushTopic = "herald/push"

// awaitPush waits for a message on the tape of a client.
func awaitPush(t *testing.T, p *tape, id string) frame {
	t.Helper()
	var f frame
	p.await(t, "push "+id, 0, func(e event) bool {
		f = frame{}
		return e.Event == "publish" && e.Publish.Topic == pushTopic && json.Unmarshal(e.Publish.Payload, &f) == nil && f.Type == "message" && f.ID == id
	})
	return f
}

// TestPushOverMQTT: a device gets its pushes, those that it missed as well;
// PUBACK counts as received, and it says what was displayed.
func TestPushOverMQTT(t *testing.T) {
	b := heraldBroker(t)
	s := b.server
	for _, m := range mqttMakes {
		t.Run(m.name, func(t *testing.T) {
			d := s.register(t)
			c := m.make(t)
			push := func(title string) string {
				return expect[sent](t, s.call(t, "POST", "/v1/messages", s.basic(), object{
					"audience": object{"registration_ids": []string{d.RegistrationID}}, "notification": object{"title": title, "body": "for one"},
				}), http.StatusAccepted).ID
			}
			missed := push("missed")
			c.open(t, b, mqttOpen{id: d.RegistrationID, user: s.context.AppKey, password: d.Token})
			if f := awaitPush(t, c.tape(), missed); f.Notification.Title != "missed" {
				t.Errorf("got %+v", f)
			}
			now := push("now")
			awaitPush(t, c.tape(), now)
			for _, id := range []string{missed, now} {
				s.awaitCounts(t, id, "received", func(n counts) bool { return n.Target == 1 && n.Received == 1 })
			}
			c.publish(t, publication{Topic: "herald/receipt", QoS: 1, Payload: fmt.Appendf(nil, `{"event":"displayed","ids":[%q]}`, now)})
			s.awaitCounts(t, now, "displayed", func(n counts) bool { return n.Displayed == 1 })
			c.away(t)
			c.open(t, b, mqttOpen{id: d.RegistrationID, user: s.context.AppKey, password: d.Token})
			last := push("last")
			awaitPush(t, c.tape(), last)
			all, _ := c.tape().all()
			if n := len(published(all)); n != 3 {
				t.Errorf("%d publications came: %v", n, all)
			}
		})
	}
}

// TestOnePublishReachesAll: what an app server publishes reaches clients of
// MQTT, WebSocket and SSE, and what a client of MQTT publishes does too.
func TestOnePublishReachesAll(t *testing.T) {
	b := heraldBroker(t)
	s := b.server
	client := newNpm(t, 5, "tcp")
	client.open(t, b, b.member(t))
	client.subscribe(t, "demo/all/+", 1)
	conn := dial(t, s, s.register(t).Token+"&topic=demo/all/x")
	for readFrame(t, conn).Type != "subscribed" {
	}
	events := s.listen(t, "/v1/live/sse?topic=demo/all/x&access_token="+s.register(t).Token)
	for (<-events).Type != "subscribed" {
	}
	heard := func(data string) {
		t.Helper()
		if got := readTopic(t, conn); got != data {
			t.Errorf("WebSocket got %s, want %s", got, data)
		}
		for f := range events {
			if f.Type == "topic" {
				if string(f.Data) != data {
					t.Errorf("SSE got %s, want %s", f.Data, data)
				}
				return
			}
		}
		t.Error("the event stream has ended")
	}
	if r := s.call(t, "POST", "/v1/publish", s.basic(), object{"topic": "demo/all/x", "data": object{"n": 1}}); r.status/100 != 2 {
		t.Fatalf("status %d: %s", r.status, r.body)
	}
	awaitPublish(t, client.tape(), 0, "demo/all/x", `{"n":1}`)
	heard(`{"n":1}`)
	client.publish(t, text("demo/all/x", `{"n":2}`, 1))
	heard(`{"n":2}`)
	client.publish(t, text("demo/all/x", "no JSON", 2))
	heard(`"no JSON"`)
}

// readTopic waits for a publication on a WebSocket, and gives its data.
func readTopic(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, b, err := conn.Read(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		var f topicFrame
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatal(err)
		}
		if f.Type == "topic" {
			return string(f.Data)
		}
	}
}

type topicFrame struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// listen reads an event stream until the test ends.
func (s *server) listen(t *testing.T, path string) <-chan topicFrame {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	out, ended := make(chan topicFrame, 64), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(out)
		eachLine(resp.Body, func(line string) {
			var f topicFrame
			if data, ok := strings.CutPrefix(line, "data:"); ok && json.Unmarshal([]byte(data), &f) == nil {
				out <- f
			}
		})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		_ = resp.Body.Close()
		client.CloseIdleConnections()
	})
	return out
}

// TestAppsAreApartOverMQTT: neither a subscription to everything, nor what is
// retained, nor a will reaches another app.
func TestAppsAreApartOverMQTT(t *testing.T) {
	b := heraldBroker(t)
	s := b.server
	other := s.anotherApp(t)
	hears, says, their := newNpm(t, 5, "tcp"), newNpm(t, 4, "tcp"), newPaho(t)
	o := b.member(t)
	o.will = &publication{Topic: "demo/apart/will", Payload: []byte("ours"), QoS: 1}
	says.open(t, b, o)
	says.publish(t, publication{Topic: "demo/apart/kept", Payload: []byte("ours"), QoS: 1, Retain: true})
	hears.open(t, b, other(t))
	hears.subscribe(t, "demo/#", 2)
	hears.subscribe(t, "$share/g/demo/apart/+", 2)
	says.publish(t, text("demo/apart/now", "ours", 2))
	says.cut(t)
	watch := newNpm(t, 5, "tcp")
	watch.open(t, b, b.member(t))
	watch.subscribe(t, "demo/apart/#", 1)
	awaitPublish(t, watch.tape(), 0, "demo/apart/kept", "ours")
	their.open(t, b, other(t))
	their.publish(t, text("demo/apart/end", "theirs", 2))
	awaitPublish(t, hears.tape(), 0, "demo/apart/end", "theirs")
	all, _ := hears.tape().all()
	if slices.ContainsFunc(published(all), func(e event) bool { return string(e.Publish.Payload) != "theirs" }) {
		t.Errorf("another app's: %v", all)
	}
}

// anotherApp makes an app, and gives how its devices connect.
func (s *server) anotherApp(t *testing.T) func(t *testing.T) mqttOpen {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "herald-data", "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var run struct{ Ops, Token string }
	if err := json.Unmarshal(b, &run); err != nil {
		t.Fatal(err)
	}
	to := &server{url: run.Ops}
	app := expect[struct {
		Key    string `json:"app_key"`
		Secret string `json:"master_secret"`
	}](t, to.call(t, "POST", "/admin/apps", "Bearer "+run.Token, object{"name": "other"}), http.StatusOK)
	their := &server{url: s.url}
	their.context.AppKey, their.context.MasterSecret = app.Key, app.Secret
	their.rules(t, "demo/#")
	return func(t *testing.T) mqttOpen {
		t.Helper()
		d := their.register(t)
		return mqttOpen{id: d.RegistrationID, user: app.Key, password: d.Token}
	}
}

// eachLine reads lines until there are no more.
func eachLine(r io.Reader, do func(string)) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		do(lines.Text())
	}
}
