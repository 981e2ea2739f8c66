package mqtt_test

import (
	"time"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// qosScripts are about the server as the receiver of publications.
var qosScripts = []script{
	{"a PUBACK", "2.3.1-6 3.3.4-1 4.3.2-2", "2.2.1-5 3.3.4-1 4.3.2-4", all, func(s *stage) {
		sub, pub := s.pair(1)
		for _, id := range []uint16{1, 300, 65535} {
			m := mqtttest.Message(s.topic("a"), "x", 1)
			m.ID = id
			pub.Publish(m)
			sub.ExpectPublish(s.topic("a"), "x", 1)
		}
	}},
	{"a QoS 1 identifier again", "4.3.2-2", "4.3.2-5", all, func(s *stage) {
		sub, pub := s.pair(1)
		m := mqtttest.Message(s.topic("a"), "x", 1)
		m.ID = 7
		pub.Publish(m)
		sub.ExpectPublish(s.topic("a"), "x", 1)
		m.Dup = true
		pub.Publish(m)
		sub.ExpectPublish(s.topic("a"), "x", 1)
	}},
	{"a PUBREC and a PUBCOMP", "2.3.1-6 3.3.4-1 4.3.3-2", "2.2.1-5 3.3.4-1 4.3.3-8 4.3.3-11", all, func(s *stage) {
		sub, pub := s.pair(2)
		for _, id := range []uint16{1, 300, 65535} {
			m := mqtttest.Message(s.topic("a"), "x", 2)
			m.ID = id
			pub.Publish(m)
			sub.ExpectPublish(s.topic("a"), "x", 2)
		}
	}},
	{"a QoS 2 publication twice", "4.3.3-2", "4.3.3-10 4.3.3-11 4.3.3-12", all, func(s *stage) {
		sub, pub := s.pair(2)
		m := mqtttest.Message(s.topic("a"), "x", 2)
		m.ID = 7
		for again := range 3 {
			m.Dup = again > 0
			pub.Send(&m)
			pub.ExpectAck(packet.PUBREC, 7)
		}
		pub.Send(&packet.Ack{Type: packet.PUBREL, ID: 7})
		pub.ExpectAck(packet.PUBCOMP, 7)
		sub.ExpectPublish(s.topic("a"), "x", 2)
		sub.Quiet()
		m.Dup = true // the identifier is free, so this is another one
		pub.Publish(m)
		sub.ExpectPublish(s.topic("a"), "x", 2)
		s.nothing(sub)
	}},
	{"a QoS 2 publication that is refused", "", "4.3.3-9 3.5.2-1", five, func(s *stage) {
		sub, pub := s.pair(2)
		pub.Send(&packet.Publish{Topic: "$SYS/x", QoS: 2, ID: 7})
		if a := pub.ExpectAck(packet.PUBREC, 7); !a.Code.Failed() {
			s.Fatalf("it is accepted: %v", a.Code)
		}
		m := mqtttest.Message(s.topic("a"), "x", 2)
		m.ID = 7
		pub.Publish(m)
		sub.ExpectPublish(s.topic("a"), "x", 2)
	}},
	{"a PUBREL of nothing", "2.3.1-6", "3.7.2-1 2.2.1-5 3.7.2-2 3.7.2-3", all, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Ack{Type: packet.PUBREL, ID: 77})
		if a := c.ExpectAck(packet.PUBCOMP, 77); s.v >= packet.V5 && a.Code != packet.PacketIDNotFound {
			s.Errorf("the code is %v", a.Code)
		}
	}},
	{"PUBREL with reserved flags", "3.6.1-1 2.2.2-2", "3.6.1-1 2.1.3-1", all, refuses("\x60\x02\x00\x01", packet.MalformedPacket)},
	{"QoS 2 goes on after the message has expired", "", "4.3.3-13", five, func(s *stage) {
		c := s.client("a")
		m := mqtttest.Message(s.topic("a"), "x", 2)
		m.ID, m.Props.MessageExpiry = 7, new(uint32(1))
		c.Send(&m)
		c.ExpectAck(packet.PUBREC, 7)
		pass(1500 * time.Millisecond)
		c.Send(&packet.Ack{Type: packet.PUBREL, ID: 7})
		if a := c.ExpectAck(packet.PUBCOMP, 7); a.Code.Failed() {
			s.Errorf("the code is %v", a.Code)
		}
	}},
	{"answers in the order of the questions", "4.6.0-2 4.6.0-3", "4.6.0-2 4.6.0-3", all, func(s *stage) {
		c := s.client("a")
		for id := range uint16(10) {
			c.Send(&packet.Publish{Topic: s.topic("a"), QoS: 1, ID: id + 1})
		}
		for id := range uint16(10) {
			c.ExpectAck(packet.PUBACK, id+1)
		}
		for id := range uint16(10) {
			c.Send(&packet.Publish{Topic: s.topic("a"), QoS: 2, ID: id + 1})
		}
		for id := range uint16(10) {
			c.ExpectAck(packet.PUBREC, id+1)
		}
	}},
}

// senderScripts are about the server as the sender.
var senderScripts = []script{
	{"the server sends with QoS 1", "4.3.2-1 2.3.1-2 2.3.1-4", "4.3.2-1 4.3.2-2 2.2.1-4", all, func(s *stage) {
		sub, pub := s.pair(1)
		used := map[uint16]bool{}
		for range 10 {
			pub.Publish(mqtttest.Message(s.topic("a"), "x", 1))
			p := mqtttest.Expect[packet.Publish](sub)
			if p.ID == 0 || p.Dup || p.QoS != 1 || used[p.ID] {
				s.Errorf("%+v, in use: %v", p, used)
			}
			used[p.ID] = true // none of them is acknowledged
		}
	}},
	{"the server sends with QoS 2", "4.3.3-1 2.3.1-4 2.3.1-6", "4.3.3-1 4.3.3-2 4.3.3-3 4.3.3-4 2.2.1-4 2.2.1-5 3.6.2-1", all, func(s *stage) {
		sub, pub := s.pair(2)
		used := map[uint16]bool{}
		var list []*packet.Publish
		for range 5 {
			pub.Publish(mqtttest.Message(s.topic("a"), "x", 2))
			p := mqtttest.Expect[packet.Publish](sub)
			if p.ID == 0 || p.Dup || p.QoS != 2 || used[p.ID] {
				s.Errorf("%+v, in use: %v", p, used)
			}
			used[p.ID] = true
			list = append(list, p)
		}
		for _, p := range list {
			sub.Send(&packet.Ack{Type: packet.PUBREC, ID: p.ID})
			if a := sub.ExpectAck(packet.PUBREL, p.ID); a.Code != packet.Success {
				s.Errorf("the code is %v", a.Code)
			}
			sub.Send(&packet.Ack{Type: packet.PUBCOMP, ID: p.ID})
		}
		sub.Quiet()
	}},
	{"PUBREL packets in order", "4.6.0-4", "4.6.0-4", all, func(s *stage) {
		sub, pub := s.pair(2)
		var list []*packet.Publish
		for range 5 {
			pub.Publish(mqtttest.Message(s.topic("a"), "x", 2))
			list = append(list, mqtttest.Expect[packet.Publish](sub))
		}
		for _, i := range []int{3, 0, 4, 1, 2} {
			sub.Send(&packet.Ack{Type: packet.PUBREC, ID: list[i].ID})
		}
		for _, i := range []int{3, 0, 4, 1, 2} {
			sub.ExpectAck(packet.PUBREL, list[i].ID)
		}
	}},
	{"a PUBREC of nothing", "", "3.6.2-1 3.6.2-2 3.6.2-3", five, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Ack{Type: packet.PUBREC, ID: 77})
		if a := c.ExpectAck(packet.PUBREL, 77); a.Code != packet.PacketIDNotFound {
			s.Errorf("the code is %v", a.Code)
		}
	}},
	{"the same PUBREC twice", "4.3.3-1", "4.3.3-6", all, func(s *stage) {
		sub, pub := s.pair(2)
		pub.Publish(mqtttest.Message(s.topic("a"), "x", 2))
		p := mqtttest.Expect[packet.Publish](sub)
		sub.Send(&packet.Ack{Type: packet.PUBREC, ID: p.ID}, &packet.Ack{Type: packet.PUBREC, ID: p.ID})
		sub.ExpectAck(packet.PUBREL, p.ID)
		sub.ExpectAck(packet.PUBREL, p.ID)
		sub.Send(&packet.Ack{Type: packet.PUBCOMP, ID: p.ID})
		sub.Quiet()
	}},
	{"what is not acknowledged is not repeated meanwhile", "", "4.4.0-1", five, func(s *stage) {
		sub, pub := s.pair(2)
		pub.Publish(mqtttest.Message(s.topic("a"), "x", 1))
		pub.Publish(mqtttest.Message(s.topic("a"), "x", 2))
		mqtttest.Expect[packet.Publish](sub)
		p := mqtttest.Expect[packet.Publish](sub)
		sub.Send(&packet.Ack{Type: packet.PUBREC, ID: p.ID})
		sub.ExpectAck(packet.PUBREL, p.ID)
		pass(time.Second)
		sub.Quiet()
	}},
}
