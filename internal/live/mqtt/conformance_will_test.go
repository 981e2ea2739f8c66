package mqtt_test

import (
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// willing is a client with a will, and one that waits for it.
func (s *stage) willing(p packet.Connect, w packet.Will) (c, sub *mqtttest.Client) {
	s.Helper()
	sub = s.client("sub")
	sub.Subscribe(mqtttest.Filter(s.topic("#"), 2))
	w.Topic, w.Payload = s.topic("will"), []byte("gone")
	p.Will = &w
	c = s.dial()
	c.Connect(p)
	return c, sub
}

var willScripts = []script{
	{"a will", "3.1.2-8 3.1.2-16 3.1.2-9", "3.1.2-7 3.1.2-8 3.1.2-9 3.1.2-14", all, func(s *stage) {
		c, sub := s.willing(s.login("a"), packet.Will{QoS: 1})
		c.Hangup()
		if p := sub.ExpectPublish(s.topic("will"), "gone", 1); p.Retain {
			s.Error("it is retained")
		}
		s.nothing(sub) // it is published once
	}},
	{"a will after an error", "3.1.2-8", "3.1.2-8", all, func(s *stage) {
		c, sub := s.willing(s.login("a"), packet.Will{})
		c.SendBytes([]byte("\x00\x00"))
		sub.ExpectPublish(s.topic("will"), "gone", 0)
	}},
	{"a will after silence", "3.1.2-8 3.1.2-24", "3.1.2-8 3.1.2-22", all, func(s *stage) {
		p := s.login("a")
		p.KeepAlive = 1
		_, sub := s.willing(p, packet.Will{QoS: 2})
		sub.ExpectPublish(s.topic("will"), "gone", 2)
	}},
	{"a will that is retained", "3.1.2-17", "3.1.2-15", all, func(s *stage) {
		c, sub := s.willing(s.login("a"), packet.Will{Retain: true, QoS: 1})
		c.Hangup()
		sub.ExpectPublish(s.topic("will"), "gone", 1)
		later := s.client("later")
		later.Subscribe(mqtttest.Filter(s.topic("will"), 1))
		if p := later.ExpectPublish(s.topic("will"), "gone", 1); !p.Retain {
			s.Error("it is not retained")
		}
	}},
	{"a will and a good-bye", "3.1.2-10 3.14.4-3", "3.1.2-10 3.14.4-3", all, func(s *stage) {
		c, sub := s.willing(s.login("a"), packet.Will{})
		s.gone(c)
		s.nothing(sub)
	}},
	{"a good-bye with the will", "", "3.1.2-8", five, func(s *stage) {
		c, sub := s.willing(s.login("a"), packet.Will{})
		c.Send(&packet.Disconnect{Code: packet.DisconnectWithWill})
		sub.ExpectPublish(s.topic("will"), "gone", 0)
	}},
	{"gone without a will", "3.1.2-12", "", all, func(s *stage) {
		sub := s.client("sub")
		sub.Subscribe(mqtttest.Filter(s.topic("#"), 0))
		c := s.client("a")
		c.SendBytes([]byte("\x00\x00"))
		c.ExpectRefused(packet.MalformedPacket)
		s.nothing(sub)
	}},
	{"a will of another session", "3.1.2-10", "3.1.2-10", all, func(s *stage) {
		c, sub := s.willing(s.login("a"), packet.Will{})
		s.gone(c)
		c = s.client("a") // which has no will
		c.Hangup()
		s.nothing(sub)
	}},
	{"a will with a delay", "", "3.1.2-8", five, func(s *stage) {
		p := s.login("a")
		p.Props.SessionExpiry = new(uint32(100))
		c, sub := s.willing(p, packet.Will{Props: packet.Properties{WillDelay: 1}})
		start := time.Now()
		c.Hangup()
		sub.ExpectPublish(s.topic("will"), "gone", 0)
		if took := time.Since(start); took < 990*time.Millisecond { // the server counts in milliseconds
			s.Errorf("it came after %v", took)
		}
	}},
	{"a will when the session ends", "", "3.1.2-8", five, func(s *stage) {
		p := s.login("a")
		p.Props.SessionExpiry = new(uint32(1))
		c, sub := s.willing(p, packet.Will{Props: packet.Properties{WillDelay: 1000}})
		c.Hangup()
		sub.ExpectPublish(s.topic("will"), "gone", 0)
	}},
	{"back before the delay of the will ends", "", "3.1.3-9 3.1.2-8", five, func(s *stage) {
		_, sub := s.willing(s.lasting("a"), packet.Will{Props: packet.Properties{WillDelay: 1}})
		c := s.back("a") // which ends the connection before
		// Another will that waits as long, and begins later, comes; the first does not.
		p := s.lasting("b")
		p.Will = &packet.Will{Topic: s.topic("other"), Payload: []byte("x"), Props: packet.Properties{WillDelay: 1}}
		other := s.dial()
		other.Connect(p)
		other.Hangup()
		sub.ExpectPublish(s.topic("other"), "x", 0)
		c.Quiet()
	}},
	{"a new session before the delay of the will ends", "", "3.1.2-8", five, func(s *stage) {
		c, sub := s.willing(s.lasting("a"), packet.Will{Props: packet.Properties{WillDelay: 1000}})
		c.Hangup()
		s.client("a")
		sub.ExpectPublish(s.topic("will"), "gone", 0)
	}},
	{"the properties of a will", "", "3.1.3-10", five, func(s *stage) {
		props := packet.Properties{
			PayloadFormat: new(byte(1)), ContentType: "text/plain", ResponseTopic: s.topic("answer"), CorrelationData: []byte{0, 1},
			User: []packet.Pair{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Value: "1"}},
		}
		c, sub := s.willing(s.login("a"), packet.Will{Props: props})
		c.Hangup()
		p := sub.ExpectPublish(s.topic("will"), "gone", 0)
		if d := cmp.Diff(props, p.Props); d != "" {
			s.Error(d)
		}
	}},
}
