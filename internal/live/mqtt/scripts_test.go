package mqtt_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

func sub(id uint16, list ...packet.Subscription) *packet.Subscribe {
	return &packet.Subscribe{ID: id, List: list}
}

func filter(f string, q packet.QoS) packet.Subscription {
	return packet.Subscription{Filter: f, QoS: q}
}

func pub(q packet.QoS, id uint16, topic, payload string) *packet.Publish {
	return &packet.Publish{QoS: q, ID: id, Topic: topic, Payload: []byte(payload)}
}

func ack(t packet.Type, id uint16) *packet.Ack { return &packet.Ack{Type: t, ID: id} }

// ids gives the packet identifiers of the PUBLISH packets that came.
func (u *user) ids(want int) (out []uint16) {
	u.h.Helper()
	for _, p := range u.packets() {
		if p, ok := p.(*packet.Publish); ok && p.ID != 0 {
			out = append(out, p.ID)
		}
	}
	if len(out) != want {
		u.h.Fatalf("%d PUBLISH packets with an identifier, want %d", len(out), want)
	}
	return out
}

var scripts = []struct {
	name string
	run  func(h *hall)
}{
	{"a code for each filter, and the answer before what is retained", func(h *hall) {
		p := h.enter("p", packet.V5)
		p.send(&packet.Publish{Topic: "chat/7", Payload: []byte("old"), Retain: true})
		s := h.enter("s", packet.V5)
		s.send(sub(7, filter("chat/7", 1), filter("secret", 0), filter("chat/#/x", 0), filter("$SYS/#", 0), filter("herald/push", 2), filter("herald/x", 1)))
		s.want("SUBACK 7 [01 87 8f 8f 01 8f]", "PUBLISH q0 retain chat/7 old")
		s.send(sub(8, filter("chat/7", 2)))
		s.want("SUBACK 8 [02]", "PUBLISH q0 retain chat/7 old")
	}},
	{"refusals before 5.0", func(h *hall) {
		s := h.enter("s", packet.V311)
		s.send(sub(7, filter("chat/7", 1), filter("secret", 0)))
		s.want("SUBACK 7 [01 80]")
	}},
	{"QoS is the lower one", func(h *hall) {
		p := h.enter("p", packet.V5)
		s0, s1, s2 := h.enter("s0", packet.V5), h.enter("s1", packet.V311), h.enter("s2", packet.V5)
		s0.send(sub(1, filter("chat/+", 0)))
		s1.send(sub(1, filter("chat/+", 1)))
		s2.send(sub(1, filter("chat/+", 2)))
		for _, s := range []*user{s0, s1, s2} {
			s.got()
		}
		p.send(pub(0, 0, "chat/1", "a"), pub(1, 1, "chat/1", "b"), pub(2, 2, "chat/1", "c"))
		p.want("PUBACK 1", "PUBREC 2")
		s0.want("PUBLISH q0 chat/1 a", "PUBLISH q0 chat/1 b", "PUBLISH q0 chat/1 c")
		s1.want("PUBLISH q0 chat/1 a", "PUBLISH q1 # chat/1 b", "PUBLISH q1 # chat/1 c")
		s2.want("PUBLISH q0 chat/1 a", "PUBLISH q1 # chat/1 b", "PUBLISH q2 # chat/1 c")
		p.send(ack(packet.PUBREL, 2))
		p.want("PUBCOMP 2")
		p.send(ack(packet.PUBREL, 2))
		p.want("PUBCOMP 2 92")
	}},
	{"QoS 2 to a client", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5)
		s.send(sub(1, filter("chat/1", 2)))
		s.got()
		p.send(pub(2, 9, "chat/1", "x"))
		id := s.ids(1)[0]
		s.send(ack(packet.PUBREC, id))
		s.want(fmt.Sprintf("PUBREL %d", id))
		s.send(ack(packet.PUBREC, id))
		s.want(fmt.Sprintf("PUBREL %d", id))
		s.send(ack(packet.PUBCOMP, id))
		s.want()
		s.send(ack(packet.PUBREC, id))
		s.want(fmt.Sprintf("PUBREL %d 92", id))
		s.send(ack(packet.PUBACK, id), ack(packet.PUBCOMP, id)) // of nothing: late
		s.want()
	}},
	{"a PUBREC with an error is the end of it", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, receives(1))
		s.send(sub(1, filter("chat/1", 2)))
		s.got()
		p.send(pub(2, 1, "chat/1", "x"), pub(2, 2, "chat/1", "y"))
		id := s.ids(1)[0]
		s.send(&packet.Ack{Type: packet.PUBREC, ID: id, Code: packet.QuotaExceeded})
		s.want("PUBLISH q2 # chat/1 y")
	}},
	{"the wrong acknowledgement", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5)
		s.send(sub(1, filter("chat/1", 1)))
		s.got()
		p.send(pub(1, 1, "chat/1", "x"))
		s.send(ack(packet.PUBREC, s.ids(1)[0]))
		s.want("DISCONNECT 82")
	}},
	{"once for overlapping subscriptions, with all identifiers", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5)
		one, two := sub(1, filter("chat/+", 0)), sub(2, filter("chat/#", 1))
		one.Props.SubscriptionIDs, two.Props.SubscriptionIDs = []uint32{5}, []uint32{300}
		s.send(one, two, sub(3, filter("chat/1", 0)))
		s.got()
		p.send(pub(2, 1, "chat/1", "x"))
		got := s.got()
		if len(got) != 1 || !strings.HasPrefix(got[0], "PUBLISH q1 # chat/1 x subs=[") || !strings.Contains(got[0], "5") || !strings.Contains(got[0], "300") {
			h.Fatalf("got %q", got)
		}
		one.Props.SubscriptionIDs = nil // replaces what there was
		s.send(one, &packet.Unsubscribe{ID: 4, Filters: []string{"chat/#", "chat/none", "chat/##"}})
		s.want("SUBACK 1 [00]", "UNSUBACK 4 [00 11 8f]")
		p.send(pub(0, 0, "chat/1", "y"))
		s.want("PUBLISH q0 chat/1 y")
	}},
	{"the same identifier shares a frame", func(h *hall) {
		p, a, b := h.enter("p", packet.V5), h.enter("a", packet.V5), h.enter("b", packet.V5)
		for _, s := range []*user{a, b} {
			one := sub(1, filter("chat/1", 1))
			one.Props.SubscriptionIDs = []uint32{1}
			s.send(one)
			s.got()
		}
		p.send(pub(1, 1, "chat/1", "x"))
		a.want("PUBLISH q1 # chat/1 x subs=[1]")
		b.want("PUBLISH q1 # chat/1 x subs=[1]")
	}},
	{"no local", func(h *hall) {
		a, b := h.enter("a", packet.V5), h.enter("b", packet.V5)
		for _, u := range []*user{a, b} {
			u.send(sub(1, packet.Subscription{Filter: "chat/1", NoLocal: true}))
			u.got()
		}
		a.send(pub(0, 0, "chat/1", "x"))
		a.want()
		b.want("PUBLISH q0 chat/1 x")
		a.send(sub(2, filter("chat/+", 0)), pub(0, 0, "chat/1", "y"))
		a.want("SUBACK 2 [00]", "PUBLISH q0 chat/1 y")
	}},
	{"retained: as published, handling 0 1 2, cleared", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5)
		put := func(payload string) {
			p.send(&packet.Publish{Topic: "chat/1", Payload: []byte(payload), Retain: true, QoS: 1, ID: 1})
			p.got()
		}
		with := func(handling byte) packet.Subscription {
			return packet.Subscription{Filter: "chat/1", QoS: 1, RetainHandling: handling}
		}
		put("a")
		s.send(sub(1, with(2)))
		s.want("SUBACK 1 [01]")
		s.send(sub(2, with(1)))
		s.want("SUBACK 2 [01]")
		s.send(sub(3, with(0)))
		s.want("SUBACK 3 [01]", "PUBLISH q1 # retain chat/1 a")
		s.send(&packet.Unsubscribe{ID: 4, Filters: []string{"chat/1"}}, sub(5, with(1)))
		s.want("UNSUBACK 4 [00]", "SUBACK 5 [01]", "PUBLISH q1 # retain chat/1 a")
		put("b")
		s.want("PUBLISH q1 # chat/1 b")
		s.send(sub(6, packet.Subscription{Filter: "chat/1", RetainAsPublished: true, RetainHandling: 2}))
		put("c")
		s.want("SUBACK 6 [00]", "PUBLISH q0 retain chat/1 c")
		put("")
		s.want("PUBLISH q0 retain chat/1 ")
		h.enter("t", packet.V311).also(sub(1, filter("chat/#", 0))).want("SUBACK 1 [00]")
	}},
	{"retained messages wait for room", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, receives(4))
		for i := range 9 {
			p.send(&packet.Publish{Topic: fmt.Sprintf("chat/%d", i), Payload: []byte("x"), Retain: true, QoS: 1, ID: 1})
		}
		s.send(sub(1, filter("chat/+", 1)))
		var all []string
		for range 9 {
			for _, p := range s.packets() {
				if p, ok := p.(*packet.Publish); ok {
					all = append(all, p.Topic)
					s.send(ack(packet.PUBACK, p.ID))
				}
			}
		}
		if fmt.Sprint(all) != "[chat/0 chat/1 chat/2 chat/3 chat/4 chat/5 chat/6 chat/7 chat/8]" {
			h.Fatalf("got %v", all)
		}
	}},
	{"properties reach the subscriber", func(h *hall) {
		p, s, old := h.enter("p", packet.V5), h.enter("s", packet.V5), h.enter("old", packet.V311)
		for _, u := range []*user{s, old} {
			u.send(sub(1, filter("chat/1", 0)))
			u.got()
		}
		expiry, text := uint32(10), byte(1)
		q := pub(0, 0, "chat/1", "x")
		q.Props = packet.Properties{
			MessageExpiry: &expiry, PayloadFormat: &text, ContentType: "text/plain", ResponseTopic: "r/1", CorrelationData: []byte("c"),
			User: []packet.Pair{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}},
		}
		p.send(q)
		s.want("PUBLISH q0 chat/1 x expiry=10 response=r/1 correlation=c type=text/plain a=1 a=2")
		old.want("PUBLISH q0 chat/1 x")
	}},
	{"request and response", func(h *hall) {
		a, b := h.enter("a", packet.V5), h.enter("b", packet.V5)
		a.send(sub(1, filter("r/a/+", 1)))
		b.send(sub(1, filter("chat/ask", 1)))
		a.got()
		b.got()
		q := pub(1, 1, "chat/ask", "?")
		q.Props.ResponseTopic, q.Props.CorrelationData = "r/a/1", []byte("77")
		a.send(q)
		a.want("PUBACK 1")
		asked := b.packets()[0].(*packet.Publish)
		r := pub(1, 1, asked.Props.ResponseTopic, "!")
		r.Props.CorrelationData = asked.Props.CorrelationData
		b.send(r)
		if got := a.packets()[0].(*packet.Publish); string(got.Props.CorrelationData) != "77" || string(got.Payload) != "!" {
			h.Fatalf("got %+v", got)
		}
	}},
	{"topic aliases", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5)
		s.send(sub(1, filter("chat/+", 0)))
		s.got()
		aliased := func(alias uint16, topic, payload string) *packet.Publish {
			q := pub(0, 0, topic, payload)
			q.Props.TopicAlias = &alias
			return q
		}
		p.send(aliased(3, "chat/1", "a"), aliased(3, "", "b"), aliased(3, "chat/2", "c"), aliased(3, "", "d"), aliased(mqtt.TopicAliasMaximum, "chat/3", "e"))
		s.want("PUBLISH q0 chat/1 a", "PUBLISH q0 chat/1 b", "PUBLISH q0 chat/2 c", "PUBLISH q0 chat/2 d", "PUBLISH q0 chat/3 e")
		p.send(aliased(1, "", "x"))
		p.want("DISCONNECT 82")
		p = p.again()
		p.send(aliased(3, "", "x")) // aliases end with the connection
		p.want("DISCONNECT 82")
		for _, bad := range []uint16{0, mqtt.TopicAliasMaximum + 1} {
			p = p.again()
			p.send(aliased(bad, "chat/1", "x"))
			p.want("DISCONNECT 94")
		}
	}},
	{"what may not be published", func(h *hall) {
		p := h.enter("p", packet.V5)
		large := strings.Repeat("x", herald.MaxMessageBytes+1)
		text := byte(1)
		bad := pub(1, 5, "chat/1", "\xff")
		bad.Props.PayloadFormat = &text
		p.send(pub(1, 1, "secret", "x"), pub(2, 2, "secret", "x"), pub(1, 3, "herald/x", "x"), pub(1, 4, "chat/1", large), bad, pub(1, 6, "chat/1", "nobody"))
		p.want("PUBACK 1 87", "PUBREC 2 87", "PUBACK 3 90", "PUBACK 4 97", "PUBACK 5 99", "PUBACK 6 10")
		p.send(pub(2, 2, "secret", "x")) // a PUBREC with an error frees the identifier
		p.want("PUBREC 2 87")
		p.send(pub(0, 0, "secret", "x"))
		p.want()
		if n := h.broker.Refused(); n != 1 {
			h.Fatalf("%d refused", n)
		}
		p.send(pub(0, 0, "chat/1", large))
		p.want("DISCONNECT 95")
	}},
	{"what may not be published before 5.0", func(h *hall) {
		p := h.enter("p", packet.V311)
		p.send(pub(1, 1, "secret", "x"), pub(2, 2, "secret", "x"), ack(packet.PUBREL, 2))
		p.want("PUBACK 1", "PUBREC 2", "PUBCOMP 2")
		p.send(pub(1, 1, "herald/x", "x"))
		p.want()
		if p.why.Code != int(packet.TopicNameInvalid) {
			h.Fatalf("closed with %v", p.why)
		}
	}},
	{"a receipt has its answer", func(h *hall) {
		d := h.world.Join(herald.PlatformWeb)
		u := h.call(d, string(d.ID), packet.V5)
		u.connect()
		out := h.world.Accept(livetest.Send{Content: livetest.Text("x"), To: []livetest.Member{d}})
		if _, err := h.hub.Deliver(h.Context(), out); err != nil {
			h.Fatal(err)
		}
		synctest.Wait()
		id := u.ids(1)[0]
		u.send(pub(1, 1, "herald/receipt", "displayed "+out.Msg.ID.String()), pub(2, 2, "herald/receipt", "nonsense"))
		u.want("PUBACK 1", "PUBREC 2 99")
		u.send(ack(packet.PUBACK, id))
		if !h.world.Received(out.Msg.ID, d) {
			h.Fatal("the push is not received")
		}
	}},
}

// also sends and gives the user.
func (u *user) also(list ...appender) *user {
	u.send(list...)
	return u
}

func TestScripts(t *testing.T) {
	for _, s := range scripts {
		t.Run(s.name, func(t *testing.T) { inHall(t, mqtt.Config{}, s.run) })
	}
}
