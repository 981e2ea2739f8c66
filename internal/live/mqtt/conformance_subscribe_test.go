package mqtt_test

import (
	"slices"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

var subscribeScripts = []script{
	{"SUBSCRIBE with reserved flags", "3.8.1-1 2.2.2-2", "3.8.1-1 2.1.3-1", either, refuses("\x80\x06\x00\x01\x00\x01a\x00", packet.MalformedPacket)},
	{"SUBSCRIBE without a filter", "3.8.3-3 4.8.0-1", "3.8.3-2 4.13.1-1", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Subscribe{ID: 1})
		c.ExpectRefused(packet.ProtocolError)
	}},
	{"a filter that is no UTF-8", "3.8.3-1 1.4.0-1", "3.8.3-1 1.5.4-1", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: "\xff"}}})
		c.ExpectRefused(packet.MalformedPacket)
	}},
	{"a subscription with reserved bits", "3.8.3-4", "3.8.3-5", either, func(s *stage) {
		c := s.client("a")
		b := (&packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: "a"}}}).AppendTo(nil, s.v)
		b[len(b)-1] = 0x40
		c.SendBytes(b)
		c.ExpectRefused(packet.MalformedPacket)
	}},
	{"a subscription with QoS 3", "3.8.3-4", "3.8.3-5", either, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: "a", QoS: 3}}})
		c.ExpectRefused(packet.MalformedPacket, packet.ProtocolError)
	}},
	{"a SUBACK", "3.8.4-1 3.8.4-2 3.8.4-4 3.8.4-5 3.9.3-1 2.3.1-7 3.8.3-2", "3.8.4-1 3.8.4-2 3.8.4-5 3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2 2.2.1-6", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Subscribe{ID: 0x1234, List: []packet.Subscription{
			mqtttest.Filter(s.topic("2"), 2), mqtttest.Filter(s.topic("1"), 1), mqtttest.Filter(s.topic("0/+/#"), 0), mqtttest.Filter(s.topic("b"), 2),
		}})
		ack := mqtttest.Expect[packet.Suback](c)
		if want := []packet.Code{2, 1, 0, 2}; ack.ID != 0x1234 || !slices.Equal(ack.Codes, want) {
			s.Fatalf("got %+v, want %v", ack, want)
		}
		s.publish(mqtttest.Message(s.topic("1"), "one", 2), mqtttest.Message(s.topic("0/x/y"), "zero", 2), mqtttest.Message(s.topic("b"), "b", 2))
		c.ExpectPublish(s.topic("1"), "one", 1)
		c.ExpectPublish(s.topic("0/x/y"), "zero", 0)
		c.ExpectPublish(s.topic("b"), "b", 2)
	}},
	{"a filter that is no filter", "3.9.3-2 4.7.1-2 4.7.1-3", "3.9.3-2 4.7.1-1 4.7.1-2 4.8.2-1 4.8.2-2", all, func(s *stage) {
		bad := []string{"a#", "a/#/b", "a+", "+a/b", "##", "$share/g", "$share//a", "$share/g/", "$share/g/a#"}
		if s.v < packet.V5 {
			bad = bad[:5]
		}
		for _, f := range bad {
			c := s.client("a")
			c.Send(&packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: s.topic("ok")}, {Filter: f}}})
			p, _, err := c.Read()
			if err != nil {
				continue // a server may close, too
			}
			if ack, ok := p.(*packet.Suback); ok {
				if len(ack.Codes) != 2 || ack.Codes[0] != 0 || !ack.Codes[1].Failed() || s.v < packet.V5 && ack.Codes[1] != 0x80 {
					s.Errorf("%s: %v", f, ack.Codes)
				}
			} else if d, ok := p.(*packet.Disconnect); !ok || !d.Code.Failed() {
				s.Errorf("%s: %T", f, p)
			}
		}
	}},
	{"no filter is empty", "4.7.3-1", "4.7.3-1", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: ""}}})
		if p, _, err := c.Read(); err == nil {
			if ack, ok := p.(*packet.Suback); ok && !ack.Codes[0].Failed() {
				s.Errorf("%v", ack.Codes)
			}
		}
	}},
	{"the QoS of a subscription is the most", "3.8.4-6", "3.8.4-8", all, func(s *stage) {
		for _, granted := range []packet.QoS{0, 1, 2} {
			sub, pub := s.pair(granted)
			for _, q := range []packet.QoS{0, 1, 2} {
				pub.Publish(mqtttest.Message(s.topic("a"), "x", q))
				sub.ExpectPublish(s.topic("a"), "x", min(q, granted))
			}
		}
	}},
	{"a subscription takes the place of another", "3.8.4-3", "3.8.4-3", all, func(s *stage) {
		c := s.client("a")
		c.Subscribe(mqtttest.Filter(s.topic("a"), 2))
		c.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		s.publish(mqtttest.Message(s.topic("a"), "x", 2))
		c.ExpectPublish(s.topic("a"), "x", 1)
		s.publish(mqtttest.Message(s.topic("a"), "y", 0))
		c.ExpectPublish(s.topic("a"), "y", 0)
		c.Unsubscribe(s.topic("a"))
		s.publish(mqtttest.Message(s.topic("a"), "z", 1))
		c.Quiet()
	}},
	{"subscriptions that overlap", "3.3.5-1", "3.3.4-2", all, func(s *stage) {
		c := s.client("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 0), mqtttest.Filter(s.topic("a/+"), 2), mqtttest.Filter(s.topic("a/b"), 1))
		s.publish(mqtttest.Message(s.topic("a/b"), "x", 2))
		most := packet.QoS(0)
		c.Send(&packet.Ping{Type: packet.PINGREQ}) // the server may send one copy for each
		for {
			p := c.Next()
			m, ok := p.(*packet.Publish)
			if !ok {
				break
			}
			most = max(most, m.QoS)
		}
		if most != 2 {
			s.Errorf("the QoS is %d", most)
		}
	}},
	{"subscription identifiers", "", "3.3.4-3 3.3.4-4 3.3.4-5", five, func(s *stage) {
		c := s.client("a")
		for i, f := range []packet.Subscription{mqtttest.Filter(s.topic("#"), 0), mqtttest.Filter(s.topic("a/+"), 2), mqtttest.Filter(s.topic("b"), 1), mqtttest.Filter(s.topic("a/b"), 1)} {
			sub := packet.Subscribe{ID: uint16(i + 1), List: []packet.Subscription{f}}
			if i < 3 {
				sub.Props.SubscriptionIDs = []uint32{uint32(i + 1)}
			}
			c.Send(&sub)
			mqtttest.Expect[packet.Suback](c)
		}
		s.publish(mqtttest.Message(s.topic("a/b"), "x", 1))
		var got []uint32
		c.Send(&packet.Ping{Type: packet.PINGREQ})
		for {
			m, ok := c.Next().(*packet.Publish)
			if !ok {
				break
			}
			got = append(got, m.Props.SubscriptionIDs...)
		}
		if slices.Sort(got); !slices.Equal(got, []uint32{1, 2}) {
			s.Errorf("the identifiers are %v", got)
		}
	}},
	{"a new identifier for a subscription", "", "3.8.4-3 3.3.4-3", five, func(s *stage) {
		c := s.client("a")
		for _, id := range []uint32{1, 1<<28 - 1} {
			c.Send(&packet.Subscribe{ID: 1, List: []packet.Subscription{mqtttest.Filter(s.topic("a"), 1)}, Props: packet.Properties{SubscriptionIDs: []uint32{id}}})
			mqtttest.Expect[packet.Suback](c)
		}
		s.publish(mqtttest.Message(s.topic("a"), "x", 1))
		if got := c.ExpectPublish(s.topic("a"), "x", 1).Props.SubscriptionIDs; !slices.Equal(got, []uint32{1<<28 - 1}) {
			s.Errorf("the identifiers are %v", got)
		}
	}},
	{"identifiers outlive the connection", "", "3.3.4-3 4.1.0-1", five, func(s *stage) {
		c := s.persistent("a")
		c.Send(&packet.Subscribe{ID: 1, List: []packet.Subscription{mqtttest.Filter(s.topic("a"), 1)}, Props: packet.Properties{SubscriptionIDs: []uint32{7}}})
		mqtttest.Expect[packet.Suback](c)
		s.gone(c)
		s.publish(mqtttest.Message(s.topic("a"), "x", 1))
		if got := s.back("a").ExpectPublish(s.topic("a"), "x", 1).Props.SubscriptionIDs; !slices.Equal(got, []uint32{7}) {
			s.Errorf("the identifiers are %v", got)
		}
	}},
	{"subscription identifier 0", "", "4.13.1-1", five, refuses("\x82\x08\x00\x01\x02\x0b\x00\x00\x00\x00", packet.ProtocolError)},
	{"nothing of one's own", "", "3.8.3-3", five, func(s *stage) {
		a, b := s.client("a"), s.client("b")
		a.Subscribe(packet.Subscription{Filter: s.topic("#"), QoS: 1, NoLocal: true})
		b.Subscribe(packet.Subscription{Filter: s.topic("#"), QoS: 1})
		a.Publish(mqtttest.Message(s.topic("a"), "of a", 1))
		b.ExpectPublish(s.topic("a"), "of a", 1)
		s.publish(mqtttest.Message(s.topic("b"), "of another", 1))
		a.ExpectPublish(s.topic("b"), "of another", 1)
	}},
	{"nothing of one's own that is shared", "", "3.8.3-4", five, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Subscribe{ID: 1, List: []packet.Subscription{{Filter: "$share/g/" + s.topic("a"), NoLocal: true}}})
		c.ExpectRefused(packet.ProtocolError)
	}},

	{"UNSUBSCRIBE with reserved flags", "3.10.1-1", "3.10.1-1", all, refuses("\xa0\x05\x00\x01\x00\x01a", packet.MalformedPacket)},
	{"UNSUBSCRIBE without a filter", "3.10.3-2", "3.10.3-2", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Unsubscribe{ID: 1})
		c.ExpectRefused(packet.ProtocolError)
	}},
	{"UNSUBSCRIBE of no UTF-8", "3.10.3-1", "3.10.3-1", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Unsubscribe{ID: 1, Filters: []string{"\xff"}})
		c.ExpectRefused(packet.MalformedPacket)
	}},
	{"an UNSUBACK", "3.10.4-1 3.10.4-2 3.10.4-4 3.10.4-5 3.10.4-6 2.3.1-7", "3.10.4-1 3.10.4-2 3.10.4-4 3.10.4-5 3.10.4-6 3.11.3-1 3.11.3-2 2.2.1-6", all, func(s *stage) {
		c := s.client("a")
		c.Subscribe(mqtttest.Filter(s.topic("a"), 1), mqtttest.Filter(s.topic("+/b"), 1), mqtttest.Filter(s.topic("c"), 1))
		c.Send(&packet.Unsubscribe{ID: 0x4321, Filters: []string{s.topic("x/b"), s.topic("a"), s.topic("+"), s.topic("+/b"), s.topic("C")}})
		ack := mqtttest.Expect[packet.Unsuback](c)
		if ack.ID != 0x4321 || s.v >= packet.V5 && !slices.Equal(ack.Codes, []packet.Code{0x11, 0, 0x11, 0, 0x11}) {
			s.Fatalf("%+v", ack)
		}
		s.publish(mqtttest.Message(s.topic("a"), "x", 1), mqtttest.Message(s.topic("x/b"), "x", 1), mqtttest.Message(s.topic("c"), "x", 1))
		c.ExpectPublish(s.topic("c"), "x", 1)
		c.Quiet()
	}},
	{"what was begun is completed", "3.10.4-3", "3.10.4-3", all, func(s *stage) {
		c := s.client("a")
		c.Subscribe(mqtttest.Filter(s.topic("a"), 2))
		s.publish(mqtttest.Message(s.topic("a"), "x", 2))
		p := mqtttest.Expect[packet.Publish](c)
		c.Unsubscribe(s.topic("a"))
		c.Accept(p)
		c.Quiet()
	}},
}
