package mqtt_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// publications gives payloads, and whether they were sent again, of what came.
func (u *user) publications() (list []string, ids []uint16) {
	u.h.Helper()
	for _, p := range u.packets() {
		if p, ok := p.(*packet.Publish); ok {
			s := string(p.Payload)
			if p.Dup {
				s += "+"
			}
			list, ids = append(list, s), append(ids, p.ID)
		}
	}
	return list, ids
}

func (u *user) wantPayloads(want string) (ids []uint16) {
	u.h.Helper()
	got, ids := u.publications()
	if strings.Join(got, " ") != want {
		u.h.Fatalf("%s got %q, want %q", u.id, strings.Join(got, " "), want)
	}
	return ids
}

var lastingScripts = []struct {
	name string
	run  func(h *hall)
}{
	{"what is published while the client is away comes in order", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V311, lasting)
		s.send(sub(1, filter("chat/+", 1)))
		s.want("SUBACK 1 [01]")
		p.send(pub(1, 1, "chat/1", "a"))
		s.send(ack(packet.PUBACK, s.wantPayloads("a")[0]))
		s.hangUp()
		p.got()
		p.send(pub(1, 1, "chat/1", "b"), pub(0, 0, "chat/1", "not kept"), pub(2, 2, "chat/2", "c"))
		p.want("PUBACK 1", "PUBREC 2")
		s = h.call(s.member, "s", packet.V311)
		if got := s.connect(lasting); got != "CONNACK 00 present=true" {
			h.Fatal(got)
		}
		s.wantPayloads("b c")
		p.send(pub(1, 1, "chat/3", "d"))
		s.wantPayloads("d")
	}},
	{"what is not acknowledged comes again, with the same identifier", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/+", 2)))
		s.got()
		for i, payload := range []string{"a", "b", "c", "d"} {
			p.send(pub(packet.QoS(1+i%2), uint16(i+1), "chat/1", payload))
		}
		ids := s.wantPayloads("a b c d")
		s.send(ack(packet.PUBACK, ids[0]), ack(packet.PUBREC, ids[1]))
		s.want(fmt.Sprintf("PUBREL %d", ids[1]))
		s.hangUp()
		p.send(pub(1, 9, "chat/1", "e"))
		s = s.again(lasting)
		got := s.packets()
		if words(got[0]) != fmt.Sprintf("PUBREL %d", ids[1]) {
			h.Fatalf("first comes %s", words(got[0]))
		}
		for i, want := range []string{"PUBLISH q1 # dup chat/1 c", "PUBLISH q2 # dup chat/1 d", "PUBLISH q1 # chat/1 e"} {
			q := got[i+1].(*packet.Publish)
			if words(q) != want || i < 2 && q.ID != ids[i+2] {
				h.Fatalf("got %s with %d, want %s", words(q), q.ID, want)
			}
		}
		s.send(ack(packet.PUBCOMP, ids[1]))
		s.hangUp()
		s = s.again(lasting)
		s.wantPayloads("c+ d+ e+")
	}},
	{"a clean start forgets", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/+", 1)))
		p.send(pub(1, 1, "chat/1", "a"))
		s.hangUp()
		s = h.call(s.member, "s", packet.V5)
		if got := s.connect(); got != "CONNACK 00 present=false" {
			h.Fatal(got)
		}
		p.send(pub(1, 1, "chat/1", "b"))
		s.want()
		s.hangUp()
		p.send(pub(1, 1, "chat/1", "c"))
		s = h.call(s.member, "s", packet.V5)
		s.connect(lasting)
		s.want()
	}},
	{"a session that is gone on with may end with its connection", func(h *hall) {
		d := h.world.Join(herald.PlatformLinux)
		u := h.call(d, string(d.ID), packet.V5)
		u.connect(lasting)
		u.send(sub(1, filter("chat/+", 1)))
		u.hangUp()
		u = h.call(d, string(d.ID), packet.V5)
		if got := u.connect(func(p *packet.Connect) { p.CleanStart = false }); got != "CONNACK 00 present=true" {
			h.Fatal(got)
		}
		h.enter("p", packet.V5).send(pub(1, 1, "chat/1", "a"))
		u.wantPayloads("a")
		u.hangUp()
		if state, ok := h.log.state(u.id); ok {
			h.Fatalf("the record has %+v", state)
		}
	}},
	{"a full window goes on from the log", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting, receives(4))
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		const all = 300
		for i := range all {
			p.send(pub(1, 1, "chat/1", fmt.Sprint(i)))
		}
		next := 0
		for range all {
			got, ids := s.publications()
			if len(ids) > 4 {
				h.Fatalf("%d at once", len(ids))
			}
			for i := range got {
				if got[i] != fmt.Sprint(next) {
					h.Fatalf("got %s, want %d", got[i], next)
				}
				next++
				s.send(ack(packet.PUBACK, ids[i]))
			}
		}
		if next != all {
			h.Fatalf("%d of %d came", next, all)
		}
		if h.hub.Dropped() != 0 {
			h.Fatal("something was dropped")
		}
		p.send(pub(1, 1, "chat/1", "live"))
		s.wantPayloads("live")
		reads := h.log.reads
		s.hangUp()
		if h.log.reads != reads {
			h.Fatal("a session that is live has read the log")
		}
	}},
	{"a full queue goes on from the log", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/+", 2)))
		s.got()
		s.setRoom(2)
		for i := range 5 {
			p.send(pub(2, uint16(i+1), "chat/1", fmt.Sprint(i)))
		}
		s.wantPayloads("0 1")
		s.setRoom(-1)
		s.wantPayloads("2 3 4")
	}},
	{"no local, and options that are kept", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		all := sub(1, packet.Subscription{Filter: "chat/+", QoS: 1, NoLocal: true, RetainAsPublished: true})
		all.Props.SubscriptionIDs = []uint32{44}
		s.send(all)
		s.got()
		s.hangUp()
		p.send(&packet.Publish{QoS: 1, ID: 1, Topic: "chat/1", Payload: []byte("a"), Retain: true})
		s = s.again(lasting)
		s.want("PUBLISH q1 # retain chat/1 a subs=[44]")
		s.send(pub(1, 1, "chat/1", "own"))
		s.want("PUBACK 1")
	}},
	{"unsubscribed is unsubscribed", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/1", 1), filter("chat/2", 1)), &packet.Unsubscribe{ID: 2, Filters: []string{"chat/1"}})
		s.want("SUBACK 1 [01 01]", "UNSUBACK 2 [00]")
		s.hangUp()
		p.send(pub(1, 1, "chat/1", "a"), pub(1, 2, "chat/2", "b"))
		s = s.again(lasting)
		s.wantPayloads("b")
	}},
	{"expired is not sent, and the rest of the time is", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/1", 1)))
		s.got()
		s.hangUp()
		for i, seconds := range []uint32{5, 100} {
			q := pub(1, uint16(i+1), "chat/1", fmt.Sprint(seconds))
			q.Props.MessageExpiry = &seconds
			p.send(q)
		}
		time.Sleep(10 * time.Second)
		s = s.again(lasting)
		s.want("PUBLISH q1 # chat/1 100 expiry=90")
	}},
	{"QoS 2 of the client over two connections", func(h *hall) {
		p, s := h.enter("p", packet.V5, lasting), h.enter("s", packet.V5)
		s.send(sub(1, filter("chat/1", 2)))
		s.got()
		p.send(pub(2, 7, "chat/1", "a"))
		p.want("PUBREC 7")
		s.wantPayloads("a")
		p.hangUp()
		p = p.again(lasting)
		again := pub(2, 7, "chat/1", "a")
		again.Dup = true
		p.send(again)
		p.want("PUBREC 7")
		s.want()
		p.send(ack(packet.PUBREL, 7), pub(2, 7, "chat/1", "b"))
		p.want("PUBCOMP 7", "PUBREC 7")
		s.wantPayloads("b")
	}},
	{"a shared group of sessions that persist", func(h *hall) {
		p, a, b := h.enter("p", packet.V5), h.enter("a", packet.V5, lasting), h.enter("b", packet.V5, lasting)
		for _, u := range []*user{a, b} {
			u.send(sub(1, filter("$share/g/chat/+", 1)))
			u.got()
		}
		for i := range 4 {
			p.send(pub(1, uint16(i+1), "chat/1", fmt.Sprint(i)))
		}
		a.wantPayloads("0 2")
		b.wantPayloads("1 3")
		a.hangUp()
		b.hangUp()
		p.send(pub(1, 1, "chat/1", "4"))
		a, b = a.again(lasting), b.again(lasting)
		a.wantPayloads("0+ 2+ 4")
		b.wantPayloads("1+ 3+")
	}},
	{"a larger one is passed over", func(h *hall) {
		most := uint32(300)
		small := func(c *packet.Connect) { c.Props.MaxPacketSize = &most }
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting, small)
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		p.send(pub(1, 1, "chat/1", strings.Repeat("x", 400)), pub(1, 2, "chat/1", "b"))
		s.wantPayloads("b")
		s.hangUp()
		p.send(pub(1, 1, "chat/1", strings.Repeat("x", 400)), pub(1, 2, "chat/1", "c"))
		s = s.again(lasting, small)
		s.wantPayloads("b+ c")
	}},
	{"a QoS 0 subscription is not kept from", func(h *hall) {
		p, s, other := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting), h.enter("other", packet.V5, lasting)
		s.send(sub(1, filter("chat/1", 0)))
		other.send(sub(1, filter("chat/1", 1)))
		s.got()
		p.send(pub(1, 1, "chat/1", "a"))
		s.want("PUBLISH q0 chat/1 a")
		s.hangUp()
		p.send(pub(1, 1, "chat/1", "b"))
		s = s.again(lasting)
		s.want()
	}},
	{"the record fails: a publication", func(h *hall) {
		s := h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/1", 1)))
		p, old := h.enter("p", packet.V5), h.enter("old", packet.V311)
		h.log.fail = errors.New("disk full")
		p.send(pub(1, 1, "chat/1", "a"), pub(2, 2, "chat/1", "a"))
		p.want("PUBACK 1 80", "PUBREC 2 80")
		old.send(pub(1, 1, "chat/1", "a"))
		if old.why.Code != int(packet.ServerBusy) {
			h.Fatalf("closed with %v", old.why)
		}
		h.log.fail = nil
		p.send(pub(2, 2, "chat/1", "a"))
		p.want("PUBREC 2")
	}},
	{"the record fails: a subscription", func(h *hall) {
		s := h.enter("s", packet.V5, lasting)
		h.log.fail = errors.New("disk full")
		s.send(sub(1, filter("chat/1", 1)))
		s.want("DISCONNECT 89")
		h.log.fail = nil
	}},
	{"the record fails: reading goes on later", func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/1", 1)))
		s.hangUp()
		p.send(pub(1, 1, "chat/1", "a"))
		h.log.fail = errors.New("disk full")
		s = h.call(s.member, "s", packet.V5)
		s.connect(lasting)
		s.want()
		h.log.mu.Lock()
		h.log.fail = nil
		h.log.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		s.want("PUBLISH q1 # chat/1 a")
	}},
	{"PUBREL and PUBCOMP wait for the record", func(h *hall) {
		p, s := h.enter("p", packet.V5, lasting), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/1", 2)))
		s.got()
		p.send(pub(2, 1, "chat/1", "a"))
		p.want("PUBREC 1")
		id := s.wantPayloads("a")[0]
		h.log.mu.Lock()
		h.log.manual = true
		h.log.mu.Unlock()
		s.send(ack(packet.PUBREC, id))
		p.send(ack(packet.PUBREL, 1))
		s.want()
		p.want()
		h.log.commit()
		synctest.Wait()
		s.want(fmt.Sprintf("PUBREL %d", id))
		p.want("PUBCOMP 1")
	}},
}

func TestLastingSessions(t *testing.T) {
	for _, s := range lastingScripts {
		t.Run(s.name, func(t *testing.T) { inHall(t, mqtt.Config{}, s.run) })
	}
}
