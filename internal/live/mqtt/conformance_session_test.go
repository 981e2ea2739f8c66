package mqtt_test

import (
	"time"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// pass lets time pass that a rule is about.
func pass(d time.Duration) { <-time.After(d) }

var sessionScripts = []script{
	{"a session goes on", "3.1.2-4 3.2.2-2 4.1.0-1 4.1.0-2", "3.1.2-5 3.1.2-23 3.2.2-3 4.1.0-1", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		s.gone(c)
		c = s.back("a")
		s.publish(mqtttest.Message(s.topic("a"), "x", 1))
		c.ExpectPublish(s.topic("a"), "x", 1)
	}},
	{"a session goes on after the connection broke", "3.1.2-4", "3.1.2-5 3.1.2-23", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		c.Hangup()
		c = s.back("a")
		s.publish(mqtttest.Message(s.topic("a"), "x", 1))
		c.ExpectPublish(s.topic("a"), "x", 1)
	}},
	{"there is no session yet", "3.1.2-4 3.2.2-3 3.1.4-3", "3.1.2-6 3.2.2-3 3.1.4-4", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("a"), 0))
		s.publish(mqtttest.Message(s.topic("a"), "x", 0))
		c.ExpectPublish(s.topic("a"), "x", 0)
	}},
	{"messages wait for a session", "3.1.2-5 4.5.0-1", "4.5.0-1 3.1.2-23", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("1"), 1), mqtttest.Filter(s.topic("+/2"), 2))
		s.gone(c)
		s.publish(mqtttest.Message(s.topic("1"), "one", 1), mqtttest.Message(s.topic("x/2"), "two", 2), mqtttest.Message(s.topic("3"), "three", 2))
		c = s.back("a")
		c.ExpectPublish(s.topic("1"), "one", 1)
		c.ExpectPublish(s.topic("x/2"), "two", 2)
		c.Quiet()
	}},
	{"a clean start", "3.1.2-6 3.2.2-1 3.1.4-3", "3.1.2-4 3.2.2-2 3.1.4-4", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 1))
		s.gone(c)
		s.publish(mqtttest.Message(s.topic("a"), "x", 1))
		c = s.dial()
		if ack := c.Connect(s.login("a")); ack.SessionPresent {
			s.Error("a session is present")
		}
		s.publish(mqtttest.Message(s.topic("a"), "y", 1))
		c.Quiet()
	}},
	{"a session ends with its connection", "3.1.2-6 3.2.2-3", "4.1.0-2 3.2.2-3", either, func(s *stage) {
		c := s.client("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 1))
		s.gone(c)
		s.publish(mqtttest.Message(s.topic("a"), "x", 1))
		c = s.persistent("a")
		c.Quiet()
	}},
	{"a session expires", "", "4.1.0-2", five, func(s *stage) {
		p := s.lasting("a")
		p.Props.SessionExpiry = new(uint32(1))
		c := s.dial()
		c.Connect(p)
		c.Subscribe(mqtttest.Filter(s.topic("#"), 1))
		s.gone(c)
		pass(1500 * time.Millisecond)
		s.publish(mqtttest.Message(s.topic("a"), "x", 1))
		c = s.persistent("a")
		c.Quiet()
	}},
	{"a session that DISCONNECT ends", "", "4.1.0-2", five, func(s *stage) {
		c := s.persistent("a")
		c.Send(&packet.Disconnect{Props: packet.Properties{SessionExpiry: new(uint32(0))}})
		c.ExpectClosed()
		s.persistent("a")
	}},
	{"a session that DISCONNECT cannot make last", "", "4.13.1-1", five, func(s *stage) {
		c := s.client("a")
		c.Send(&packet.Disconnect{Props: packet.Properties{SessionExpiry: new(uint32(10))}})
		c.ExpectRefused(packet.ProtocolError)
	}},
	{"each client ID has its session", "3.1.3-2", "3.1.3-2", all, func(s *stage) {
		a, b := s.persistent("a"), s.persistent("b")
		a.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		b.Subscribe(mqtttest.Filter(s.topic("b"), 1))
		s.gone(a)
		s.gone(b)
		s.publish(mqtttest.Message(s.topic("a"), "for a", 1), mqtttest.Message(s.topic("b"), "for b", 1))
		s.back("b").ExpectPublish(s.topic("b"), "for b", 1)
		s.back("a").ExpectPublish(s.topic("a"), "for a", 1)
	}},
	{"retained messages outlive sessions", "3.1.2-7", "", all, func(s *stage) {
		c := s.client("a")
		m := mqtttest.Message(s.topic("a"), "kept", 1)
		m.Retain = true
		c.Publish(m)
		s.gone(c)
		c = s.client("a")
		c.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		if p := c.ExpectPublish(s.topic("a"), "kept", 1); !p.Retain {
			s.Error("it is not marked as retained")
		}
	}},
	{"what is not acknowledged comes again", "4.4.0-1 3.3.1-1 2.3.1-3 2.3.1-4 4.6.0-1", "4.4.0-1 3.3.1-1", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 2))
		s.publish(mqtttest.Message(s.topic("1"), "one", 1), mqtttest.Message(s.topic("2"), "two", 2), mqtttest.Message(s.topic("1"), "three", 1))
		var first []*packet.Publish
		for range 3 {
			p := mqtttest.Expect[packet.Publish](c)
			if p.Dup {
				s.Errorf("%s is marked as sent again", p.Payload)
			}
			first = append(first, p)
		}
		c.Quiet() // nothing comes again while the connection lasts
		c.Hangup()
		c = s.back("a")
		for _, want := range first {
			p := c.ExpectPublish(want.Topic, string(want.Payload), want.QoS)
			if !p.Dup || p.ID != want.ID {
				s.Errorf("%s: dup %v, identifier %d, want %d", p.Payload, p.Dup, p.ID, want.ID)
			}
		}
		s.gone(c)
		s.back("a").Quiet()
	}},
	{"what is acknowledged does not come again", "4.4.0-1 4.3.2-1", "4.4.0-2 4.3.2-3", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 1))
		s.publish(mqtttest.Message(s.topic("1"), "one", 1), mqtttest.Message(s.topic("2"), "two", 1))
		one := mqtttest.Expect[packet.Publish](c)
		two := mqtttest.Expect[packet.Publish](c)
		code := packet.Success
		if s.v >= packet.V5 {
			code = packet.UnspecifiedError
		}
		c.Send(&packet.Ack{Type: packet.PUBACK, ID: one.ID, Code: code})
		c.Quiet()
		s.gone(c)
		c = s.back("a")
		if p := c.ExpectPublish(two.Topic, "two", 1); p.ID != two.ID {
			s.Errorf("the identifier is %d and was %d", p.ID, two.ID)
		}
		c.Quiet()
	}},
	{"only the PUBREL comes again", "4.4.0-1 4.3.3-1", "4.4.0-1 4.3.3-5 4.3.3-6", all, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 2))
		s.publish(mqtttest.Message(s.topic("a"), "x", 2))
		p := mqtttest.Expect[packet.Publish](c)
		c.Send(&packet.Ack{Type: packet.PUBREC, ID: p.ID})
		c.ExpectAck(packet.PUBREL, p.ID)
		c.Hangup()
		c = s.back("a")
		c.ExpectAck(packet.PUBREL, p.ID)
		c.Send(&packet.Ack{Type: packet.PUBCOMP, ID: p.ID})
		c.Quiet()
		s.gone(c)
		s.back("a").Quiet()
	}},
	{"a PUBREC with a failure is the end", "", "4.4.0-2 4.3.3-4", five, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 2))
		s.publish(mqtttest.Message(s.topic("a"), "x", 2))
		p := mqtttest.Expect[packet.Publish](c)
		c.Send(&packet.Ack{Type: packet.PUBREC, ID: p.ID, Code: packet.UnspecifiedError})
		c.Quiet()
		s.gone(c)
		s.back("a").Quiet()
	}},
	{"a QoS 2 identifier outlives the connection", "4.3.3-2 4.4.0-1", "4.3.3-10 4.4.0-1", all, func(s *stage) {
		sub := s.client("sub")
		sub.Subscribe(mqtttest.Filter(s.topic("#"), 2))
		c := s.persistent("a")
		m := mqtttest.Message(s.topic("a"), "once", 2)
		m.ID = 9
		c.Send(&m)
		c.ExpectAck(packet.PUBREC, 9)
		c.Hangup()
		c = s.back("a")
		m.Dup = true
		c.Send(&m)
		c.ExpectAck(packet.PUBREC, 9)
		c.Send(&packet.Ack{Type: packet.PUBREL, ID: 9})
		if a := c.ExpectAck(packet.PUBCOMP, 9); a.Code.Failed() {
			s.Errorf("%v", a.Code)
		}
		sub.ExpectPublish(s.topic("a"), "once", 2)
		s.nothing(sub)
	}},
	{"a message expires while it waits", "", "3.3.2-5", five, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 1))
		s.gone(c)
		short, long := mqtttest.Message(s.topic("a"), "short", 1), mqtttest.Message(s.topic("b"), "long", 1)
		short.Props.MessageExpiry, long.Props.MessageExpiry = new(uint32(1)), new(uint32(1000))
		s.publish(short, long)
		pass(1500 * time.Millisecond)
		c = s.back("a")
		p := c.ExpectPublish(s.topic("b"), "long", 1)
		if left := p.Props.MessageExpiry; left == nil || *left >= 1000 || *left == 0 {
			s.Errorf("the time that is left: %v", left)
		}
		c.Quiet()
	}},
	{"a message that was sent does not expire", "", "4.3.3-7", five, func(s *stage) {
		c := s.persistent("a")
		c.Subscribe(mqtttest.Filter(s.topic("#"), 2))
		m := mqtttest.Message(s.topic("a"), "x", 2)
		m.Props.MessageExpiry = new(uint32(4)) // time enough to be sent
		s.publish(m)
		p := mqtttest.Expect[packet.Publish](c)
		c.Hangup()
		pass(4500 * time.Millisecond)
		c = s.back("a")
		if again := c.ExpectPublish(s.topic("a"), "x", 2); again.ID != p.ID {
			s.Errorf("the identifier is %d and was %d", again.ID, p.ID)
		}
	}},
}
