package mqtt_test

import (
	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// retain publishes a message that is to be retained, and waits until it is: what
// is retained later with an acknowledgement is so after it.
func (s *stage) retain(name, payload string, q packet.QoS) {
	s.Helper()
	m, last := mqtttest.Message(s.topic(name), payload, q), mqtttest.Message(s.topic("the/last"), "last", 1)
	m.Retain, last.Retain = true, true
	s.publish(m, last)
}

// kept subscribes as a new client and gives what is retained for a filter: all
// that comes before what another filter of the same SUBSCRIBE brings.
func (s *stage) kept(filter string) map[string]string {
	s.Helper()
	c := s.client("later")
	c.Subscribe(mqtttest.Filter(s.topic(filter), 2), mqtttest.Filter(s.topic("the/last"), 0))
	got := map[string]string{}
	for {
		p := mqtttest.Expect[packet.Publish](c)
		if !p.Retain {
			s.Errorf("%s is not marked as retained", p.Topic)
		}
		if p.Topic == s.topic("the/last") {
			s.gone(c)
			return got
		}
		got[p.Topic[len(s.prefix)+1:]] = string(p.Payload)
		c.Accept(p)
	}
}

var retainScripts = []script{
	{"retained messages", "3.3.1-5 3.3.1-6 3.3.1-8", "3.3.1-5 3.3.1-9", all, func(s *stage) {
		for _, q := range []packet.QoS{0, 1, 2} {
			s.retain("a/1", "old", q)
			s.retain("a/1", "one", q)
			s.retain("a/2", "two", q)
			s.retain("b", "no", q)
			c := s.client("sub")
			c.Subscribe(mqtttest.Filter(s.topic("a/+"), 2))
			got := map[string]string{}
			for range 2 {
				p := mqtttest.Expect[packet.Publish](c)
				if !p.Retain || p.QoS != q || p.Dup {
					s.Errorf("%+v", p)
				}
				got[p.Topic] = string(p.Payload)
				c.Accept(p)
			}
			if got[s.topic("a/1")] != "one" || got[s.topic("a/2")] != "two" {
				s.Errorf("QoS %d: %v", q, got)
			}
			c.Quiet()
		}
	}},
	{"a retained message with QoS 0 takes the place of another", "3.3.1-7", "3.3.1-5", all, func(s *stage) {
		s.retain("a", "one", 1)
		s.retain("a", "two", 0)
		if got := s.kept("a"); len(got) != 1 || got["a"] != "two" {
			s.Errorf("%v", got)
		}
	}},
	{"an empty message ends a retained one", "3.3.1-10 3.3.1-11", "3.3.1-6 3.3.1-7", all, func(s *stage) {
		sub := s.client("sub")
		sub.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		s.retain("a", "x", 1)
		sub.ExpectPublish(s.topic("a"), "x", 1)
		s.retain("a", "", 1)
		sub.ExpectPublish(s.topic("a"), "", 1)
		if got := s.kept("a"); len(got) != 0 {
			s.Errorf("%v", got)
		}
	}},
	{"a message that is not to be retained", "3.3.1-12", "3.3.1-8", all, func(s *stage) {
		s.retain("a", "kept", 1)
		s.publish(mqtttest.Message(s.topic("a"), "x", 1), mqtttest.Message(s.topic("a"), "", 1), mqtttest.Message(s.topic("b"), "x", 1))
		if got := s.kept("+"); got["a"] != "kept" || got["b"] != "" {
			s.Errorf("%v", got)
		}
	}},
	{"the flag for who subscribed before", "3.3.1-9", "3.3.1-12", all, func(s *stage) {
		sub := s.client("sub")
		sub.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		s.retain("a", "x", 1)
		if p := sub.ExpectPublish(s.topic("a"), "x", 1); p.Retain {
			s.Error("it is set")
		}
	}},
	{"the flag as it was published", "", "3.3.1-13", five, func(s *stage) {
		sub := s.client("sub")
		sub.Subscribe(packet.Subscription{Filter: s.topic("a"), QoS: 1, RetainAsPublished: true})
		s.retain("a", "x", 1)
		if p := sub.ExpectPublish(s.topic("a"), "x", 1); !p.Retain {
			s.Error("it is not set")
		}
		s.publish(mqtttest.Message(s.topic("a"), "y", 1))
		if p := sub.ExpectPublish(s.topic("a"), "y", 1); p.Retain {
			s.Error("it is set")
		}
	}},
	{"subscribing again", "3.8.4-3 3.3.1-6", "3.3.1-9 3.8.4-4", all, func(s *stage) {
		s.retain("a", "x", 1)
		sub := s.client("sub")
		for range 2 {
			sub.Subscribe(mqtttest.Filter(s.topic("a"), 1))
			if p := sub.ExpectPublish(s.topic("a"), "x", 1); !p.Retain {
				s.Error("it is not marked as retained")
			}
		}
		sub.Quiet()
	}},
	{"retained messages for new subscriptions only", "", "3.3.1-10", five, func(s *stage) {
		s.retain("a", "x", 1)
		sub := s.client("sub")
		sub.Subscribe(packet.Subscription{Filter: s.topic("a"), QoS: 1, RetainHandling: 1})
		sub.ExpectPublish(s.topic("a"), "x", 1)
		sub.Subscribe(packet.Subscription{Filter: s.topic("a"), QoS: 1, RetainHandling: 1})
		s.publish(mqtttest.Message(s.topic("a"), "y", 1))
		sub.ExpectPublish(s.topic("a"), "y", 1)
		sub.Unsubscribe(s.topic("a"))
		sub.Subscribe(packet.Subscription{Filter: s.topic("a"), QoS: 1, RetainHandling: 1})
		sub.ExpectPublish(s.topic("a"), "x", 1)
	}},
	{"no retained messages", "", "3.3.1-11", five, func(s *stage) {
		s.retain("a", "x", 1)
		sub := s.client("sub")
		sub.Subscribe(packet.Subscription{Filter: s.topic("a"), QoS: 1, RetainHandling: 2})
		s.publish(mqtttest.Message(s.topic("a"), "y", 1))
		sub.ExpectPublish(s.topic("a"), "y", 1)
		sub.Quiet()
	}},
	{"the properties of a retained message", "", "3.3.2-4 3.3.2-6 3.3.2-18 3.3.2-20", five, func(s *stage) {
		m := mqtttest.Message(s.topic("a"), "x", 1)
		m.Retain = true
		m.Props = packet.Properties{ContentType: "text/plain", PayloadFormat: new(byte(1)), MessageExpiry: new(uint32(1000)), User: []packet.Pair{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}}}
		s.publish(m)
		sub := s.client("sub")
		sub.Subscribe(mqtttest.Filter(s.topic("a"), 1))
		p := sub.ExpectPublish(s.topic("a"), "x", 1).Props
		if p.ContentType != "text/plain" || p.PayloadFormat == nil || p.MessageExpiry == nil || len(p.User) != 2 || p.User[0].Name != "b" {
			s.Errorf("%+v", p)
		}
	}},
}
