package mqtttest

import "github.com/herald-push/herald/internal/wire/packet"

// Connect sends a CONNECT of the client's version and waits for a CONNACK that
// accepts it.
func (c *Client) Connect(p packet.Connect) *packet.Connack {
	c.T.Helper()
	p.Version = c.V
	c.Send(&p)
	return c.ExpectConnack(packet.Success)
}

// Login is a CONNECT with a user name and a password, and with a clean start.
func Login(clientID, username, password string) packet.Connect {
	return packet.Connect{
		CleanStart: true, ClientID: clientID, Username: username, HasUsername: true,
		Password: []byte(password), HasPassword: true,
	}
}

// nextID gives a packet identifier.
func (c *Client) nextID() uint16 {
	c.ID++
	if c.ID == 0 {
		c.ID++
	}
	return c.ID
}

// Subscribe sends one SUBSCRIBE and waits for its SUBACK, whose codes must be
// the QoS that were asked for.
func (c *Client) Subscribe(list ...packet.Subscription) *packet.Suback {
	c.T.Helper()
	c.Send(&packet.Subscribe{ID: c.nextID(), List: list})
	ack := Expect[packet.Suback](c)
	if ack.ID != c.ID || len(ack.Codes) != len(list) {
		c.T.Fatalf("the SUBACK is %+v for identifier %d and %d filters", ack, c.ID, len(list))
	}
	for i, code := range ack.Codes {
		if code != packet.Code(list[i].QoS) {
			c.T.Fatalf("the filter %q was answered with %v", list[i].Filter, code)
		}
	}
	return ack
}

// Filter is a subscription without options.
func Filter(filter string, q packet.QoS) packet.Subscription {
	return packet.Subscription{Filter: filter, QoS: q}
}

// Unsubscribe sends one UNSUBSCRIBE and waits for its UNSUBACK.
func (c *Client) Unsubscribe(filters ...string) *packet.Unsuback {
	c.T.Helper()
	c.Send(&packet.Unsubscribe{ID: c.nextID(), Filters: filters})
	ack := Expect[packet.Unsuback](c)
	if ack.ID != c.ID || c.V >= packet.V5 && len(ack.Codes) != len(filters) {
		c.T.Fatalf("the UNSUBACK is %+v for identifier %d and %d filters", ack, c.ID, len(filters))
	}
	return ack
}

// Publish publishes and goes through the whole exchange of its QoS, in which no
// other packet may come. It gives the code of the PUBACK or PUBREC.
func (c *Client) Publish(p packet.Publish) packet.Code {
	c.T.Helper()
	if p.QoS > 0 && p.ID == 0 {
		p.ID = c.nextID()
	}
	c.Send(&p)
	switch p.QoS {
	case 1:
		return c.ExpectAck(packet.PUBACK, p.ID).Code
	case 2:
		if code := c.ExpectAck(packet.PUBREC, p.ID).Code; code.Failed() {
			return code
		}
		c.Send(&packet.Ack{Type: packet.PUBREL, ID: p.ID})
		return c.ExpectAck(packet.PUBCOMP, p.ID).Code
	}
	return packet.Success
}

// Message is a publication.
func Message(topic, payload string, q packet.QoS) packet.Publish {
	return packet.Publish{Topic: topic, Payload: []byte(payload), QoS: q}
}

// ExpectPublish waits for a publication and acknowledges it as its QoS asks for.
func (c *Client) ExpectPublish(topic, payload string, q packet.QoS) *packet.Publish {
	c.T.Helper()
	p := Expect[packet.Publish](c)
	if p.Topic != topic || string(p.Payload) != payload || p.QoS != q {
		c.T.Fatalf("got %q with %q and QoS %d, want %q with %q and QoS %d", p.Topic, p.Payload, p.QoS, topic, payload, q)
	}
	c.Accept(p)
	return p
}

// Accept acknowledges a publication as its QoS asks for. Publications that come
// before the PUBREL are put aside for who reads next.
func (c *Client) Accept(p *packet.Publish) {
	c.T.Helper()
	switch p.QoS {
	case 1:
		c.Send(&packet.Ack{Type: packet.PUBACK, ID: p.ID})
	case 2:
		c.Send(&packet.Ack{Type: packet.PUBREC, ID: p.ID})
		for {
			next, b, err := c.receive()
			if err != nil {
				c.T.Fatalf("instead of a PUBREL: %v", err)
			}
			if _, ok := next.(*packet.Publish); ok {
				c.aside = append(c.aside, kept{next, b})
				continue
			}
			if a, ok := next.(*packet.Ack); !ok || a.Type != packet.PUBREL || a.ID != p.ID {
				c.T.Fatalf("got a %T instead of a PUBREL: %+v", next, next)
			}
			break
		}
		c.Send(&packet.Ack{Type: packet.PUBCOMP, ID: p.ID})
	}
}
