package mqtt_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

var topicScripts = []script{
	{"wildcards", "4.7.1-2 4.7.1-3 3.3.2-3", "4.7.1-1 4.7.1-2 3.3.2-3", all, func(s *stage) {
		names := []string{"sport", "sport/", "sport/tennis", "sport/tennis/one", "sport/tennis/one/ranking", "finance", "a/b/c"}
		for filter, want := range map[string]string{
			"#":                "sport,sport/,sport/tennis,sport/tennis/one,sport/tennis/one/ranking,finance,a/b/c",
			"sport/#":          "sport,sport/,sport/tennis,sport/tennis/one,sport/tennis/one/ranking",
			"sport/tennis/#":   "sport/tennis,sport/tennis/one,sport/tennis/one/ranking",
			"+":                "sport,finance",
			"sport/+":          "sport/,sport/tennis",
			"+/tennis/+":       "sport/tennis/one",
			"+/+/c":            "a/b/c",
			"sport/+/one/#":    "sport/tennis/one,sport/tennis/one/ranking",
			"sport":            "sport",
			"sport/tennis/two": "",
		} {
			c := s.client("a")
			c.Subscribe(mqtttest.Filter(s.topic(filter), 0))
			for _, name := range names {
				c.Publish(mqtttest.Message(s.topic(name), "x", 0))
			}
			var got []string
			for c.Send(&packet.Ping{Type: packet.PINGREQ}); ; {
				p, ok := c.Next().(*packet.Publish)
				if !ok {
					break
				}
				got = append(got, strings.TrimPrefix(p.Topic, s.prefix+"/"))
			}
			if strings.Join(got, ",") != want {
				s.Errorf("%s: %v, want %s", filter, got, want)
			}
		}
	}},
	{"topics are compared as they are", "4.7.3-4 1.4.0-3", "4.7.3-4 1.5.4-3", all, func(s *stage) {
		names := []string{"Room", "room", "room/", "/room", "\u00e4", "a\u0308", "\ufeffroom", "ro om", " room"}
		for _, want := range names {
			c := s.client("a")
			c.Subscribe(mqtttest.Filter(s.topic(want), 0))
			for _, name := range names {
				c.Publish(mqtttest.Message(s.topic(name), "x", 0))
			}
			c.ExpectPublish(s.topic(want), "x", 0)
			c.Quiet()
		}
	}},
	{"topics that begin with $", "4.7.2-1", "4.7.2-1", all, func(s *stage) {
		c, sub := s.client("a"), s.client("sub")
		sub.Subscribe(mqtttest.Filter("+/"+s.prefix+"/a", 0))
		c.Send(&packet.Publish{Topic: "$x/" + s.topic("a"), Payload: []byte("no")})
		c.Send(&packet.Ping{Type: packet.PINGREQ})
		_, _, _ = c.Read() // the server may close
		s.publish(mqtttest.Message("x/"+s.topic("a"), "yes", 0))
		sub.ExpectPublish("x/"+s.topic("a"), "yes", 0)
		sub.Quiet()
	}},
	{"a topic that is long", "4.7.3-3", "4.7.3-3", all, func(s *stage) {
		sub, pub := s.pair(0)
		name := s.topic(strings.Repeat("x", 200))
		pub.Publish(mqtttest.Message(name, "x", 0))
		sub.ExpectPublish(name, "x", 0)
	}},
}

// members are subscribers of one shared subscription.
func (s *stage) members(n int, q packet.QoS) (list []*mqtttest.Client) {
	s.Helper()
	for i := range n {
		c := s.client(fmt.Sprintf("m%d", i))
		c.Subscribe(mqtttest.Filter("$share/g/"+s.topic("a/+"), q))
		list = append(list, c)
	}
	return list
}

// arrived counts what came to a client by now, and acknowledges it.
func arrived(c *mqtttest.Client) (got []string) {
	c.T.Helper()
	c.Send(&packet.Ping{Type: packet.PINGREQ})
	for {
		p, ok := c.Next().(*packet.Publish)
		if !ok {
			return got
		}
		got = append(got, string(p.Payload))
		if p.QoS == 1 {
			c.Accept(p)
		}
	}
}

var shareScripts = []script{
	{"a shared subscription", "", "4.8.2-1 4.8.2-2 4.8.2-3", five, func(s *stage) {
		for _, q := range []packet.QoS{0, 1} {
			list := s.members(3, q)
			other := s.client("other")
			other.Subscribe(mqtttest.Filter("$share/other/"+s.topic("#"), q))
			for i := range 12 {
				s.publish(mqtttest.Message(s.topic("a/b"), fmt.Sprint(i), 1))
			}
			var got []string
			for _, c := range list {
				part := arrived(c)
				if len(part) == 0 {
					s.Errorf("QoS %d: one got nothing", q)
				}
				got = append(got, part...)
			}
			slices.Sort(got)
			if n := len(slices.Compact(slices.Clone(got))); len(got) != 12 || n != 12 {
				s.Errorf("QoS %d: %v", q, got)
			}
			if n := len(arrived(other)); n != 12 {
				s.Errorf("the other group got %d", n)
			}
		}
	}},
	{"the QoS of a shared subscription", "", "4.8.2-3", five, func(s *stage) {
		c := s.members(1, 1)[0]
		s.publish(mqtttest.Message(s.topic("a/b"), "two", 2), mqtttest.Message(s.topic("a/b"), "none", 0))
		c.ExpectPublish(s.topic("a/b"), "two", 1)
		c.ExpectPublish(s.topic("a/b"), "none", 0)
	}},
	{"a shared subscription has no retained messages", "", "3.3.1-9", five, func(s *stage) {
		s.retain("a/b", "kept", 1)
		c := s.members(1, 1)[0]
		c.Quiet()
	}},
	{"what a member has begun it completes", "", "4.8.2-4", five, func(s *stage) {
		first := s.persistent("first")
		first.Subscribe(mqtttest.Filter("$share/g/"+s.topic("a/+"), 2))
		s.publish(mqtttest.Message(s.topic("a/b"), "x", 2))
		p := mqtttest.Expect[packet.Publish](first)
		second := s.client("second")
		second.Subscribe(mqtttest.Filter("$share/g/"+s.topic("a/+"), 2))
		first.Hangup()
		first = s.back("first")
		if again := first.ExpectPublish(s.topic("a/b"), "x", 2); again.ID != p.ID || !again.Dup {
			s.Errorf("%+v", again)
		}
		second.Quiet()
	}},
	{"what a member has begun nobody else gets", "", "4.8.2-5", five, func(s *stage) {
		first := s.persistent("first")
		first.Subscribe(mqtttest.Filter("$share/g/"+s.topic("a/+"), 2))
		s.publish(mqtttest.Message(s.topic("a/b"), "x", 2))
		mqtttest.Expect[packet.Publish](first)
		second := s.client("second")
		second.Subscribe(mqtttest.Filter("$share/g/"+s.topic("a/+"), 2))
		first.Send(&packet.Disconnect{Props: packet.Properties{SessionExpiry: new(uint32(0))}})
		first.ExpectClosed()
		s.persistent("first") // a new session
		second.Quiet()
	}},
	{"what a member refuses nobody else gets", "", "4.8.2-6", five, func(s *stage) {
		list := s.members(2, 2)
		for _, q := range []packet.QoS{1, 2, 1, 2} {
			s.publish(mqtttest.Message(s.topic("a/b"), "x", q))
		}
		n := 0
		for _, c := range list {
			c.Send(&packet.Ping{Type: packet.PINGREQ})
			for {
				p, ok := c.Next().(*packet.Publish)
				if !ok {
					break
				}
				n++
				c.Send(&packet.Ack{Type: packet.PUBACK + packet.Type(p.QoS-1), ID: p.ID, Code: packet.UnspecifiedError})
			}
		}
		if n != 4 {
			s.Errorf("%d came", n)
		}
		for _, c := range list {
			c.Quiet()
		}
	}},
}
