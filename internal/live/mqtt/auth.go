package mqtt

import (
	"bytes"
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire/packet"
)

// TokenMethod is the method of enhanced authentication that every broker has: its
// data is a device token or a JWT. With it a client replaces a JWT that expires
// without a new connection.
const TokenMethod = "herald-token"

// Authenticator is a method of enhanced authentication (MQTT 5.0 section 4.12).
type Authenticator interface {
	// Authenticate is given the data of a CONNECT or an AUTH, and what it has
	// answered as memory to the one before; nil for the first. It is called on a
	// worker of the hub. An error, best one of the code unauthorized, refuses the
	// client.
	Authenticate(ctx context.Context, memory any, data []byte) (Step, error)
}

// Step is what an Authenticator answers.
type Step struct {
	// Token is that of the device which the client has proved to be, as it would
	// be with user name and password. While it is empty, the exchange goes on.
	Token string
	// Data is for the client; it goes along with AUTH or CONNACK.
	Data []byte
	// Memory is given back with the next data.
	Memory any
}

// tokenMethod is herald-token.
type tokenMethod struct{}

func (tokenMethod) Authenticate(_ context.Context, _ any, data []byte) (Step, error) {
	if len(data) == 0 {
		return Step{}, herald.Errorf(herald.CodeUnauthorized, "Send the device token as authentication data.", "there is no token")
	}
	return Step{Token: string(data)}, nil
}

// again is an authentication in the middle of a session.
type again struct{ memory any }

// method finds a method by its name.
func (b *Broker) method(name string) Authenticator {
	if a := b.config.Authenticators[name]; a != nil {
		return a
	}
	if name == TokenMethod {
		return tokenMethod{}
	}
	return nil
}

// beginAuth begins the enhanced authentication that a CONNECT asks for.
func (c *conn) beginAuth() error {
	p := &c.start.connect.Props
	if c.broker().method(p.AuthMethod) == nil { // MQTT-4.12.0-1
		return &packet.Error{Code: packet.BadAuthenticationMethod, Text: "the method of authentication is not known"}
	}
	c.step(p.AuthData)
	return nil
}

// step gives data to the authenticator. What comes is kept until it has answered.
func (c *conn) step(data []byte) {
	c.phase = opening
	s := c.start
	c.work(func(ctx context.Context) {
		err := live.MayTry(c)
		var got Step
		if err == nil {
			got, err = c.broker().method(s.connect.Props.AuthMethod).Authenticate(ctx, s.memory, data)
			live.Tried(c, err)
		}
		c.stepped(got, err)
	})
}

// stepped goes on with what the authenticator has answered.
func (c *conn) stepped(got Step, err error) {
	c.handling.Lock()
	defer c.handling.Unlock()
	if c.phase != opening {
		return
	}
	if err != nil {
		c.fail(refusalOf(err), messageOf(err))
		return
	}
	s := c.start
	s.memory = got.Memory
	if got.Token != "" {
		s.data = got.Data
		c.hello(got.Token)
		return
	}
	c.phase = asking
	_ = c.answer(c.authPacket(packet.ContinueAuthentication, got.Data))
	early := c.part
	c.part = nil
	c.bytes(early)
}

func refusalOf(err error) packet.Code {
	if herald.CodeOf(err) == herald.CodeRateLimited {
		return packet.ServerBusy
	}
	return packet.NotAuthorized
}

func (c *conn) authPacket(code packet.Code, data []byte) *packet.Auth {
	p := &packet.Auth{Code: code}
	p.Props.AuthMethod, p.Props.AuthData = c.authMethod(), data
	return p
}

// authMethod is the method that the CONNECT has named; "" for none.
func (c *conn) authMethod() string {
	if c.start != nil {
		return c.start.connect.Props.AuthMethod
	}
	if c.claim != nil {
		return c.claim.method
	}
	return ""
}

// auth acts on an AUTH: it goes on with an authentication, or asks for another one
// (MQTT 5.0 section 4.12.1), with the method of the CONNECT in both cases.
func (c *conn) auth(raw packet.Raw) error {
	var p packet.Auth
	if err := packet.ParseAuth(c.version, raw, &p); err != nil {
		return err
	}
	if m := c.authMethod(); m == "" || m != p.Props.AuthMethod { // MQTT-4.12.0-5
		return &packet.Error{Code: packet.ProtocolError, Text: "the method is not that of the CONNECT"}
	}
	data := bytes.Clone(p.Props.AuthData)
	switch {
	case c.phase == asking && p.Code == packet.ContinueAuthentication:
		c.step(data)
		return nil
	case c.phase == open && (p.Code == packet.Reauthenticate) == (c.claim.again == nil) && p.Code != packet.Success:
		if c.claim.again == nil {
			c.claim.again = &again{}
		}
		c.stepAgain(c.claim.again, data)
		return nil
	}
	return &packet.Error{Code: packet.ProtocolError, Text: "such an AUTH does not come here"} // MQTT-4.12.0-3
}

// stepAgain is step in the middle of a session, which goes on meanwhile.
func (c *conn) stepAgain(a *again, data []byte) {
	c.work(func(ctx context.Context) {
		got, err := c.broker().method(c.claim.method).Authenticate(ctx, a.memory, data)
		if err == nil && got.Token != "" {
			err = c.session.Renew(ctx, got.Token)
		}
		c.handling.Lock()
		defer c.handling.Unlock()
		switch {
		case c.phase != open:
		case err != nil: // MQTT-4.12.1-2
			c.fail(packet.NotAuthorized, messageOf(err))
		case got.Token != "":
			c.claim.again = nil
			_ = c.answer(c.authPacket(packet.Success, got.Data))
		default:
			a.memory = got.Memory
			_ = c.answer(c.authPacket(packet.ContinueAuthentication, got.Data))
		}
	})
}
