package livetest

import (
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// topicFilters: a filter gets what it selects, once beside other subscriptions
// that select the same, and nothing of another app.
func topicFilters(e *env) {
	m, other := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	c, d := e.subscribe(m, false, "chat/+", "chat/7", "news/#"), e.subscribe(other, false, "chat/8")
	withPresence(e)
	for i, p := range []struct {
		topic   herald.Topic
		devices int
	}{{"chat/7", 1}, {"chat/8", 2}, {"chat/8/x", 0}, {"news", 1}, {"news/a/b", 1}, {"chat", 0}} {
		data := fmt.Sprintf(`"%d"`, i)
		if n := e.publish(App, p.topic, data); n != p.devices {
			e.Fatalf("%d devices of %s, want %d", n, p.topic, p.devices)
		}
		if p.devices > 0 {
			c.expectTopic(p.topic, data)
		}
		if p.devices > 1 {
			d.expectTopic(p.topic, data)
		}
		e.publish("another app", p.topic, `"theirs"`)
		e.present(c, d)
	}
	for name, want := range map[herald.Topic]int64{"chat/7": 1, "chat/8": 2, "news": 1, "other": 0} {
		if n := e.hub.Subscribers(App, name).Len(); n != want {
			e.Fatalf("%d subscribers of %s, want %d", n, name, want)
		}
	}
	id := e.push(Send{Content: Text("the end"), To: []Member{m, other}})
	c.expectMessages(id)
	d.expectMessages(id)
}

// topicPayloads: bytes that came over MQTT are a JSON value, or base64.
func topicPayloads(e *env) {
	c := e.subscribe(e.world.Join(herald.PlatformWeb), false, "raw/#")
	for _, p := range []struct{ payload, data, base64 string }{
		{`{"on": true}`, `{"on":true}`, ""}, {"on", `"on"`, ""}, {"\xff", "", "/w=="},
	} {
		e.hub.Publish(App, live.Publication{Topic: "raw/1", Payload: []byte(p.payload), QoS: 1,
			Props: &live.PublicationProps{ContentType: "x/y", User: []live.UserProperty{{Name: "a", Value: "b"}}}})
		f := c.expect("topic")
		if string(f.Data) != p.data || f.Base64 != p.base64 || f.ContentType != "x/y" || f.Properties["a"] != "b" {
			e.Fatalf("%q came as %+v", p.payload, f)
		}
		e.present(c)
	}
}

// withPresence: a filter has no presence, and takes none from the topics that
// were asked for with it.
func withPresence(e *env) {
	c := e.subscribe(e.world.Join(herald.PlatformWeb), true, "room/+", "room/1")
	if e.harness.Polls {
		e.publish(App, "room/2", "1")
		c.expectTopic("room/2", "1")
	}
	c.expectPresence("room/1", 1)
	c.hangUp()
}
