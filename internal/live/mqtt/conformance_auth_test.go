package mqtt_test

import (
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/live/mqtt/mqtttest"
	"github.com/herald-push/herald/internal/wire/packet"
)

// byMethod is a CONNECT whose password goes the way of a method.
func (s *stage) byMethod(name, method string) packet.Connect {
	p := s.login(name)
	p.Props.AuthMethod, p.Props.AuthData = method, p.Password
	p.Password, p.HasPassword = nil, false
	return p
}

// authPacket makes an AUTH.
func authPacket(code packet.Code, method, data string) *packet.Auth {
	return &packet.Auth{Code: code, Props: packet.Properties{AuthMethod: method, AuthData: []byte(data)}}
}

var authScripts = []script{
	{"a method that is not known", "", "4.12.0-1 4.12.0-4", five, func(s *stage) {
		c := s.dial()
		p := s.byMethod("a", "other")
		c.Send(&p)
		c.ExpectConnack(packet.BadAuthenticationMethod, packet.NotAuthorized)
	}},
	{"a method of one step", "", "4.12.0-5", five, func(s *stage) {
		c := s.dial()
		if ack := c.Connect(s.byMethod("a", mqtt.TokenMethod)); ack.Props.AuthMethod != mqtt.TokenMethod {
			s.Errorf("the method is %q", ack.Props.AuthMethod)
		}
		c.Quiet()
	}},
	{"a method of two steps", "", "4.12.0-2 4.12.0-3 4.12.0-5 3.15.2-1 3.15.2-2 3.15.2-3", five, func(s *stage) {
		c := s.dial()
		p := s.byMethod("a", twoSteps)
		token := string(p.Props.AuthData)
		p.Props.AuthData = []byte("first")
		p.Version = s.v
		c.Send(&p)
		a := mqtttest.Expect[packet.Auth](c)
		if a.Code != packet.ContinueAuthentication || a.Props.AuthMethod != twoSteps || string(a.Props.AuthData) != "and the token?" {
			s.Fatalf("%+v", a)
		}
		c.Send(authPacket(packet.ContinueAuthentication, twoSteps, token))
		if ack := c.ExpectConnack(packet.Success); ack.Props.AuthMethod != twoSteps {
			s.Errorf("the method is %q", ack.Props.AuthMethod)
		}
		c.Quiet()
	}},
	{"a method that refuses", "", "4.12.0-4 3.1.4-2", five, func(s *stage) {
		for _, method := range []string{mqtt.TokenMethod, twoSteps} {
			c := s.dial()
			p := s.byMethod("a", method)
			p.Props.AuthData = []byte("wrong")
			c.Send(&p)
			if method == twoSteps {
				mqtttest.Expect[packet.Auth](c)
				c.Send(authPacket(packet.ContinueAuthentication, twoSteps, "wrong"))
			}
			c.ExpectConnack(packet.NotAuthorized, packet.BadUserNameOrPassword)
		}
	}},
	{"another packet in the middle of a method", "", "3.1.2-30 3.1.4-6", five, func(s *stage) {
		c := s.dial()
		p := s.byMethod("a", twoSteps)
		c.Send(&p)
		mqtttest.Expect[packet.Auth](c)
		c.Send(&packet.Ping{Type: packet.PINGREQ})
		s.rejected(c, packet.ProtocolError)
	}},
	{"another method in the middle of a method", "", "4.12.0-3 4.12.0-5", five, func(s *stage) {
		c := s.dial()
		p := s.byMethod("a", twoSteps)
		c.Send(&p)
		mqtttest.Expect[packet.Auth](c)
		c.Send(authPacket(packet.ContinueAuthentication, mqtt.TokenMethod, "x"))
		s.rejected(c, packet.ProtocolError, packet.BadAuthenticationMethod)
	}},
	{"AUTH without a method in the CONNECT", "", "4.12.0-6 4.12.0-7", five, func(s *stage) {
		c := s.dial()
		if ack := c.Connect(s.login("a")); ack.Props.AuthMethod != "" {
			s.Errorf("the method is %q", ack.Props.AuthMethod)
		}
		c.Send(authPacket(packet.Reauthenticate, mqtt.TokenMethod, "x"))
		c.ExpectRefused(packet.ProtocolError)
	}},
	{"AUTH with reserved flags", "", "3.15.1-1 2.1.3-1", five, refuses("\xf1\x00", packet.MalformedPacket)},
	{"authenticating again", "", "4.12.1-1 4.12.0-5 3.15.2-1", five, func(s *stage) {
		for _, method := range []string{mqtt.TokenMethod, twoSteps} {
			c := s.dial()
			p := s.byMethod("a", method)
			token := string(p.Props.AuthData)
			c.Send(&p)
			if method == twoSteps {
				mqtttest.Expect[packet.Auth](c)
				c.Send(authPacket(packet.ContinueAuthentication, method, token))
			}
			c.ExpectConnack(packet.Success)
			c.Send(authPacket(packet.Reauthenticate, method, token))
			a := mqtttest.Expect[packet.Auth](c)
			if method == twoSteps {
				if a.Code != packet.ContinueAuthentication {
					s.Fatalf("%+v", a)
				}
				c.Quiet() // the session goes on meanwhile
				c.Send(authPacket(packet.ContinueAuthentication, method, token))
				a = mqtttest.Expect[packet.Auth](c)
			}
			if a.Code != packet.Success || a.Props.AuthMethod != method {
				s.Fatalf("%+v", a)
			}
			c.Quiet()
		}
	}},
	{"authenticating again fails", "", "4.12.1-2", five, func(s *stage) {
		c := s.dial()
		c.Connect(s.byMethod("a", mqtt.TokenMethod))
		c.Send(authPacket(packet.Reauthenticate, mqtt.TokenMethod, "wrong"))
		c.ExpectRefused(packet.NotAuthorized)
	}},
	{"authenticating again with another method", "", "4.12.1-1", five, func(s *stage) {
		c := s.dial()
		c.Connect(s.byMethod("a", mqtt.TokenMethod))
		c.Send(authPacket(packet.Reauthenticate, twoSteps, "x"))
		c.ExpectRefused(packet.ProtocolError, packet.BadAuthenticationMethod)
	}},
}
