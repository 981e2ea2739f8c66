package live

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// ErrWindow is the [ErrFull] of a [Numbered] connection whose client has not
// acknowledged enough of what it was sent. Such a session is not slow, as long as
// the client is heard.
var ErrWindow = fmt.Errorf("%w: too much is not acknowledged", ErrFull)

// Numbered is an add-on of a Conn whose protocol acknowledges by number: it is
// told what it sends. SendRelease is Send for the frame of a release. It is called
// while the session is locked, so it calls nothing of the session. Once it has
// answered ErrWindow, the connection calls Session.Writable when there is room.
type Numbered interface {
	SendRelease(f Frame, kind record.ReleaseKind, id herald.MessageID, pos herald.Pos) error
}

func sendOn(c Conn, f Frame, kind record.ReleaseKind, id herald.MessageID, pos herald.Pos) error {
	if n, ok := c.(Numbered); ok {
		return n.SendRelease(f, kind, id, pos)
	}
	return c.Send(f)
}

// Greeter is an add-on of a Conn whose protocol settles more between the token
// and the welcome than others do. Its methods are called on a worker of the hub,
// in this order and once each; the last two only if the session opens.
type Greeter interface {
	// Enter is called when the token was found good. An error closes the session
	// as one of Directory.Authenticate would, or with the reason of a [Refusal].
	Enter(ctx context.Context, d Device) error
	// Welcome is told what a Control of the kind Welcome says, and sends what
	// takes its place. It is called while the session is locked.
	Welcome(c Control)
	// Opened is called after it, before anything of the backlog is sent.
	Opened(ctx context.Context)
}

// Refusal is an error that says with which reason to close.
type Refusal struct{ Reason }

func (r *Refusal) Error() string { return fmt.Sprintf("live: refused with %d: %s", r.Code, r.Text) }

// Do has a function run on one of the hub's workers: those of a session one after
// the other, in the order of the calls, also when it is closed by then. The
// context ends with the hub, which then drops what has not begun.
func (s *Session) Do(f func(context.Context)) {
	s.mu.Lock()
	t := s.busy()
	t.work = append(t.work, f)
	s.mu.Unlock()
	s.codec.hub.pool.push(s)
}

// Conns gives the connections of the open sessions of a device.
func (h *Hub) Conns(app herald.AppKey, ord herald.Ordinal) []Conn {
	var out []Conn
	for _, s := range h.sessionsOf(app, ord) {
		out = append(out, s.conn)
	}
	return out
}

// forever is a silence that is never too long.
const forever = 1<<16 - 1

// halves gives a timeout in halves of a second, as a session holds it.
func halves(d time.Duration) uint16 {
	switch n := (d + time.Second/2 - 1) / (time.Second / 2); {
	case d < 0 || n >= forever:
		return forever
	default:
		return uint16(n)
	}
}

// timeout is the silence after which the session is dead, if that is its own.
func (s *Session) timeout() time.Duration {
	if s.silence == forever {
		return time.Duration(1<<63 - 1)
	}
	return time.Duration(s.silence) * time.Second / 2
}

// quiet is when the silence of the client is to be looked at, if it says nothing
// until then; s.mu is held.
func (s *Session) quiet() time.Duration {
	switch s.silence {
	case 0:
		return s.heard + s.pingAfter()
	case forever:
		return s.heard + 24*time.Hour
	}
	return s.heard + s.timeout()
}

// Hub is where the session is attached.
func (s *Session) Hub() *Hub { return s.codec.hub }

// MayUse says whether a device may subscribe or publish to a topic: see
// [Directory].
func (h *Hub) MayUse(d Device, v herald.TopicVerb, t herald.Topic) error {
	return h.opts.Directory.MayUse(d, v, t)
}

// Renew checks another token of the session's device, with which the client goes
// on. The error is that of Directory.Authenticate, or that the token is not this
// device's.
func (s *Session) Renew(ctx context.Context, token string) error {
	if err := MayTry(s.conn); err != nil {
		return err
	}
	h := s.codec.hub
	d, _, err := h.authenticate(ctx, token)
	placeOf(s.conn).tried(token, err)
	if have := s.owner(); err == nil && (d.App != have.App || d.ID != have.ID) {
		err = herald.Errorf(herald.CodeUnauthorized, "Use a token of the device that has connected.", "the token is that of another device")
	}
	if err == nil {
		h.expires(s, d.Until)
	}
	return err
}
