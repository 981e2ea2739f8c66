package livetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// Rule sets the rules of topics; at first they are the defaults.
func (w *World) Rule(r herald.TopicRules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rules = r
}

// MayUse asks the rules.
func (w *World) MayUse(d live.Device, v herald.TopicVerb, t herald.Topic) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rules.Allow(v, t, d.ID, d.Alias) {
		return nil
	}
	return herald.Errorf(herald.CodeForbidden, "Ask for it.", "no device may %s to the topic %.60q", string(v), string(t))
}

// AddTopics puts the topics into the query of a request.
func (d Dial) AddTopics(query url.Values) {
	for _, name := range d.Topics {
		query.Add("topic", string(name))
	}
	if d.Presence {
		query.Set("presence", "1")
	}
}

// topicCells are what every transport does with topics.
var topicCells = []cell{
	{name: "named in the request", run: topicsOfRequest, needs: []need{head, frames}},
	{name: "refused in the request", run: topicsRefused, needs: []need{head, frames}},
	{name: "none of another app", run: topicsOfAnotherApp},
	{name: "presence", run: topicPresence, needs: []need{frames}},
	{name: "messages beside them", run: topicsAndMessages},
	{name: "rules that change", run: topicsRechecked, needs: []need{lasts, frames}},
	{name: "a slow consumer", run: topicsDropped, opts: smallQueue, needs: []need{lasts}},
	{name: "said in frames", run: topicFrames, needs: []need{sends, frames}},
	{name: "filters", run: topicFilters, needs: []need{frames}},
	{name: "payloads", run: topicPayloads, needs: []need{frames}},
}

// subscribe opens a session that is subscribed, by its request or else by a frame.
func (e *env) subscribe(m Member, presence bool, names ...herald.Topic) *client {
	e.Helper()
	var c *client
	if _, head := e.transport.(live.Endpoint); head && !e.harness.Packets {
		c = e.open(Dial{Token: m.Token, Topics: names, Presence: presence})
	} else {
		list, err := json.Marshal(names)
		if err != nil {
			e.Fatal(err)
		}
		c = e.connect(m)
		c.send(`{"type":"subscribe","topics":%s,"presence":%v}`, list, presence)
	}
	if !e.harness.Polls {
		c.expectTopics("subscribed", "", names...)
	}
	synctest.Wait()
	return c
}

// expectTopics takes an answer about these topics.
func (c *client) expectTopics(kind, ref string, names ...herald.Topic) {
	c.e.Helper()
	if f := c.expect(kind); fmt.Sprint(f.Topics) != fmt.Sprint(names) || f.Ref != ref {
		c.e.Fatalf("got %+v, want %s of %v", f, kind, names)
	}
}

func (c *client) expectPresence(name herald.Topic, devices int) {
	c.e.Helper()
	if f := c.expect("presence"); f.Topic != name || f.Devices != devices {
		c.e.Fatalf("got %+v, want %d devices of %s", f, devices, name)
	}
}

// expectTopic takes a publication, and gives the device that it is from.
func (c *client) expectTopic(name herald.Topic, data string) herald.RegistrationID {
	c.e.Helper()
	f := c.expect("topic")
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", f.Time); err != nil || f.Topic != name || string(f.Data) != data || f.ID != 0 || f.Cursor != "" {
		c.e.Fatalf("got %+v, want %s in %s (%v)", f, data, name, err)
	}
	return f.From
}

// publish publishes as an app server does, and tells how many devices it reached.
func (e *env) publish(key herald.AppKey, name herald.Topic, data string) int {
	defer synctest.Wait()
	return e.hub.Publish(key, live.Publication{Topic: name, Data: json.RawMessage(data)})
}

func topicsOfRequest(e *env) {
	m, other := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	c, nobody := e.subscribe(m, false, "chat/7", "chat/ü & <8>"), e.connect(other)
	for name, data := range map[herald.Topic]string{"chat/7": `{"text":"a <b> & ü\n"}`, "chat/ü & <8>": "null"} {
		if n := e.publish(App, name, data); n != 1 {
			e.Fatalf("%d devices of %s, want 1", n, name)
		}
		if from := c.expectTopic(name, data); from != "" {
			e.Fatalf("from %q, want nobody", from)
		}
		e.present(c)
	}
	if n := e.publish(App, "chat/9", "1"); n != 0 {
		e.Fatalf("%d devices, want none", n)
	}
	e.present(c, nobody)
	id := e.push(Send{Content: Text("the end"), To: []Member{m, other}})
	c.expectMessages(id)
	nobody.expectMessages(id)
}

// topicsRefused: by the answer to the request, where there is one that a client
// can read; else by a frame.
func topicsRefused(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	e.world.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/+"}})
	for _, r := range []struct {
		name   herald.Topic
		code   string
		status int
	}{
		{"secret", "forbidden", 403}, {"chat/#/7", "invalid_request", 400}, {"", "invalid_request", 400},
		{herald.Topic(strings.Repeat("x", herald.MaxTopicBytes+1)), "invalid_request", 400},
	} {
		c, err := e.tryDial(Dial{Token: m.Token, Topics: []herald.Topic{"chat/7", r.name}})
		refused := (*Refused)(nil)
		switch {
		case e.harness.TwoWay:
			c.expect("welcome")
			if f := c.expect("error"); f.Code != r.code || f.Field != "topic" || !strings.Contains(f.Detail, fmt.Sprintf("%.60q", string(r.name))) {
				e.Fatalf("%.20q: got %+v", r.name, f)
			}
			c.hangUp()
		default:
			if e.harness.Polls {
				_, err = c.Next()
			}
			// The field is the parameter that the client wrote.
			if !errors.As(err, &refused) || refused.Status != r.status || refused.Code != r.code || refused.Field != "topic" {
				e.Fatalf("%.20q: got %+v, %v", r.name, refused, err)
			}
		}
		if list := e.hub.Topics(App, "", "", 9); len(list) != 0 {
			e.Fatalf("%.20q: subscribed to %+v", r.name, list)
		}
	}
}

func topicsOfAnotherApp(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.subscribe(m, false, "chat/7")
	if n := e.publish("another app", "chat/7", `"theirs"`); n != 0 {
		e.Fatalf("%d devices of an app that has none", n)
	}
	if n := e.hub.Subscribers("another app", "chat/7").Len(); n != 0 {
		e.Fatalf("%d subscribers of an app that has none", n)
	}
	e.publish(App, "chat/7", `"ours"`)
	c.expectTopic("chat/7", `"ours"`)
}

// topicPresence: who polls is told with each answer, which a publication to
// another topic brings about.
func topicPresence(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.subscribe(m, true, "chat/7", "chat/8")
	expect := func(devices int) {
		e.Helper()
		if e.harness.Polls {
			e.present(c)
			e.publish(App, "chat/8", "1")
			c.expectTopic("chat/8", "1")
			c.expectPresence("chat/7", devices)
			c.expectPresence("chat/8", 1)
			return
		}
		c.expectPresence("chat/7", devices)
	}
	expect(1)
	if !e.harness.Polls {
		c.expectPresence("chat/8", 1)
	}
	other := e.subscribe(e.world.Join(herald.PlatformWeb), false, "chat/7")
	expect(2)
	other.hangUp()
	expect(1)
}

// topicsAndMessages: a publication acknowledges no message, and loses none.
func topicsAndMessages(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.subscribe(m, false, "chat/7")
	first := e.push(Send{Content: Text("first"), To: []Member{m}})
	c.expectMessages(first)
	e.present(c)
	e.publish(App, "chat/7", "1")
	c.expectTopic("chat/7", "1")
	e.present(c)
	second := e.push(Send{Content: Text("second"), To: []Member{m}})
	c.expectMessages(second)
	c.hangUp()
	e.connect(m).expectMessages(e.left(m, first, second)...)
}

func topicsRechecked(e *env) {
	c := e.subscribe(e.world.Join(herald.PlatformWeb), false, "chat/7", "chat/8")
	e.world.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/8"}})
	e.hub.Recheck(App)
	if f := c.expect("error"); f.Code != "forbidden" || f.Field != "topic" || !strings.Contains(f.Detail, `"chat/7"`) {
		e.Fatalf("got %+v", f)
	}
	e.publish(App, "chat/7", "7")
	e.publish(App, "chat/8", "8")
	c.expectTopic("chat/8", "8")
}

// topicsDropped: who does not read misses publications, and no message.
func topicsDropped(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.subscribe(m, false, "chat/7")
	const publications = 100
	for i := range publications {
		e.publish(App, "chat/7", fmt.Sprintf(`"%0200d"`, i))
	}
	missed := int(e.hub.Dropped())
	if missed == 0 || missed == publications {
		e.Fatalf("%d of %d were dropped", missed, publications)
	}
	id := e.push(Send{Content: Text("a message"), To: []Member{m}})
	for range publications - missed {
		c.expect("topic")
	}
	c.expectMessages(id)
	synctest.Wait()
	e.publish(App, "chat/7", `"again"`)
	c.expectTopic("chat/7", `"again"`)
}

func topicFrames(e *env) {
	e.world.Rule(herald.TopicRules{Publish: []herald.TopicFilter{"chat/#"}})
	m, other := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	c, d := e.connect(m), e.connect(other)
	c.send(`{"type":"subscribe","topics":["chat/7"],"presence":true,"ref":"s"}`)
	c.expectTopics("subscribed", "s", "chat/7")
	c.expectPresence("chat/7", 1)
	d.send(`{"type":"publish","topic":"chat/7","data":{"text":"Hello"},"ref":"p"}`)
	if f := d.expect("published"); f.Ref != "p" {
		e.Fatalf("got %+v", f)
	}
	if from := c.expectTopic("chat/7", `{"text":"Hello"}`); from != other.ID {
		e.Fatalf("from %q, want %q", from, other.ID)
	}
	d.send(`{"type":"publish","topic":"news","data":1,"ref":"q"}`)
	if f := d.expect("error"); f.Code != "forbidden" || f.Ref != "q" || f.Field != "topic" {
		e.Fatalf("got %+v", f)
	}
	// The field of an error is the member that the client wrote.
	for _, r := range []struct{ frame, field, code string }{
		{`{"type":"subscribe","topics":["chat/7","a/#/b"],"ref":"x"}`, "topics", "invalid_request"},
		{`{"type":"subscribe","topics":["$sys"],"ref":"x"}`, "topics", "invalid_request"},
		{`{"type":"subscribe","topics":[],"ref":"x"}`, "topics", "invalid_request"},
		{`{"type":"unsubscribe","topics":[],"ref":"x"}`, "topics", "invalid_request"},
		{`{"type":"publish","topic":"chat/+","data":1,"ref":"x"}`, "topic", "invalid_request"},
		{`{"type":"publish","topic":"","data":1,"ref":"x"}`, "topic", "invalid_request"},
	} {
		d.send("%s", r.frame)
		if f := d.expect("error"); f.Code != r.code || f.Field != r.field || f.Ref != "x" {
			e.Fatalf("%s: got %+v", r.frame, f)
		}
	}
	c.send(`{"type":"unsubscribe","topics":["chat/7"],"ref":"u"}`)
	c.expectTopics("unsubscribed", "u", "chat/7")
	e.publish(App, "chat/7", "1")
	c.send(`{"type":"ping"}`)
	c.expect("pong")
}
