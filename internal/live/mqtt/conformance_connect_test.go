package mqtt_test

import (
	"strings"

	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

var connectScripts = []script{
	{"another packet comes first", "3.1.0-1", "3.1.0-1 3.14.0-1", all, func(s *stage) {
		for _, first := range []string{"\xc0\x00", "\xe0\x00", "\x30\x04\x00\x01ax", "\x82\x06\x00\x01\x00\x01a\x00"} {
			c := s.dial()
			c.SendBytes([]byte(first))
			c.ExpectClosed() // without a word: no CONNACK was sent
		}
	}},
	{"a second CONNECT", "3.1.0-2", "3.1.0-2", all, func(s *stage) {
		c := s.client("a")
		again := s.login("a")
		c.Send(&again)
		c.ExpectRefused(packet.ProtocolError)
	}},
	{"another protocol", "3.1.2-1", "3.1.2-1", either, func(s *stage) {
		c := s.dial()
		c.SendBytes([]byte("\x10\x0d\x00\x04HTTP" + string([]byte{byte(s.v)}) + "\x02\x00\x00\x00\x00\x00"))
		s.rejected(c, packet.UnsupportedVersion)
	}},
	{"a version that there is not", "3.1.2-2", "3.1.2-2", all, func(s *stage) {
		c := s.dial()
		switch s.v {
		case packet.V31:
			c.SendBytes([]byte("\x10\x0f\x00\x06MQIsdp\x02\x02\x00\x00\x00\x01a"))
		case packet.V311:
			c.SendBytes([]byte("\x10\x0d\x00\x04MQTT\x01\x02\x00\x00\x00\x01a"))
		default:
			c.SendBytes([]byte("\x10\x0e\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x01a"))
		}
		c.ExpectConnack(packet.UnsupportedVersion)
	}},
	{"the reserved flag", "3.1.2-3 3.1.4-1", "3.1.2-3 3.1.4-1", either, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		b := p.AppendTo(nil, s.v)
		b[strings.Index(string(b), "MQTT")+5] |= 1
		c.SendBytes(b)
		if s.v < packet.V5 {
			c.ExpectClosed() // 3.1.1 has no code for it
			return
		}
		s.rejected(c, packet.MalformedPacket)
	}},
	{"fields without their flags", "3.1.2-18 3.1.2-20 3.1.2-11 3.1.4-1", "3.1.2-16 3.1.2-18 3.1.4-1", either, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		b := p.AppendTo(nil, s.v)
		b[strings.Index(string(b), "MQTT")+5] = 0x02
		c.SendBytes(b)
		s.rejected(c, packet.MalformedPacket)
	}},
	{"a user name that is no UTF-8", "1.4.0-1 3.1.3-11 4.8.0-1", "1.5.4-1 3.1.3-12 4.13.1-1", either, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		p.Username = "\xed\xa0\x80"
		c.Send(&p)
		s.rejected(c, packet.MalformedPacket)
	}},
	{"a CONNACK comes first", "3.1.4-4 3.2.0-1", "3.1.4-5 3.2.0-1 3.2.0-2", all, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		c.Send(&p, &packet.Ping{Type: packet.PINGREQ}, &packet.Subscribe{ID: 7, List: []packet.Subscription{mqtttest.Filter(s.topic("a"), 0)}},
			&packet.Publish{Topic: s.topic("a"), Payload: []byte("x")})
		c.ExpectConnack(packet.Success)
		if ping := mqtttest.Expect[packet.Ping](c); ping.Type != packet.PINGRESP {
			s.Fatal("no PINGRESP")
		}
		if ack := mqtttest.Expect[packet.Suback](c); ack.ID != 7 {
			s.Fatalf("%+v", ack)
		}
		c.ExpectPublish(s.topic("a"), "x", 0)
		c.Quiet() // and there is no second CONNACK
	}},
	{"a wrong password", "3.2.2-4 3.2.2-5", "3.1.4-2 3.2.2-6 3.2.2-7 3.2.2-8 4.13.2-1", all, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		p.Password = []byte("wrong")
		c.Send(&p)
		if ack := c.ExpectConnack(packet.BadUserNameOrPassword, packet.NotAuthorized); ack.SessionPresent {
			s.Fatal("a session is present")
		}
	}},
	{"what follows a refused CONNECT", "3.1.4-5", "3.1.4-6", all, func(s *stage) {
		sub := s.client("sub")
		sub.Subscribe(mqtttest.Filter(s.topic("#"), 0))
		c := s.dial()
		p := s.login("a")
		p.Password = []byte("wrong")
		c.Send(&p, &packet.Publish{Topic: s.topic("a"), Payload: []byte("x")})
		c.ExpectConnack(packet.BadUserNameOrPassword, packet.NotAuthorized)
		s.nothing(sub)
	}},
	{"the same client connects again", "3.1.4-2", "3.1.4-3", all, func(s *stage) {
		first := s.client("a")
		second := s.client("a")
		first.ExpectRefused(packet.SessionTakenOver)
		second.Quiet()
	}},
	{"a client ID of 23 characters", "3.1.3-5 3.1.3-3", "3.1.3-5 3.1.3-3", all, func(s *stage) {
		const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		for at := 0; at < len(letters); at += 17 {
			id := (letters + letters)[at : at+23-len(s.prefix)]
			p := s.login(id)
			c := s.dial()
			c.Connect(p)
			s.gone(c)
		}
	}},
	{"no client ID", "3.1.3-6", "3.1.3-6 3.1.3-7 3.2.2-16", either, func(s *stage) {
		given := map[string]bool{}
		for range 3 {
			c := s.dial()
			p := s.login("a")
			p.ClientID = ""
			ack := c.Connect(p)
			if s.v >= packet.V5 {
				if given[ack.Props.AssignedClient] || ack.Props.AssignedClient == "" {
					s.Fatalf("the client ID %q was assigned", ack.Props.AssignedClient)
				}
				given[ack.Props.AssignedClient] = true
			}
			c.Quiet()
		}
	}},
	{"no client ID without a clean session", "3.1.3-8 3.1.3-9 3.1.3-7", "", before, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		p.ClientID, p.CleanStart = "", false
		c.Send(&p)
		c.ExpectConnack(packet.ClientIDNotValid)
	}},
	{"a client ID that is refused", "3.1.3-9", "3.1.3-8", all, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		p.ClientID = "a\tb"
		c.Send(&p)
		c.ExpectConnack(packet.ClientIDNotValid)
	}},
	{"a client ID with U+0000", "1.4.0-2 3.1.3-4", "1.5.4-2 3.1.3-4", either, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		p.ClientID = "a\x00b"
		c.Send(&p)
		s.rejected(c, packet.MalformedPacket)
	}},
	{"silence", "3.1.2-24", "3.1.2-22 3.2.2-22", all, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		p.KeepAlive = 1
		if ack := c.Connect(p); ack.Props.ServerKeepAlive != nil {
			s.Fatalf("the server wants a keep alive of %d", *ack.Props.ServerKeepAlive)
		}
		c.ExpectRefused(packet.KeepAliveTimeout)
	}},
	{"a ping", "3.12.4-1", "3.12.4-1", all, func(s *stage) {
		c := s.client("a")
		for range 3 {
			c.Quiet()
		}
	}},
	{"response information is not asked for", "", "3.1.2-28", five, func(s *stage) {
		for _, want := range []byte{0, 1} {
			c := s.dial()
			p := s.login("a")
			p.Props.RequestResponse = want
			if ack := c.Connect(p); want == 0 && ack.Props.ResponseInfo != "" {
				s.Fatalf("it is %q", ack.Props.ResponseInfo)
			}
		}
	}},
	{"reasons are not asked for", "", "3.1.2-29", five, func(s *stage) {
		c := s.dial()
		p := s.login("a")
		p.Props.RequestProblem = new(byte(0))
		c.Connect(p)
		for _, answer := range s.refusals(c) {
			if props := propsOf(answer); props.Reason != "" || len(props.User) > 0 {
				s.Errorf("%T has %+v", answer, props)
			}
		}
	}},
	{"a client that takes small packets only", "", "3.1.2-24 3.2.2-19 3.2.2-20 3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2 3.14.2-3 3.14.2-4", five, func(s *stage) {
		const most = 40
		c := s.dial()
		p := s.login("a")
		p.Props.MaxPacketSize, p.Props.RequestResponse = new(uint32(most)), 1
		p.Version = s.v
		c.Send(&p)
		sized := func() mqtttest.Packet {
			p, b, err := c.Read()
			if err != nil || len(b) > most {
				s.Fatalf("%T with %d bytes, %v", p, len(b), err)
			}
			return p
		}
		if ack, ok := sized().(*packet.Connack); !ok || ack.Code != packet.Success {
			s.Fatalf("%+v", ack)
		}
		c.Send(s.forbidden()...)
		for range s.forbidden() {
			sized()
		}
		c.SendBytes([]byte("\xd0\x00")) // a PINGRESP, which only a server sends
		if _, ok := sized().(*packet.Disconnect); !ok {
			s.Fatal("no DISCONNECT")
		}
		c.ExpectClosed()
	}},
	{"every QoS and retained messages are supported", "", "3.2.2-9 3.2.2-10 3.2.2-12 3.2.2-13", five, func(s *stage) {
		p := s.login("a")
		p.Will = &packet.Will{Topic: s.topic("will"), QoS: 2, Retain: true}
		c := s.dial()
		ack := c.Connect(p)
		if ack.Props.MaximumQoS != nil || ack.Props.RetainAvailable != nil && *ack.Props.RetainAvailable == 0 {
			s.Fatalf("%+v", ack.Props)
		}
		c.Send(&packet.Disconnect{})
		c.ExpectClosed()
	}},
	{"DISCONNECT", "3.14.4-1 3.14.4-2", "3.14.4-1 3.14.4-2", all, func(s *stage) {
		sub := s.client("sub")
		sub.Subscribe(mqtttest.Filter(s.topic("#"), 0))
		c := s.client("a")
		c.Send(&packet.Disconnect{}, &packet.Publish{Topic: s.topic("a"), Payload: []byte("x")})
		c.ExpectClosed()
		s.nothing(sub)
	}},
	{"DISCONNECT with reserved flags", "3.14.1-1 2.2.2-1 2.2.2-2", "3.14.1-1 2.1.3-1", either, refuses("\xe1\x00", packet.MalformedPacket)},
	{"DISCONNECT with a code that there is not", "", "3.14.2-1", five, refuses("\xe0\x01\x03", packet.ProtocolError)},
	{"the DISCONNECT of the server", "", "3.14.2-2 4.13.2-1", five, func(s *stage) {
		c := s.client("a")
		c.SendBytes([]byte("\xd0\x00"))
		d := mqtttest.Expect[packet.Disconnect](c)
		if d.Props.SessionExpiry != nil || !d.Code.Failed() {
			s.Errorf("%+v", d)
		}
		c.ExpectClosed()
	}},
	{"packets that only a server sends", "4.8.0-1", "4.13.1-1", all, func(s *stage) {
		for _, bytes := range []string{"\xd0\x00", "\x20\x02\x00\x00", "\x90\x03\x00\x01\x00", "\xb0\x02\x00\x01"} {
			c := s.client("a")
			c.SendBytes([]byte(bytes))
			c.ExpectRefused(packet.ProtocolError, packet.MalformedPacket)
		}
	}},
}

// nothing checks that nothing was published on the stage, to all of which the
// client subscribes.
func (s *stage) nothing(c *mqtttest.Client) {
	s.Helper()
	s.publish(mqtttest.Message(s.topic("marker"), "marker", 0))
	c.ExpectPublish(s.topic("marker"), "marker", 0)
}

// forbidden are packets that are answered with refusals.
func (s *stage) forbidden() []mqtttest.Packet {
	return []mqtttest.Packet{
		&packet.Publish{Topic: "$SYS/x", QoS: 1, ID: 1},
		&packet.Publish{Topic: "$SYS/x", QoS: 2, ID: 2},
		&packet.Subscribe{ID: 3, List: []packet.Subscription{{Filter: "a#"}}},
		&packet.Unsubscribe{ID: 4, Filters: []string{"a#"}},
	}
}

// refusals sends them and gives the answers.
func (s *stage) refusals(c *mqtttest.Client) (list []mqtttest.Packet) {
	s.Helper()
	c.Send(s.forbidden()...)
	for range s.forbidden() {
		list = append(list, c.Next())
	}
	return list
}

func propsOf(p mqtttest.Packet) *packet.Properties {
	switch p := p.(type) {
	case *packet.Ack:
		return &p.Props
	case *packet.Suback:
		return &p.Props
	case *packet.Unsuback:
		return &p.Props
	}
	return &packet.Properties{Reason: "an answer of another type"}
}
