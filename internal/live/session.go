package live

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// state is where a session is on its way; it moves forward, except between
// replaying and live.
//
//	waiting -> opening -> replaying <-> live
//	   |          |           |           |
//	   '----------+-----------+-----------'--> closed
type state uint8

const (
	stateWaiting   state = iota // for a hello
	stateOpening                // authenticating; online before it ends
	stateReplaying              // welcomed; reading the backlog
	stateLive                   // takes releases as they come
	stateClosed
)

// Hello opens a session.
type Hello struct {
	Token  string
	Cursor string  // acknowledges everything up to it; may be empty
	Ack    AckMode // "" means AckEach

	Topics   []herald.Topic // to subscribe to, all or none
	Presence bool           // and to be told how many devices are subscribed
}

// Session is one connected device, whatever the transport. Its methods may be
// called from any goroutine and do not block; what reads the record happens on
// the hub's workers. While idle it holds no goroutine, channel, timer or
// buffer.
type Session struct {
	hub       *Hub
	transport Transport
	conn      Conn
	oneWay    bool
	id        uint64

	settling sync.Mutex // held while early frames are acted on; taken before mu

	mu     sync.Mutex // guards what follows, up to the next comment
	state  state
	mode   AckMode
	device Device // set before the session joins; later only BoundPos changes, the rest is read without the lock
	hello  *Hello // while opening
	// high is the log position up to which everything was offered on this
	// connection; releases at or before it are skipped.
	high herald.Pos
	// missed is the last release that was fanned out while the session was
	// not live; it is live again only when the replay has come to it.
	missed  herald.Pos
	stalled bool          // the queue is full; Writable continues the replay
	stallAt time.Duration // since when
	retryAt time.Duration // when the backlog is to be read again; 0 if it is not
	retries uint8
	upto    herald.Pos // a cursor to be acknowledged; 0 for none
	early   [][]byte   // frames that came before the session was open
	settled bool       // none of them is left, and none comes any more
	heard   time.Duration
	pinged  bool
	app     *app           // where it joined
	topics  *sessionTopics // nil until it subscribes or publishes

	older  *Session // the device's next older session; guarded by app.mu
	joined bool     // guarded by app.mu

	wheelNext, wheelPrev *Session // guarded by wheel.mu
	wheelSlot            int16    // 1 + the slot; 0 for none

	poolState poolState // guarded by pool.mu
	poolNext  *Session
}

// Attach begins the session of a connection. A transport calls it in
// Handler.Open, and then Hello as soon as it knows the token. oneWay says that
// the client cannot send, so that its silence means nothing.
func (h *Hub) Attach(t Transport, c Conn, oneWay bool) *Session {
	s := &Session{hub: h, transport: t, conn: c, oneWay: oneWay, id: rand.Uint64(), mode: AckEach, heard: h.now()}
	h.mu.Lock()
	refuse := h.draining || h.closed
	if !refuse {
		h.all[s] = struct{}{}
	}
	h.mu.Unlock()
	if refuse {
		s.Close(Reason{CloseDraining, "the server is going away"})
		return s
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateClosed {
		h.wheel.schedule(s, s.heard+h.opts.HelloTimeout)
	}
	return s
}

// Hello says whose session it is. The session opens when the token was found
// good, and is closed with 4001 when not. A second call is an error.
func (s *Session) Hello(hello Hello) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateWaiting {
		return herald.Invalid("type", "Send hello once, as the first frame, and only if the request did not authenticate.", "the session is open already")
	}
	if hello.Ack != "" {
		s.mode = hello.Ack
	}
	s.state, s.hello = stateOpening, &hello
	s.hub.pool.push(s)
	return nil
}

// Device tells whose session it is; false until it is open.
func (s *Session) Device() (Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device, s.isOpen()
}

// Heard notes that the client has sent something, whatever it was. Before the
// hello that gains no time.
func (s *Session) Heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateWaiting {
		s.heard, s.pinged = s.hub.now(), false
	}
}

// Writable says that the connection has room again: see [Conn].
func (s *Session) Writable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled && s.state == stateReplaying {
		s.stalled = false
		s.hub.pool.push(s)
	}
}

// Closed says that the connection is gone. Handlers call it last.
func (s *Session) Closed() { s.end() }

// Close ends the session and tells the client why.
func (s *Session) Close(why Reason) {
	s.end()
	s.conn.Close(why)
}

// depart tells the client to come back after a time, and ends the session.
func (s *Session) depart(after time.Duration) {
	s.control(Control{Kind: Reconnect, After: after})
	s.Close(Reason{CloseDraining, "the server is going away"})
}

// end takes the session out of the hub; it may be called again.
func (s *Session) end() {
	s.mu.Lock()
	done := s.state == stateClosed
	s.state = stateClosed
	s.hello, s.early = nil, nil
	subscribed := s.topics
	s.topics = nil
	a, ord, high := s.app, s.device.Ord, s.high
	key := deviceKey{s.device.App, ord}
	s.mu.Unlock()
	if done {
		return
	}
	if s.oneWay && high != 0 {
		s.hub.offers.note(key, high)
	}
	if a != nil {
		s.hub.leaveTopics(a, s, subscribed)
		a.leave(s, ord)
	}
	s.hub.wheel.remove(s)
	s.hub.mu.Lock()
	delete(s.hub.all, s)
	s.hub.mu.Unlock()
}

// control sends what concerns this session alone. What does not fit the queue
// is dropped: the client will notice by the heartbeat.
func (s *Session) control(c Control) {
	if f := s.transport.Control(c); f != nil {
		_ = s.conn.Send(f)
	}
}

// Pong answers a client's ping.
func (s *Session) Pong() { s.control(Control{Kind: Pong}) }

// Refuse tells the client that what it sent was not done. ref is the client's
// own name for it, or "".
func (s *Session) Refuse(err *herald.Error, ref string) {
	s.control(Control{Kind: Problem, Err: err, Ref: ref})
}

func (s *Session) rebind(pos herald.Pos) {
	s.mu.Lock()
	s.device.BoundPos = max(s.device.BoundPos, pos)
	s.mu.Unlock()
}

// stall turns a session whose queue is full to replay; s.mu is held.
func (s *Session) stall() {
	s.state = stateReplaying
	if !s.stalled {
		s.stalled, s.stallAt = true, s.hub.now()
		s.hub.wheel.schedule(s, min(s.stallAt+s.hub.opts.Timeout, s.heard+s.pingAfter()))
	}
}

// pingAfter is the session's heartbeat: the announced one, give or take a
// tenth, so that sessions which began together do not stay together.
func (s *Session) pingAfter() time.Duration {
	hb := s.hub.opts.Heartbeat
	return hb*9/10 + time.Duration(s.id%1024)*(hb/5)/1024
}

// tick looks at the session's times; the wheel calls it when one has come.
func (s *Session) tick(now time.Duration) {
	s.mu.Lock()
	why, ping := s.check(now)
	s.mu.Unlock()
	switch {
	case why.Code != 0:
		s.Close(why)
	case ping:
		s.control(Control{Kind: Ping})
	}
}

// check decides what is due and schedules what comes next; s.mu is held.
func (s *Session) check(now time.Duration) (why Reason, ping bool) {
	o := &s.hub.opts
	switch s.state {
	case stateClosed:
		return Reason{}, false
	case stateWaiting, stateOpening:
		next := s.heard + o.HelloTimeout
		if s.state == stateOpening {
			// The workers may be behind; that is not the client's fault.
			next = now + o.HelloTimeout
		} else if now >= next {
			return Reason{CloseBadToken, "no hello within " + o.HelloTimeout.String()}, false
		}
		s.hub.wheel.schedule(s, next)
		return Reason{}, false
	}
	if s.retryAt != 0 && now >= s.retryAt {
		s.retryAt = 0
		s.hub.pool.push(s)
	}
	silent := now - s.heard
	next := s.heard + s.pingAfter()
	switch {
	case s.stalled && now-s.stallAt >= o.Timeout:
		return Reason{CloseSlow, "the queue stayed full"}, false
	case s.oneWay && silent >= s.pingAfter():
		// Nobody can answer: silence is counted from the ping.
		s.heard, ping = now, true
		next = now + s.pingAfter()
	case !s.oneWay && silent >= o.Timeout:
		return Reason{CloseHeartbeat, "no sign of life for " + o.Timeout.String()}, false
	case !s.oneWay && silent >= s.pingAfter():
		ping = !s.pinged
		s.pinged, next = true, s.heard+o.Timeout
	}
	if s.stalled {
		next = min(next, s.stallAt+o.Timeout)
	}
	if s.retryAt != 0 {
		next = min(next, s.retryAt)
	}
	s.hub.wheel.schedule(s, next)
	return Reason{}, ping
}

// name is the session's ID on the wire.
func (s *Session) name() string { return strconv.FormatUint(s.id, 36) }
