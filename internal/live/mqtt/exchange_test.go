package mqtt_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

func TestWindowToTheClient(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, receives(3))
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		// 3 in flight, 100 wait, the others are dropped. QoS 0 does not wait.
		for i := range 110 {
			p.send(pub(1, 1, "chat/1", fmt.Sprint(i)))
			p.got()
		}
		ids := s.ids(3)
		if n := h.hub.Dropped(); n != 7 {
			t.Fatalf("%d dropped", n)
		}
		p.send(pub(0, 0, "chat/1", "now"))
		s.want("PUBLISH q0 chat/1 now")
		next := 3
		for len(ids) > 0 {
			s.send(ack(packet.PUBACK, ids[0]))
			ids = ids[1:]
			for _, q := range s.packets() {
				if got := string(q.(*packet.Publish).Payload); got != fmt.Sprint(next) {
					t.Fatalf("got %s, want %d", got, next)
				}
				ids, next = append(ids, q.(*packet.Publish).ID), next+1
			}
		}
		if next != 103 {
			t.Fatalf("%d came", next)
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, receives(1))
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		const size = 32 << 10
		for range 12 { // one in flight, 256 KiB wait
			p.send(pub(1, 1, "chat/1", strings.Repeat("x", size)))
		}
		if n := h.hub.Dropped(); n != 3 {
			t.Fatalf("%d dropped", n)
		}
		for range 9 {
			s.send(ack(packet.PUBACK, s.ids(1)[0]))
		}
		p.send(pub(1, 1, "chat/1", "y"))
		s.want("PUBLISH q1 # chat/1 y")
	})
}

func TestWaitingExpires(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, receives(1))
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		expiring := func(payload string, seconds uint32) *packet.Publish {
			q := pub(1, 1, "chat/1", payload)
			q.Props.MessageExpiry = &seconds
			return q
		}
		p.send(expiring("a", 100))
		p.send(expiring("b", 5))
		p.send(expiring("c", 100))
		time.Sleep(10 * time.Second)
		s.send(ack(packet.PUBACK, s.ids(1)[0]))
		s.want("PUBLISH q1 # chat/1 c expiry=90")
	})
}

func TestPushesAndPublicationsShareTheWindow(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		d := h.world.Join(herald.PlatformWeb)
		s := h.call(d, string(d.ID), packet.V5)
		s.connect(receives(2))
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		p := h.enter("p", packet.V5)
		p.send(pub(1, 1, "chat/1", "publication"))
		push := func() herald.MessageID {
			out := h.world.Accept(livetest.Send{Content: livetest.Text("push"), To: []livetest.Member{d}})
			if _, err := h.hub.Deliver(t.Context(), out); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return out.Msg.ID
		}
		first, second := push(), push()
		ids := s.ids(2)
		if h.world.Sent(second, d) {
			t.Fatal("more was sent than the receive maximum")
		}
		p.send(pub(1, 1, "chat/1", "waits"))
		s.want()
		s.send(ack(packet.PUBACK, ids[0]), ack(packet.PUBACK, ids[1]))
		last := s.ids(2)
		s.send(ack(packet.PUBACK, last[0]), ack(packet.PUBACK, last[1]))
		if !h.world.Received(first, d) || !h.world.Received(second, d) {
			t.Fatal("a push is not received")
		}
	})
}

func TestIdentifierThatIsTaken(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		d := h.world.Join(herald.PlatformWeb)
		s := h.call(d, string(d.ID), packet.V5)
		s.connect()
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		out := h.world.Accept(livetest.Send{Content: livetest.Text("push"), To: []livetest.Member{d}})
		if _, err := h.hub.Deliver(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		taken := s.ids(1)[0]
		p := h.enter("p", packet.V5)
		seen := map[uint16]bool{taken: true}
		for range 5 {
			h.broker.NextNumber(taken)
			p.send(pub(1, 1, "chat/1", "x"))
			id := s.ids(1)[0]
			if seen[id] {
				t.Fatalf("identifier %d twice in flight", id)
			}
			seen[id] = true
		}
	})
}

func TestLargerThanTheClientTakes(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		most := uint32(300)
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, func(c *packet.Connect) { c.Props.MaxPacketSize = &most })
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		p.send(pub(1, 1, "chat/1", strings.Repeat("x", 300)), pub(0, 0, "chat/1", strings.Repeat("x", 300)), pub(1, 2, "chat/1", "small"))
		p.want("PUBACK 1", "PUBACK 2")
		s.want("PUBLISH q1 # chat/1 small")
	})
}

func TestReceiveMaximumOfTheServer(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		h.log.manual = true
		defer h.log.commit()
		s := h.enter("s", packet.V5)
		s.send(sub(1, filter("chat/+", 1)))
		p := h.enter("p", packet.V5)
		for i := range mqtt.ReceiveMaximum {
			p.send(pub(2, uint16(i+1), "chat/1", "x"))
		}
		if n := len(p.got()); n != mqtt.ReceiveMaximum {
			t.Fatalf("%d PUBREC", n)
		}
		p.send(pub(0, 0, "chat/1", "x"), pub(2, 1, "chat/1", "again"))
		p.want("PUBREC 1")
		p.send(pub(1, 1000, "chat/1", "x"))
		p.want("DISCONNECT 93")
	})
}

func TestPublishRate(t *testing.T) {
	inHall(t, mqtt.Config{PublishRate: 10}, func(h *hall) {
		p := h.enter("p", packet.V5)
		for i := range 25 {
			p.send(pub(1, uint16(i+1), "chat/1", "x"))
		}
		if n := len(p.got()); n != 20 {
			t.Fatalf("%d were acknowledged at once, want a burst of 20", n)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		p.want("PUBACK 21 10", "PUBACK 22 10")
		p.send(pub(0, 0, "chat/1", "dropped"))
		if n := h.broker.Refused(); n != 1 {
			t.Fatalf("%d refused", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		p.want("PUBACK 23 10", "PUBACK 24 10", "PUBACK 25 10")
		old := h.enter("old", packet.V311)
		for i := 1; ; i++ {
			old.send(pub(1, uint16(i), "chat/1", "x"))
			if old.why.Code == int(packet.MessageRateTooHigh) {
				break
			}
			if i > 10*(2+31) {
				t.Fatal("whoever is far ahead of the rate is not closed")
			}
		}
	})
}

func TestAnswersAreInOrder(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		s := h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/+", 1)))
		h.log.mu.Lock()
		h.log.manual = true
		h.log.mu.Unlock()
		p := h.enter("p", packet.V5)
		p.send(pub(1, 1, "chat/1", "stored"), pub(1, 2, "secret", "x"), pub(1, 3, "chat/1", "stored"), pub(1, 1, "chat/1", "again"))
		p.want("DISCONNECT 82") // an identifier that is in use
		p = h.enter("q", packet.V5)
		p.send(pub(1, 1, "chat/1", "stored"), pub(1, 2, "secret", "x"), pub(1, 3, "chat/1", "stored"))
		p.want()
		h.log.commit()
		synctest.Wait()
		p.want("PUBACK 1", "PUBACK 2 87", "PUBACK 3")
	})
}

func TestQueueFull(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5)
		s.send(sub(1, filter("chat/+", 1)))
		s.got()
		s.setRoom(1)
		p.send(pub(1, 1, "chat/1", "a"), pub(1, 2, "chat/1", "b"), pub(0, 0, "chat/1", "dropped"))
		if n := h.hub.Dropped(); n != 1 {
			t.Fatalf("%d dropped", n)
		}
		s.want("PUBLISH q1 # chat/1 a")
		s.send(sub(2, filter("chat/2", 1)), pub(1, 1, "chat/3", "x"))
		s.want()
		s.setRoom(-1)
		got := strings.Join(s.got(), ", ")
		if !strings.Contains(got, "SUBACK 2 [01], PUBACK 1") || !strings.Contains(got, "PUBLISH q1 # chat/1 b") {
			t.Fatalf("got %q", got)
		}
	})
}

func TestShared(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		p, a, b := h.enter("p", packet.V5), h.enter("a", packet.V5), h.enter("b", packet.V5)
		p.send(&packet.Publish{Topic: "chat/1", Payload: []byte("old"), Retain: true})
		for _, u := range []*user{a, b} {
			u.send(sub(1, filter("$share/g/chat/+", 2)))
			u.want("SUBACK 1 [02]") // nothing retained
		}
		for range 4 {
			p.send(pub(1, 1, "chat/1", "x"))
			p.got()
		}
		if one, two := len(a.ids(2)), len(b.ids(2)); one != 2 || two != 2 {
			t.Fatalf("%d and %d", one, two)
		}
		// Who goes leaves what it has not acknowledged, but not with QoS 2.
		p.send(pub(2, 2, "chat/1", "y"), pub(2, 3, "chat/1", "z"))
		a.hangUp()
		b.want("PUBLISH q2 # chat/1 z", "PUBLISH q1 # chat/1 x", "PUBLISH q1 # chat/1 x")
		b.hangUp()
		if n := h.hub.Dropped(); n != 4 {
			t.Fatalf("%d dropped", n)
		}
	})
}

func TestRevoked(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		p, s := h.enter("p", packet.V5), h.enter("s", packet.V5, lasting)
		s.send(sub(1, filter("chat/1", 1), filter("chat/2", 1)))
		s.got()
		h.world.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/2"}, Publish: []herald.TopicFilter{"#"}})
		h.hub.Recheck(livetest.App)
		synctest.Wait()
		p.send(pub(1, 1, "chat/1", "x"), pub(1, 2, "chat/2", "y"))
		s.want("PUBLISH q1 # chat/2 y")
		if state, _ := h.log.state("s"); len(state.Subs) != 1 || state.Subs[0].Filter != "chat/2" {
			t.Fatalf("the record has %+v", state.Subs)
		}
		// And again when the session goes on.
		s.hangUp()
		h.world.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/3"}, Publish: []herald.TopicFilter{"#"}})
		s = s.again(lasting)
		p.send(pub(1, 1, "chat/2", "z"))
		s.want()
		if state, _ := h.log.state("s"); len(state.Subs) != 0 {
			t.Fatalf("the record has %+v", state.Subs)
		}
	})
}

func TestFramesAreShared(t *testing.T) {
	inHall(t, mqtt.Config{}, func(h *hall) {
		var conns []*frames
		for i := range 3 {
			u := h.enter(fmt.Sprintf("s%d", i), packet.V5)
			u.send(sub(1, filter("chat/+", 1)))
			f := &frames{socket: u.socket}
			conns = append(conns, f)
			u.got()
		}
		h.hub.Publish(livetest.App, live.Publication{Topic: "chat/1", Payload: []byte("x"), QoS: 1})
		synctest.Wait()
		for _, f := range conns {
			if !bytes.Equal(f.bytes, conns[0].bytes) {
				t.Fatal("the frames differ")
			}
		}
	})
}

type frames struct{ *socket }
