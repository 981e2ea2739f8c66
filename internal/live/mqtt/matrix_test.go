package mqtt_test

import (
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// TestRulesMatrix: what each kind of device may do with each kind of topic, by
// each verb, in each version. A rule holds for all verbs of its list.
func TestRulesMatrix(t *testing.T) {
	rules := herald.TopicRules{
		Subscribe: []herald.TopicFilter{"open/#", "user/{alias}/#", "device/{registration_id}/+"},
		Publish:   []herald.TopicFilter{"open/+", "user/{alias}/up", "device/{registration_id}/#"},
	}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for role, alias := range map[string]herald.Alias{"anna": "anna", "nobody": "", "tricky": "anna/up", "wild": "+"} {
			t.Run(role, func(t *testing.T) {
				inHall(t, mqtt.Config{}, func(h *hall) {
					h.world.Rule(rules)
					m := h.world.Join(herald.PlatformWeb)
					h.world.Bind(m, alias)
					anna, own := alias == "anna", "device/"+string(m.ID)
					for _, c := range []struct {
						topic              string
						subscribe, publish bool
					}{
						{"open/a", true, true},
						{"open/a/b", true, false},
						{"open/+/b", true, false},
						{"open", true, false},
						{"#", false, false},
						{"+/a", false, false},
						{"user/anna/up", anna, anna},
						{"user/anna/down", anna, false},
						{"user/anna/#", anna, false},
						{"user/+/up", false, false},
						{"user/ben/up", false, false},
						{own + "/x", true, true},
						{own + "/+", true, false},
						{own + "/#", false, false},
						{"$share/g/" + own + "/x", true, false},
						{"$share/g/user/anna/up", anna, false},
						{"$share/g/#", false, false},
					} {
						h.verbs(m, rules, v, c.topic, c.subscribe, c.publish)
					}
				})
			})
		}
	}
}

// verbs tries all of them.
func (h *hall) verbs(m livetest.Member, rules herald.TopicRules, v packet.Version, topic string, subscribe, publish bool) {
	h.Helper()
	u := h.call(m, "one", v)
	u.connect()
	u.send(sub(1, filter(topic, 1)))
	codes := u.packets()[0].(*packet.Suback).Codes
	if codes[0] < 0x80 != subscribe {
		h.Errorf("version %d: subscribing to %s was answered %02x", v, topic, codes)
	}
	if herald.TopicFilter(topic).HasWildcard() || topic[0] == '$' {
		u.hangUp()
		return
	}
	watcher := h.watch(topic, rules)
	u.send(pub(1, 7, topic, "x"))
	u.got()
	if got := watcher() == 1; got != publish {
		h.Errorf("version %d: publishing to %s reached somebody: %v", v, topic, got)
	}
	u.hangUp()
	w := h.call(m, "will", v)
	w.put(&packet.Connect{
		Version: v, CleanStart: true, ClientID: "will", Username: string(livetest.App), HasUsername: true,
		Password: []byte(m.Token), HasPassword: true, Will: &packet.Will{Topic: topic, Payload: []byte("gone"), QoS: 1},
	})
	synctest.Wait()
	code := w.packets()[0].(*packet.Connack).Code
	if code == packet.Success != publish {
		h.Errorf("version %d: a will for %s was answered %02x", v, topic, byte(code))
	}
	w.hangUp()
	if got := watcher() == 1; got != publish {
		h.Errorf("version %d: the will for %s reached somebody: %v", v, topic, got)
	}
}

// watch counts what is published to a topic from call to call. The client that
// does is subscribed before there are rules, and nobody looks at it again.
func (h *hall) watch(topic string, rules herald.TopicRules) func() int {
	h.Helper()
	h.world.Rule(herald.TopicRules{})
	u := h.enter("watcher of "+topic, packet.V5)
	u.send(sub(1, filter(topic, 0)))
	u.want("SUBACK 1 [00]")
	h.world.Rule(rules)
	return func() int {
		synctest.Wait()
		return len(u.got())
	}
}

// TestAliasChanges: with the alias a client loses what it allowed, for each verb,
// and gains what the new one does.
func TestAliasChanges(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		rules := herald.TopicRules{Subscribe: []herald.TopicFilter{"user/{alias}"}, Publish: []herald.TopicFilter{"user/{alias}"}}
		h.world.Rule(rules)
		m := h.world.Join(herald.PlatformWeb)
		h.world.Bind(m, "anna")
		u := h.call(m, "one", packet.V5)
		u.connect(func(p *packet.Connect) {
			p.Will = &packet.Will{Topic: "user/anna", Payload: []byte("gone"), QoS: 1}
		})
		u.send(sub(1, filter("user/anna", 1)), pub(1, 1, "user/anna", "x"))
		if got := len(u.packets()); got != 3 {
			t.Fatalf("%d packets", got)
		}
		h.hub.Rebind(livetest.App, m.Ord, h.world.Bind(m, "ben"))
		u.got() // it may be told
		if n := h.hub.Publish(livetest.App, live.Publication{Topic: "user/anna", Payload: []byte("x")}); n != 0 {
			t.Errorf("%d devices hear of anna", n)
		}
		u.send(pub(1, 2, "user/anna", "x"))
		u.want("PUBACK 2 87")
		u.send(pub(1, 3, "user/ben", "x"))
		u.want("PUBACK 3 10") // nobody is subscribed
		watcher := h.watch("user/anna", rules)
		u.hangUp()
		if n := watcher(); n != 0 {
			t.Errorf("the will of who was anna was published")
		}
	})
}
