package mqtt_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/live/mqtt"
	"github.com/herald-push/herald/internal/wire/packet"
)

// hall is a broker with its hub, in memory, whose clients are given what was sent
// to them as it is, without a socket.
type hall struct {
	testing.TB
	world  *livetest.World
	hub    *live.Hub
	broker *mqtt.Broker
	log    *ledger
	kept   *kept
	stop   func()
}

func newHall(t testing.TB, log *ledger, c mqtt.Config) *hall {
	w := livetest.NewWorld()
	w.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/#", "r/#"}, Publish: []herald.TopicFilter{"chat/#", "r/#"}})
	h := &hall{TB: t, world: w, log: log, kept: &kept{}}
	h.open(c)
	return h
}

// open starts a hub on what there is.
func (h *hall) open(c mqtt.Config) {
	if c.PublishRate == 0 {
		c.PublishRate = 1_000_000
	}
	c.Sessions = h.log
	h.hub = live.NewHub(live.Options{Directory: h.world, Backlog: h.world, Receipts: h.world, TopicLog: h.log, Retained: h.kept})
	h.broker = mqtt.New(c)
	hub, done := h.hub, make(chan struct{})
	go func() { defer close(done); _ = hub.Run(context.Background()) }()
	h.stop = sync.OnceFunc(func() { hub.Close(); <-done })
}

// inHall runs a test in a bubble of its own.
func inHall(t *testing.T, c mqtt.Config, f func(*hall)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := newHall(t, newLedger(), c)
		defer func() { h.stop() }()
		synctest.Wait()
		f(h)
	})
}

// socket is a Conn that keeps what it is sent, as far as there is room.
type socket struct {
	mu     sync.Mutex
	bytes  []byte
	room   int // frames that it takes yet; below 0: any number
	full   bool
	closed bool
	why    live.Reason
	bye    func(live.Reason) live.Frame
}

func (s *socket) Send(f live.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return live.ErrClosed
	case s.room == 0:
		s.full = true
		return live.ErrFull
	}
	s.room--
	s.bytes = append(s.bytes, f...)
	return nil
}

func (s *socket) Close(why live.Reason) {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		f := s.bye(why)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.why = why
		s.bytes = append(s.bytes, f...)
	}
}

// user is one client.
type user struct {
	h       *hall
	member  livetest.Member
	id      string
	version packet.Version
	handler live.Handler
	*socket
	gone bool
}

// call opens a connection without a word.
func (h *hall) call(m livetest.Member, id string, v packet.Version) *user {
	u := &user{h: h, member: m, id: id, version: v, socket: &socket{room: -1}}
	u.handler = h.broker.Raw().NewHandler(h.hub)
	u.bye = u.handler.(live.Farewell).Farewell
	u.handler.Open(u.socket)
	return u
}

// option changes a CONNECT.
type option func(*packet.Connect)

func lasting(p *packet.Connect) {
	p.CleanStart = false
	if p.Version >= packet.V5 {
		expiry := uint32(3600)
		p.Props.SessionExpiry = &expiry
	}
}

func receives(n uint16) option {
	return func(p *packet.Connect) { p.Props.ReceiveMaximum = &n }
}

// connect opens a session, and gives the CONNACK in a few words.
func (u *user) connect(options ...option) string {
	p := &packet.Connect{
		Version: u.version, CleanStart: true, ClientID: u.id,
		Username: string(livetest.App), HasUsername: true, Password: []byte(u.member.Token), HasPassword: true,
	}
	for _, o := range options {
		o(p)
	}
	u.send(p)
	u.mu.Lock()
	all := u.bytes
	_, n, err := packet.Split(all, 1<<20)
	if err != nil || n == 0 {
		u.h.Fatalf("%s: got %x, %v", u.id, all, err)
	}
	u.bytes = all[:n:n]
	u.mu.Unlock()
	first := words(u.packets()[0])
	if !strings.HasPrefix(first, "CONNACK 00") {
		u.h.Fatalf("%s: got %q in place of a CONNACK", u.id, first)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes = all[n:]
	return first
}

// enter opens a session.
func (h *hall) enter(id string, v packet.Version, options ...option) *user {
	u := h.call(h.world.Join(herald.PlatformWeb), id, v)
	u.connect(options...)
	return u
}

// again opens another connection of a client.
func (u *user) again(options ...option) *user {
	out := u.h.call(u.member, u.id, u.version)
	out.connect(options...)
	return out
}

// send sends packets at once, and waits until all that follows has happened.
func (u *user) send(list ...appender) {
	u.put(list...)
	synctest.Wait()
}

func (u *user) put(list ...appender) {
	var b []byte
	for _, p := range list {
		b = p.AppendTo(b, u.version)
	}
	if err := u.handler.Data(b); err != nil {
		u.h.Fatal(err)
	}
}

// hangUp ends the connection without a word.
func (u *user) hangUp() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	if !u.gone {
		u.gone = true
		u.handler.Closed(nil)
	}
	synctest.Wait()
}

// setRoom lets the socket take frames again.
func (u *user) setRoom(n int) {
	u.mu.Lock()
	tell := u.full && n != 0
	u.room = n
	u.full = u.full && !tell
	u.mu.Unlock()
	if tell {
		u.handler.Writable()
	}
	synctest.Wait()
}

// got gives what was sent to the client since, each packet in a few words.
func (u *user) got() (list []string) {
	u.h.Helper()
	for _, p := range u.packets() {
		list = append(list, words(p))
	}
	return list
}

// packets gives the same as it is.
func (u *user) packets() (list []any) {
	u.h.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	b := u.bytes
	u.bytes = nil
	for len(b) > 0 {
		raw, n, err := packet.Split(b, 1<<20)
		if err != nil || n == 0 {
			u.h.Fatalf("%s: no packet: %x, %v", u.id, b, err)
		}
		p, err := packet.Parse(u.version, raw)
		if err != nil {
			u.h.Fatalf("%s: %x: %v", u.id, b[:n], err)
		}
		list = append(list, p)
		b = b[n:]
	}
	return list
}

// want compares what was sent to the client since.
func (u *user) want(want ...string) {
	u.h.Helper()
	got := u.got()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		u.h.Fatalf("%s got\n\t%s\nwant\n\t%s", u.id, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// words writes a packet in a few words: only what matters here.
func words(p any) string {
	switch p := p.(type) {
	case *packet.Connack:
		return fmt.Sprintf("CONNACK %02x present=%v", byte(p.Code), p.SessionPresent)
	case *packet.Publish:
		return publishWords(p)
	case *packet.Ack:
		s := fmt.Sprintf("%s %d", [...]string{"PUBACK", "PUBREC", "PUBREL", "PUBCOMP"}[p.Type-packet.PUBACK], p.ID)
		if p.Code != 0 {
			s += fmt.Sprintf(" %02x", byte(p.Code))
		}
		return s
	case *packet.Suback:
		return fmt.Sprintf("SUBACK %d [% x]", p.ID, list(p.Codes))
	case *packet.Unsuback:
		return fmt.Sprintf("UNSUBACK %d [% x]", p.ID, list(p.Codes))
	case *packet.Disconnect:
		return fmt.Sprintf("DISCONNECT %02x", byte(p.Code))
	}
	return fmt.Sprintf("%T", p)
}

func publishWords(p *packet.Publish) string {
	s := fmt.Sprintf("PUBLISH q%d", p.QoS)
	if p.ID != 0 {
		s += " #"
	}
	if p.Dup {
		s += " dup"
	}
	if p.Retain {
		s += " retain"
	}
	s += fmt.Sprintf(" %s %s", p.Topic, p.Payload)
	if v := p.Props.SubscriptionIDs; len(v) > 0 {
		s += fmt.Sprintf(" subs=%v", v)
	}
	if v := p.Props.MessageExpiry; v != nil {
		s += fmt.Sprintf(" expiry=%d", *v)
	}
	if v := p.Props.ResponseTopic; v != "" {
		s += fmt.Sprintf(" response=%s correlation=%s", v, p.Props.CorrelationData)
	}
	if v := p.Props.ContentType; v != "" {
		s += " type=" + v
	}
	for _, u := range p.Props.User {
		s += fmt.Sprintf(" %s=%s", u.Name, u.Value)
	}
	return s
}

func list(codes []packet.Code) (out []byte) {
	for _, c := range codes {
		out = append(out, byte(c))
	}
	return out
}
