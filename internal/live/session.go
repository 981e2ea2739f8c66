package live

import (
	"bytes"
	"context"
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

	// Timeout is the silence after which the session is dead, where the client
	// names it and not the server, which then never pings. 0 means that of the
	// hub, less than 0 that there is none.
	Timeout time.Duration
}

// Session is one connected device, whatever the transport. Its methods may be
// called from any goroutine and do not block; what reads the record happens on
// the hub's workers. While idle it holds no goroutine, channel, timer or
// buffer, and it is as small as it can be: there may be hundreds of thousands.
type Session struct {
	// What a delivery needs comes first, to be together in the cache. The order
	// of the rest leaves no gaps.
	codec *codec // set once, like conn, oneWay and id
	conn  Conn

	mu    sync.Mutex // guards what names no other lock
	high  herald.Pos // up to here everything was offered on this connection; releases at or before it are skipped
	older *Session   // the device's next older session; guarded by app.mu
	// ord, platform and name are set before the session joins, and are read
	// without the lock from then on.
	ord       herald.Ordinal
	platform  platformNumber
	state     state
	upto      bool // acknowledges by cursor: AckUpto
	stalled   bool // the queue is full; Writable continues the replay
	pinged    bool
	oneWay    bool
	joined    bool      // guarded by app.mu
	poolState poolState // guarded by pool.mu
	place     int32     // in Hub.all; guarded by Hub.mu

	app       *app       // where it joined
	bound     herald.Pos // see Device.BoundPos
	name      deviceName
	wheelSlot uint8  // 1 + the slot; 0 for none; guarded by wheel.mu
	settled   bool   // no early frame is left, and none comes any more
	silence   uint16 // in halves of a second, see Hello.Timeout; 0 for the hub's
	heard     time.Duration
	task      *task          // nil while it is idle
	topics    *sessionTopics // nil until it subscribes or publishes
	id        uint64

	wheelNext, wheelPrev *Session // guarded by wheel.mu
	poolNext             *Session // guarded by pool.mu
}

// task is what a session has while it is not idle: until it is live, and while
// a cursor is to be taken.
type task struct {
	hello Hello    // while opening
	early [][]byte // frames that came before the session was open

	settling sync.Mutex // held while early frames are acted on; taken before mu

	// missed is the last release that was fanned out while the session was
	// not live; it is live again only when the replay has come to it.
	missed  herald.Pos
	cursor  herald.Pos    // to be acknowledged; 0 for none
	stallAt time.Duration // since when the queue is full, if it is
	window  bool          // it is not the queue that is full: see ErrWindow
	retryAt time.Duration // when the backlog is to be read again; 0 if it is not
	retries uint8

	work []func(context.Context) // see Do
}

// busy gives the session's task, which it has from now on; s.mu is held.
func (s *Session) busy() *task {
	if s.task == nil {
		s.task = &task{}
	}
	return s.task
}

// rest gives the task up if nothing is left of it; s.mu is held.
func (s *Session) rest() {
	if s.state == stateLive && s.settled && s.task != nil && s.task.cursor == 0 && len(s.task.work) == 0 {
		s.task = nil
	}
}

// deviceName is a registration ID without what a string takes beside its bytes,
// and without holding on to the token that it was cut from.
type deviceName [herald.RegistrationIDLen]byte

func nameOf(id herald.RegistrationID) (n deviceName) {
	copy(n[:], id)
	return n
}

func (n deviceName) id() herald.RegistrationID {
	return herald.RegistrationID(bytes.TrimRight(n[:], "\x00"))
}

// Attach begins the session of a connection. A transport calls it in
// Handler.Open, and then Hello as soon as it knows the token. oneWay says that
// the client cannot send, so that its silence means nothing.
func (h *Hub) Attach(t Transport, c Conn, oneWay bool) *Session {
	s := &Session{}
	h.attach(s, t, c, oneWay)
	return s
}

// attach is Attach with room for a session, which is all zero.
func (h *Hub) attach(s *Session, t Transport, c Conn, oneWay bool) {
	s.codec, s.conn, s.oneWay, s.id, s.heard = h.codec(t), c, oneWay, rand.Uint64(), h.now()
	if !h.enter(s) {
		s.Close(Reason{CloseDraining, "the server is going away"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateClosed {
		h.wheel.schedule(s, s.heard+h.opts.HelloTimeout)
	}
}

// Hello says whose session it is. The session opens when the token was found
// good, and is closed with 4001 when not. A second call is an error.
func (s *Session) Hello(hello Hello) error {
	err := s.opening(hello)
	if err == nil {
		s.codec.hub.pool.push(s)
	}
	return err
}

// opening is Hello, and leaves it to the caller to give the session its turn.
func (s *Session) opening(hello Hello) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateWaiting {
		return herald.Invalid("type", "Send hello once, as the first frame, and only if the request did not authenticate.", "the session is open already")
	}
	s.upto, s.silence = hello.Ack == AckUpto, halves(hello.Timeout)
	s.state, s.busy().hello = stateOpening, hello
	return nil
}

// Device tells whose session it is; false until it is open.
func (s *Session) Device() (Device, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device(), s.isOpen()
}

// device tells it; s.mu is held.
func (s *Session) device() Device {
	if s.app == nil {
		return Device{}
	}
	d := Device{App: s.app.key, Ord: s.ord, ID: s.name.id(), Platform: s.platform.platform(), BoundPos: s.bound}
	if s.topics != nil {
		d.Alias = s.topics.alias
	}
	return d
}

// owner tells whose session it is, whether it is open or not.
func (s *Session) owner() Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device()
}

// Heard notes that the client has sent something, whatever it was. Before the
// hello that gains no time.
func (s *Session) Heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateWaiting {
		s.heard, s.pinged = s.codec.hub.now(), false
	}
}

// Writable says that the connection has room again: see [Conn].
func (s *Session) Writable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled && s.state == stateReplaying {
		s.stalled = false
		s.codec.hub.pool.push(s)
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
	subscribed := s.topics
	if s.task != nil && len(s.task.work) > 0 {
		s.task = &task{work: s.task.work}
	} else {
		s.task = nil
	}
	s.topics = subscribed.remains()
	a, high := s.app, s.high
	s.mu.Unlock()
	if done {
		return
	}
	h := s.codec.hub
	h.expires(s, time.Time{})
	if a != nil {
		if s.oneWay && high != 0 {
			h.offers.note(deviceKey{a.key, s.ord}, high)
		}
		h.leaveTopics(a, s, subscribed)
		a.leave(s, s.ord)
	}
	h.wheel.remove(s)
	h.exit(s)
}

// control sends what concerns this session alone. What does not fit the queue
// is dropped: the client will notice by the heartbeat.
func (s *Session) control(c Control) {
	if f := s.codec.Control(c); f != nil {
		_ = s.conn.Send(f)
	}
}

// Pong answers a client's ping.
func (s *Session) Pong() { s.Reply(s.codec.pong) }

// Reply sends what the protocol of the transport has to answer. Without room it
// is dropped.
func (s *Session) Reply(f Frame) {
	if len(f) > 0 {
		_ = s.conn.Send(f)
	}
}

// Refuse tells the client that what it sent was not done. ref is the client's
// own name for it, or "".
func (s *Session) Refuse(err *herald.Error, ref string) {
	s.control(Control{Kind: Problem, Err: err, Ref: ref})
}

func (s *Session) rebind(pos herald.Pos) {
	s.mu.Lock()
	s.bound = max(s.bound, pos)
	s.mu.Unlock()
}

// stall turns a session whose queue is full to replay; s.mu is held.
func (s *Session) stall() {
	s.state = stateReplaying
	if !s.stalled {
		h, w := s.codec.hub, s.busy()
		s.stalled, w.stallAt = true, h.now()
		h.wheel.schedule(s, min(w.stallAt+h.opts.Timeout, s.quiet()))
	}
}

// pingAfter is the session's heartbeat: the announced one, give or take a
// tenth, so that sessions which began together do not stay together.
func (s *Session) pingAfter() time.Duration {
	hb := s.codec.hub.opts.Heartbeat
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
		s.Reply(s.codec.ping)
	}
}

// check decides what is due and schedules what comes next; s.mu is held.
func (s *Session) check(now time.Duration) (why Reason, ping bool) {
	h := s.codec.hub
	o := &h.opts
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
		h.wheel.schedule(s, next)
		return Reason{}, false
	}
	w := s.task
	if w != nil && w.retryAt != 0 && now >= w.retryAt {
		w.retryAt = 0
		h.pool.push(s)
	}
	silent := now - s.heard
	next := s.quiet()
	full := s.stalled && !w.window
	switch {
	case full && now-w.stallAt >= o.Timeout:
		return Reason{CloseSlow, "the queue stayed full"}, false
	case s.silence != 0:
		if silent >= s.timeout() {
			return Reason{CloseHeartbeat, "no sign of life for " + s.timeout().String()}, false
		}
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
	if full {
		next = min(next, w.stallAt+o.Timeout)
	}
	if w != nil && w.retryAt != 0 {
		next = min(next, w.retryAt)
	}
	h.wheel.schedule(s, next)
	return Reason{}, ping
}

// wireName is the session's ID on the wire.
func (s *Session) wireName() string { return strconv.FormatUint(s.id, 36) }
