package mqtt_test

import (
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// pair is a subscriber to everything of the stage, and a publisher.
func (s *stage) pair(q packet.QoS) (sub, pub *mqtttest.Client) {
	s.Helper()
	sub, pub = s.client("sub"), s.client("pub")
	sub.Subscribe(mqtttest.Filter(s.topic("#"), q))
	return sub, pub
}

var publishScripts = []script{
	{"QoS 0", "3.3.1-2 4.3.1-1 3.3.4-1 3.3.2-1 2.3.1-5", "3.3.1-2 4.3.1-1 3.3.4-1 3.3.2-1 2.2.1-2 3.3.2-3", all, func(s *stage) {
		sub, pub := s.pair(2)
		pub.Publish(mqtttest.Message(s.topic("a/b"), "x", 0))
		pub.Quiet() // there is no answer
		if p := sub.ExpectPublish(s.topic("a/b"), "x", 0); p.Dup || p.ID != 0 {
			s.Errorf("%+v", p)
		}
	}},
	{"DUP is not passed on", "3.3.1-3", "3.3.1-3 4.3.2-2 4.3.3-2", all, func(s *stage) {
		sub, pub := s.pair(2)
		for _, q := range []packet.QoS{1, 2} {
			m := mqtttest.Message(s.topic("a"), "x", q)
			m.Dup = true
			pub.Publish(m)
			if p := sub.ExpectPublish(s.topic("a"), "x", q); p.Dup {
				s.Errorf("QoS %d is marked as sent again", q)
			}
		}
	}},
	{"QoS 3", "3.3.1-4 4.8.0-1", "3.3.1-4 4.13.1-1", all, refuses("\x36\x05\x00\x01a\x00\x01", packet.MalformedPacket)},
	{"DUP with QoS 0", "3.3.1-2", "3.3.1-2", either, func(s *stage) {
		c := s.client("a")
		c.SendBytes([]byte("\x38\x04\x00\x01a\x00"))
		c.ExpectRefused(packet.MalformedPacket)
	}},
	{"a topic with a wildcard", "3.3.2-2 4.7.1-1", "3.3.2-2 4.7.0-1", all, func(s *stage) {
		for _, name := range []string{"#", "a/+", "a+b"} {
			c := s.client("a")
			c.Send(&packet.Publish{Topic: name})
			c.ExpectRefused(packet.TopicNameInvalid, packet.ProtocolError, packet.MalformedPacket)
		}
	}},
	{"no topic", "4.7.3-1", "4.7.3-1", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Publish{})
		c.ExpectRefused(packet.TopicNameInvalid, packet.ProtocolError)
	}},
	{"a topic with U+0000", "1.4.0-2 4.7.3-2", "1.5.4-2 4.7.3-2", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Publish{Topic: "a\x00"})
		c.ExpectRefused(packet.MalformedPacket)
	}},
	{"a topic that is no UTF-8", "1.4.0-1 3.3.2-1", "1.5.4-1 3.3.2-1", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Publish{Topic: "\xff"})
		c.ExpectRefused(packet.MalformedPacket)
	}},
	{"packet identifier 0", "2.3.1-1", "2.2.1-3", all, func(s *stage) {
		for _, p := range []mqtttest.Packet{
			&packet.Publish{Topic: s.topic("a"), QoS: 1}, &packet.Publish{Topic: s.topic("a"), QoS: 2},
			&packet.Subscribe{List: []packet.Subscription{{Filter: s.topic("a")}}}, &packet.Unsubscribe{Filters: []string{s.topic("a")}},
		} {
			c := s.client("a")
			c.Send(p)
			c.ExpectRefused(packet.ProtocolError, packet.MalformedPacket)
		}
	}},
	{"what may not be published", "3.3.5-2", "3.4.2-1 3.5.2-1", all, func(s *stage) {
		c := s.client("a")
		for _, q := range []packet.QoS{1, 2} {
			// Before 5.0 there is no word for it: it is acknowledged, or the
			// connection ends.
			m := mqtttest.Message("$SYS/x", "x", q)
			m.ID = 5
			c.Send(&m)
			p, _, err := c.Read()
			if ack, ok := p.(*packet.Ack); s.v >= packet.V5 && (!ok || ack.ID != 5 || !ack.Code.Failed()) || err == nil && !ok {
				s.Fatalf("QoS %d: got %+v, %v", q, p, err)
			}
			if err != nil {
				return
			}
		}
	}},
	{"the same topic in order", "4.6.0-5 4.6.0-6", "4.6.0-5 4.6.0-6", all, func(s *stage) {
		for _, q := range []packet.QoS{0, 1, 2} {
			sub, pub := s.client("sub"), s.client("pub")
			sub.Subscribe(mqtttest.Filter(s.topic("a"), q))
			const letters = "abcdefghijklmnop"
			for i, l := range letters {
				m := mqtttest.Message(s.topic("a"), string(l), q)
				m.ID = uint16(i + 1)
				pub.Send(&m)
			}
			for i := range letters {
				switch q {
				case 1:
					pub.ExpectAck(packet.PUBACK, uint16(i+1))
				case 2:
					pub.ExpectAck(packet.PUBREC, uint16(i+1))
				}
			}
			var got strings.Builder
			for got.Len() < len(letters) {
				got.Write(mqtttest.Expect[packet.Publish](sub).Payload)
			}
			if got.String() != letters {
				s.Errorf("QoS %d: the order is %s", q, &got)
			}
		}
	}},
	{"a small window", "", "3.3.4-9 3.3.4-10 4.9.0-1 4.9.0-2 4.9.0-3", five, func(s *stage) {
		sub := s.dial()
		p := s.login("sub")
		p.Props.ReceiveMaximum = new(uint16(2))
		sub.Connect(p)
		sub.Subscribe(mqtttest.Filter(s.topic("#"), 2))
		s.publish(mqtttest.Message(s.topic("1"), "1", 1), mqtttest.Message(s.topic("2"), "2", 2), mqtttest.Message(s.topic("3"), "3", 1), mqtttest.Message(s.topic("4"), "4", 2))
		one, two := mqtttest.Expect[packet.Publish](sub), mqtttest.Expect[packet.Publish](sub)
		sub.Quiet()
		s.publish(mqtttest.Message(s.topic("0"), "0", 0)) // takes no room
		sub.ExpectPublish(s.topic("0"), "0", 0)
		sub.Subscribe(mqtttest.Filter(s.topic("more"), 0))
		sub.Accept(one)
		sub.ExpectPublish(s.topic("3"), "3", 1)
		four := mqtttest.Expect[packet.Publish](sub)
		sub.Quiet()
		sub.Accept(two)
		sub.Accept(four)
		sub.Quiet()
	}},
	{"more than the server's receive maximum", "", "3.3.4-7 4.13.1-1", five, func(s *stage) {
		c := s.dial()
		ack := c.Connect(s.login("a"))
		if ack.Props.ReceiveMaximum == nil {
			s.Fatal("the server announces no receive maximum")
		}
		n := *ack.Props.ReceiveMaximum
		for id := range n {
			c.Send(&packet.Publish{Topic: s.topic("a"), QoS: 2, ID: id + 1})
		}
		for id := range n {
			c.ExpectAck(packet.PUBREC, id+1)
		}
		c.Quiet()
		c.Send(&packet.Publish{Topic: s.topic("a"), QoS: 2, ID: n + 1})
		c.ExpectRefused(packet.ReceiveMaximumExceeded)
	}},
	{"more than the server's maximum packet size", "", "3.2.2-15 4.13.1-1", five, func(s *stage) {
		c := s.dial()
		ack := c.Connect(s.login("a"))
		if ack.Props.MaxPacketSize == nil {
			s.Fatal("the server announces no maximum")
		}
		c.Send(&packet.Publish{Topic: s.topic("a"), Payload: make([]byte, *ack.Props.MaxPacketSize)})
		c.ExpectRefused(packet.PacketTooLarge)
	}},
}

var propertyScripts = []script{
	{"properties are passed on", "", "3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20 1.5.4-3", five, func(s *stage) {
		for _, q := range []packet.QoS{0, 1, 2} {
			sub, pub := s.pair(q)
			m := mqtttest.Message(s.topic("a"), "x", q)
			m.Props = packet.Properties{
				PayloadFormat: new(byte(0)), ContentType: "\ufefftext/plain", ResponseTopic: s.topic("answer"), CorrelationData: []byte{0, 255},
				User: []packet.Pair{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Value: "1"}, {Name: "", Value: ""}},
			}
			pub.Publish(m)
			if d := cmp.Diff(m.Props, sub.ExpectPublish(s.topic("a"), "x", q).Props); d != "" {
				s.Errorf("QoS %d: %s", q, d)
			}
		}
	}},
	{"properties of a message that waited", "", "3.3.2-4 3.3.2-6 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20", five, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 1))
		s.gone(c)
		m := mqtttest.Message(s.topic("a"), "x", 1)
		m.Props = packet.Properties{
			PayloadFormat: new(byte(1)), ContentType: "text/plain", ResponseTopic: s.topic("answer"), CorrelationData: []byte{},
			User: []packet.Pair{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Value: "1"}}, MessageExpiry: new(uint32(1000)),
		}
		s.publish(m)
		got := s.back("a").ExpectPublish(s.topic("a"), "x", 1).Props
		if left := got.MessageExpiry; left == nil || *left > 1000 || *left < 500 {
			s.Errorf("the time that is left: %v", left)
		}
		got.MessageExpiry = m.Props.MessageExpiry
		if d := cmp.Diff(m.Props, got); d != "" {
			s.Error(d)
		}
	}},
	{"a response topic with a wildcard", "", "3.3.2-14", five, refuses("\x30\x0a\x00\x01a\x06\x08\x00\x03a/+", packet.ProtocolError)},
	{"a response topic that is no UTF-8", "", "3.3.2-13", five, refuses("\x30\x08\x00\x01a\x04\x08\x00\x01\xff", packet.MalformedPacket)},
	{"a content type that is no UTF-8", "", "3.3.2-19", five, refuses("\x30\x08\x00\x01a\x04\x03\x00\x01\xff", packet.MalformedPacket)},
	{"a user property that is no UTF-8", "", "1.5.7-1", five, refuses("\x30\x0a\x00\x01a\x06\x26\x00\x01\xff\x00\x00", packet.MalformedPacket)},
	{"a client sends a subscription identifier", "", "3.3.4-6", five, refuses("\x30\x06\x00\x01a\x02\x0b\x01", packet.ProtocolError)},
	{"topic aliases", "", "3.3.2-12 3.2.2-17", five, func(s *stage) {
		sub, pub := s.client("sub"), s.dial()
		sub.Subscribe(mqtttest.Filter(s.topic("#"), 1))
		most := pub.Connect(s.login("pub")).Props.TopicAliasMax
		for alias := range most {
			pub.Publish(packet.Publish{Topic: s.topic("first"), Payload: []byte("x"), Props: packet.Properties{TopicAlias: new(alias + 1)}})
			sub.ExpectPublish(s.topic("first"), "x", 0)
		}
		if most == 0 {
			return
		}
		pub.Publish(packet.Publish{QoS: 1, Payload: []byte("y"), Props: packet.Properties{TopicAlias: new(most)}})
		sub.ExpectPublish(s.topic("first"), "y", 1)
		pub.Publish(packet.Publish{Topic: s.topic("second"), Payload: []byte("x"), Props: packet.Properties{TopicAlias: new(most)}})
		sub.ExpectPublish(s.topic("second"), "x", 0)
		pub.Publish(packet.Publish{Payload: []byte("z"), Props: packet.Properties{TopicAlias: new(most)}})
		sub.ExpectPublish(s.topic("second"), "z", 0)
	}},
	{"a topic alias that is not allowed", "", "3.3.2-8 3.3.2-9", five, func(s *stage) {
		c := s.dial()
		most := c.Connect(s.login("a")).Props.TopicAliasMax
		for _, alias := range []uint16{0, most + 1} {
			c := s.client("b")
			c.Send(&packet.Publish{Topic: s.topic("a"), Props: packet.Properties{TopicAlias: new(alias)}})
			c.ExpectRefused(packet.TopicAliasInvalid)
		}
	}},
	{"a topic alias of another connection", "", "3.3.2-7", five, func(s *stage) {
		c := s.persistent("a")
		c.Publish(packet.Publish{Topic: s.topic("a"), Props: packet.Properties{TopicAlias: new(uint16(1))}})
		s.gone(c)
		c = s.back("a")
		c.Send(&packet.Publish{Props: packet.Properties{TopicAlias: new(uint16(1))}})
		c.ExpectRefused(packet.ProtocolError, packet.TopicAliasInvalid)
	}},
	{"topic aliases of the server", "", "3.1.2-26 3.1.2-27 3.3.2-11 3.3.2-8", five, func(s *stage) {
		for _, most := range []uint16{0, 1} {
			sub := s.dial()
			p := s.login("sub")
			p.Props.TopicAliasMax = most
			sub.Connect(p)
			sub.Subscribe(mqtttest.Filter(s.topic("#"), 0))
			for range 2 {
				for _, name := range []string{s.topic("a"), s.topic("b")} {
					s.publish(mqtttest.Message(name, "x", 0))
					if a := mqtttest.Expect[packet.Publish](sub).Props.TopicAlias; a != nil && *a > most {
						s.Errorf("the alias %d is above %d", *a, most)
					}
				}
			}
		}
	}},
	{"a message that is too large for the client", "", "3.1.2-24 3.1.2-25", five, func(s *stage) {
		sub := s.dial()
		p := s.login("sub")
		p.Props.MaxPacketSize = new(uint32(200))
		p.Props.ReceiveMaximum = new(uint16(1))
		sub.Connect(p)
		sub.Subscribe(mqtttest.Filter(s.topic("#"), 2))
		large := strings.Repeat("x", 300)
		s.publish(mqtttest.Message(s.topic("a"), large, 0), mqtttest.Message(s.topic("a"), large, 1), mqtttest.Message(s.topic("a"), large, 2),
			mqtttest.Message(s.topic("a"), "small", 1))
		sub.ExpectPublish(s.topic("a"), "small", 1)
	}},
	{"the time that is left", "", "3.3.2-6", five, func(s *stage) {
		sub, pub := s.pair(1)
		m := mqtttest.Message(s.topic("a"), "x", 1)
		m.Props.MessageExpiry = new(uint32(1000))
		pub.Publish(m)
		if left := sub.ExpectPublish(s.topic("a"), "x", 1).Props.MessageExpiry; left == nil || *left > 1000 || *left < 500 {
			s.Errorf("it is %v", left)
		}
	}},
}
