package mqtt

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/packet"
)

// textSuffix behind the app key in a user name asks for pushes as plain text.
const textSuffix = "/text"

// connect acts on the first packet, which must be a CONNECT (MQTT-3.1.0-1).
func (c *conn) connect(raw packet.Raw) error {
	s := c.start
	raw.Body = bytes.Clone(raw.Body)
	err := packet.ParseConnect(raw, &s.connect)
	p := &s.connect
	if p.Version != 0 {
		c.speak(p)
	}
	if err != nil {
		return err
	}
	s.app, s.text = strings.CutSuffix(p.Username, textSuffix)
	c.kind = c.broker().kind(p.Version, s.text)
	c.aliasMax, c.receiveMax = p.Props.TopicAliasMax, 0xFFFF
	if n := p.Props.ReceiveMaximum; n != nil {
		c.receiveMax = *n
	}
	// The session that has waited is given up for one of the right kind.
	c.session.Closed()
	c.session = s.hub.Attach(c.kind, c, false)
	if p.Props.AuthMethod != "" {
		return c.beginAuth()
	}
	if p.Username == "" || !p.HasPassword {
		return &packet.Error{Code: packet.BadUserNameOrPassword, Text: "the user name is the app key, and the password the device token"}
	}
	c.hello(string(p.Password))
	return nil
}

// speak notes what has to be known to tell the client a reason.
func (c *conn) speak(p *packet.Connect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version, c.silent = p.Version, false
	c.problems = p.Props.RequestProblem == nil || *p.Props.RequestProblem != 0
	if n := p.Props.MaxPacketSize; n != nil {
		c.maxPacket = *n
	}
}

// hello opens the session; what comes is kept until it is open.
func (c *conn) hello(token string) {
	c.phase = opening
	keep := c.keepAlive()
	timeout := time.Duration(keep) * 3 * time.Second / 2 // MQTT-3.1.2-22
	if keep == 0 {
		timeout = -1
	}
	_ = c.session.Hello(live.Hello{Token: token, Timeout: timeout}) // the first call cannot fail
}

// keepAlive gives the keep alive that counts, in seconds; 0 for none. Who cannot
// be told another one (before 5.0) has what it asked for.
func (c *conn) keepAlive() uint16 {
	keep, most := c.start.connect.KeepAlive, uint16(MaxKeepAlive/time.Second)
	if c.version >= packet.V5 && (keep == 0 || keep > most) {
		return most
	}
	return keep
}

// Enter checks what the CONNECT says beside the token, takes the client ID over,
// and opens what the record has of the session: see live.Greeter.
func (c *conn) Enter(ctx context.Context, d live.Device) error {
	s := c.start
	s.device = d
	if s.app != string(d.App) && (s.app != "" || s.connect.Props.AuthMethod == "") {
		return refuse(packet.BadUserNameOrPassword, "the password is not that of a device of the app that the user name says")
	}
	if err := c.claims(d); err != nil {
		return err
	}
	b := c.broker()
	defer b.clients.lock(d.App, c.start.client)()
	if err := b.takeOver(c, d); err != nil {
		return err
	}
	if err := c.openState(ctx, d); err != nil {
		b.clients.remove(c)
		return err
	}
	if s.present || c.expiry() > 0 {
		c.exchange() // there to be closed, whatever comes between
	}
	c.mu.Lock()
	c.entered = true
	gone := c.left
	c.mu.Unlock()
	if gone {
		c.depart(byItself)
		return refuse(packet.UnspecifiedError, "the client has gone")
	}
	return nil
}

// claims checks the client ID (MQTT 5.0 section 3.1.3.1), the will, and what else
// needs a claim.
func (c *conn) claims(d live.Device) error {
	s, p := c.start, &c.start.connect
	s.client = p.ClientID
	switch {
	case s.client == "" && p.Version < packet.V5 && (p.Version == packet.V31 || !p.CleanStart):
		return refuse(packet.ClientIDNotValid, "the client ID is empty") // MQTT-3.1.3-8 of 3.1.1
	case s.client == "":
		s.client, s.assigned = fmt.Sprintf("%s-%s", d.ID, strings.ToLower(rand.Text()[:12])), true
	case s.client == string(d.ID):
		s.client = string(d.ID) // not a part of the packet
	case herald.RegistrationID(s.client).Valid():
		return refuse(packet.ClientIDNotValid, "the client ID is the registration ID of another device")
	case len(s.client) > maxClientID || !utf8.ValidString(s.client) || strings.ContainsFunc(s.client, control):
		return refuse(packet.ClientIDNotValid, "a client ID is 1 to 128 bytes of UTF-8 without control characters")
	}
	if w := p.Will; w != nil {
		if err := herald.ValidTopic("topic", w.Topic); err != nil {
			return refuse(packet.TopicNameInvalid, "the will's topic cannot be published to: "+messageOf(err))
		}
		if err := s.hub.MayUse(d, herald.TopicPublish, herald.Topic(w.Topic)); err != nil {
			return refuse(packet.NotAuthorized, "the will: "+messageOf(err))
		}
		if len(w.Payload) > herald.MaxMessageBytes {
			return refuse(packet.PacketTooLarge, "the payload of the will is larger than 32 KiB")
		}
	}
	expiry := c.wantedExpiry()
	// Who goes on with a session that ends with this connection has to end it.
	ends := !p.CleanStart && c.broker().config.Sessions != nil
	if s.client != string(d.ID) || expiry > 0 || ends || p.Will != nil || p.Props.AuthMethod != "" {
		c.claim = &claim{
			app: d.App, client: strings.Clone(s.client), device: d, expiry: expiry,
			method: strings.Clone(p.Props.AuthMethod), will: newWill(p.Will, s.hub),
		}
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// wantedExpiry is for how many seconds the session shall live without a
// connection. Before 5.0 "clean session" says both that it begins new and that it
// ends with its connection.
func (c *conn) wantedExpiry() uint32 {
	p, b := &c.start.connect, c.broker()
	switch {
	case b.config.Sessions == nil:
		return 0
	case p.Version >= packet.V5 && p.Props.SessionExpiry != nil:
		return b.lasting(*p.Props.SessionExpiry)
	case p.Version >= packet.V5 || p.CleanStart:
		return 0
	}
	return b.lasting(uint32(b.config.SessionExpiry / time.Second))
}

// lasting bounds an expiry to what the server keeps.
func (b *Broker) lasting(seconds uint32) uint32 {
	if b.config.Sessions == nil {
		return 0
	}
	return min(seconds, uint32(b.config.MaxSessionExpiry/time.Second))
}

// openState opens the session in the record.
func (c *conn) openState(ctx context.Context, d live.Device) error {
	s, b := c.start, c.broker()
	if b.config.Sessions == nil {
		return nil
	}
	b.away(ctx, clientKey{d.App, s.client})
	t := record.TopicSession{
		App: d.App, Client: s.client, Device: d.ID, Ord: d.Ord, Clean: s.connect.CleanStart, Version: byte(c.version),
	}
	if c.claim != nil {
		t.Expiry = c.claim.expiry
	}
	var err error
	if s.state, s.present, err = b.config.Sessions.Open(ctx, t); err != nil {
		if herald.CodeOf(err) == herald.CodeConflict {
			return refuse(packet.ClientIDNotValid, "the client ID is that of another device")
		}
		b.config.Log.Warn("the session of a client of MQTT cannot be opened", "error", err)
		return refuse(packet.ServerUnavailable, "the session cannot be read now")
	}
	if c.claim == nil || c.claim.expiry == 0 && !s.present {
		return nil
	}
	c.claim.kept = true
	if err := c.keepWill(ctx, s.state.Will != nil); err != nil {
		b.config.Log.Warn("the will of a client of MQTT was not stored", "error", err)
		return refuse(packet.ServerUnavailable, "the will cannot be stored now")
	}
	return nil
}

// Welcome sends the CONNACK: see live.Greeter.
func (c *conn) Welcome(w live.Control) {
	f := c.connack(w)
	c.mu.Lock()
	c.welcomed = true
	c.mu.Unlock()
	_ = c.Send(f)
}

// connack makes the answer to a CONNECT that was accepted (MQTT 5.0 section 3.2).
// If the client takes no packet that large, it has what can be left out.
func (c *conn) connack(w live.Control) live.Frame {
	s := c.start
	p := &packet.Connack{SessionPresent: s.present}
	if c.version < packet.V5 {
		return frame(p, c.version)
	}
	received, largest := uint16(ReceiveMaximum), uint32(MaxPacket)
	p.Props.ReceiveMaximum, p.Props.MaxPacketSize, p.Props.TopicAliasMax = &received, &largest, TopicAliasMaximum
	p.Props.AuthMethod, p.Props.AuthData = s.connect.Props.AuthMethod, s.data
	if e := s.connect.Props.SessionExpiry; e != nil && *e != c.expiry() {
		n := c.expiry()
		p.Props.SessionExpiry = &n
	}
	if keep := c.keepAlive(); keep != s.connect.KeepAlive {
		p.Props.ServerKeepAlive = &keep
	}
	if s.assigned {
		p.Props.AssignedClient = s.client
	}
	if s.connect.Props.RequestResponse == 1 {
		p.Props.ResponseInfo = c.responses(w.Device)
	}
	if w.Token != "" {
		p.Props.User = append(p.Props.User, packet.Pair{Name: "token", Value: w.Token})
	}
	kept := len(p.Props.User)
	p.Props.User = append(p.Props.User, packet.Pair{Name: "session", Value: w.Session}, packet.Pair{Name: "registration_id", Value: string(w.Device)})
	f := frame(p, c.version)
	if !c.takes(f) {
		p.Props.User, p.Props.ResponseInfo = p.Props.User[:kept], ""
		f = frame(p, c.version)
	}
	return f
}

// expiry is for how many seconds the session lives without a connection.
func (c *conn) expiry() uint32 {
	if c.claim == nil {
		return 0
	}
	return c.claim.expiry
}

// responses is where a client may have answers sent to it (MQTT 5.0 section
// 4.10): a prefix of topics that it may subscribe to, "" if it may not.
func (c *conn) responses(id herald.RegistrationID) string {
	prefix := "r/" + string(id) + "/"
	d, ok := c.start.device, id != ""
	if !ok || c.start.hub.MayUse(d, herald.TopicSubscribe, herald.Topic(prefix+"1")) != nil {
		return ""
	}
	return prefix
}

// Opened has the exchange go on where it was, and acts on what came early: see
// live.Greeter.
func (c *conn) Opened(ctx context.Context) {
	s := c.start
	c.broker().onlyOne(c, s)
	if s.present || c.expiry() > 0 {
		c.exchange().resume(ctx, s.state)
	}
	c.handling.Lock()
	defer c.handling.Unlock()
	c.start = nil
	if c.phase != opening {
		return
	}
	c.phase = open
	early := c.part
	c.part = nil
	c.bytes(early)
}

// refuse is the error of a Greeter that closes with a code of MQTT.
func refuse(code packet.Code, why string) error {
	return &live.Refusal{Reason: live.Reason{Code: int(code), Text: why}}
}

func messageOf(err error) string {
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		return e.Message
	}
	return "it cannot be checked now"
}
