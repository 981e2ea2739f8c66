package live

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// pageSize is how many waiting releases a session reads at once.
const pageSize = 50

// maxRetry bounds the wait between two tries to read the backlog.
const maxRetry = 32 * time.Second

// turn does what the session has to do that may read the record, for at most
// one page, and reports whether there is more. Only one worker is at a session.
func (s *Session) turn(ctx context.Context) (again bool) {
	s.mu.Lock()
	st, upto := s.state, herald.Pos(0)
	var work []func(context.Context)
	if s.task != nil {
		upto, s.task.cursor = s.task.cursor, 0
		work, s.task.work = s.task.work, nil
		s.rest()
	}
	s.mu.Unlock()
	if st == stateOpening {
		st = s.open(ctx)
	}
	for _, f := range work {
		f(ctx)
	}
	if upto != 0 && (st == stateReplaying || st == stateLive) {
		if err := s.codec.hub.opts.Backlog.Resume(ctx, s.owner(), upto, upto); err != nil {
			s.codec.hub.opts.Log.Warn("a cursor was not taken as acknowledgement", "error", err)
		}
	}
	return st == stateReplaying && s.replay(ctx)
}

// open authenticates, joins, takes the cursor, welcomes and subscribes.
func (s *Session) open(ctx context.Context) state {
	h := s.codec.hub
	h.openings.begin()
	defer h.openings.end()
	s.mu.Lock()
	if s.state != stateOpening {
		s.mu.Unlock()
		return stateClosed
	}
	t := s.task // stays until the session is settled
	hello := t.hello
	s.mu.Unlock()
	d, fresh, err := s.identify(ctx, hello.Token)
	named := false
	if err == nil && s.asksRules(&hello) {
		d.Alias, named, err = h.alias(ctx, d)
	}
	if err != nil {
		s.Close(reasonOf(err))
		return stateClosed
	}
	g, greets := s.conn.(Greeter)
	if greets {
		if err := g.Enter(ctx, d); err != nil {
			s.Close(reasonOf(err))
			return stateClosed
		}
	}
	if !s.join(d) {
		return stateClosed
	}
	h.expires(s, d.Until)
	if s.asksRules(&hello) {
		if err := s.learnAlias(ctx, d, named); err != nil {
			s.Close(reasonOf(err))
			return stateClosed
		}
	}
	h.opts.Directory.Seen(d, time.Now())
	if pos, ok := h.parseCursor(d.App, hello.Cursor); ok {
		if err := h.opts.Backlog.Resume(ctx, d, pos, h.Offered(d.App, d.Ord)); err != nil {
			// Costs duplicates, never a message.
			h.opts.Log.Warn("a cursor was not taken as acknowledgement", "error", err)
		}
	}
	t.settling.Lock() // the topics of the request come before those of any frame
	welcomed := s.welcome(d.ID, fresh)
	s.subscribeFirst(&hello)
	t.settling.Unlock()
	if greets && welcomed {
		g.Opened(ctx)
	}
	s.page(ctx, d, 0)
	return s.takeEarly()
}

// identify finds out whose token it is, and whether its page may use the app.
func (s *Session) identify(ctx context.Context, token string) (Device, string, error) {
	p := placeOf(s.conn)
	if !s.oneWay { // the request of a one-way transport was checked
		if err := p.mayTry(); err != nil {
			return Device{}, "", err
		}
	}
	d, fresh, err := s.codec.hub.authenticate(ctx, token)
	p.tried(token, err)
	if err == nil {
		err = p.entered(d.App)
	}
	return d, fresh, err
}

func (h *Hub) authenticate(ctx context.Context, token string) (Device, string, error) {
	if token == "" {
		return Device{}, "", errNoToken()
	}
	limit := within(ctx, h.opts.HelloTimeout)
	defer limit.end()
	return h.opts.Directory.Authenticate(limit, token)
}

// reasonOf gives the close code of a failed authentication.
func reasonOf(err error) Reason {
	if e := (*Refusal)(nil); errors.As(err, &e) {
		return e.Reason
	}
	text := ""
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		text = e.Message
	}
	switch herald.CodeOf(err) {
	case herald.CodeUnauthorized:
		return Reason{CloseBadToken, text}
	case herald.CodeForbidden:
		return Reason{CloseForbidden, text}
	case herald.CodeDraining:
		return Reason{CloseDraining, text}
	case herald.CodeRateLimited:
		return Reason{CloseTooMany, text}
	}
	return Reason{CloseTooMany, "the token could not be checked now"}
}

// join puts the session online, unless it was closed, or the device was sent
// away, meanwhile. From here on releases are noted in missed.
func (s *Session) join(d Device) bool {
	a := s.codec.hub.app(d.App)
	s.mu.Lock()
	if s.state != stateOpening {
		s.mu.Unlock()
		return false
	}
	s.app, s.ord, s.name, s.platform, s.bound = a, d.Ord, nameOf(d.ID), numberOf(d.Platform), d.BoundPos
	tooMany := a.join(s, d.Ord)
	s.mu.Unlock()
	late := s.codec.hub.openings.change(deviceKey{d.App, d.Ord})
	s.rebind(late.bound)
	if tooMany != nil {
		tooMany.Close(Reason{CloseReplaced, "the device has opened more sessions than it may"})
	}
	if late.gone != nil {
		s.Close(*late.gone)
		return false
	}
	return true
}

// welcome welcomes the client, unless the session was closed meanwhile.
func (s *Session) welcome(id herald.RegistrationID, fresh string) bool {
	h := s.codec.hub
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpening {
		return false
	}
	c := Control{
		Kind: Welcome, Session: s.wireName(), Token: fresh, Device: id,
		Heartbeat: h.opts.Heartbeat, Timeout: h.opts.Timeout,
	}
	if g, ok := s.conn.(Greeter); ok {
		g.Welcome(c)
	} else {
		s.control(c)
	}
	s.state, s.task.hello, s.heard = stateReplaying, Hello{}, h.now()
	h.wheel.schedule(s, s.quiet())
	return true
}

// replay reads and sends the next page, and reports whether there is more.
func (s *Session) replay(ctx context.Context) (again bool) {
	s.mu.Lock()
	ready := s.state == stateReplaying && !s.stalled && s.busy().retryAt == 0
	if !ready {
		s.mu.Unlock()
		return false
	}
	d, high := s.device(), s.high
	s.mu.Unlock()
	return s.page(ctx, d, high)
}

// page reads and sends the page of the backlog behind a position, in its turn.
func (s *Session) page(ctx context.Context, d Device, after herald.Pos) (again bool) {
	h := s.codec.hub
	turn, sent := h.catchUps.take(), 0
	defer func() { h.catchUps.give(turn, sent) }()
	list, upto, more, err := h.opts.Backlog.Waiting(ctx, d, after, pageSize)
	sent = len(list)
	return s.sendPage(list, upto, more, err)
}

// sendPage sends a page of the backlog, and makes the session live if that was
// all and nothing was fanned out meanwhile that the page does not have.
func (s *Session) sendPage(list []Waiting, upto herald.Pos, more bool, err error) (again bool) {
	if err != nil {
		s.codec.hub.opts.Log.Warn("the backlog cannot be read", "error", err)
		s.later()
	} else {
		whole := s.sendList(list, time.Now())
		// A page that was cut short says nothing about what follows it, even if
		// there is room again by now: Writable has asked for another turn then.
		again = whole && s.settle(list, upto, more)
	}
	if c, ok := s.conn.(*collector); ok {
		c.pageSent(again, err)
	}
	return again
}

// sendList sends a page as far as the queue takes it, and reports what went out.
// No message can be recalled between the two: see [Hub.Recall].
func (s *Session) sendList(list []Waiting, now time.Time) (whole bool) {
	if len(list) == 0 {
		return true
	}
	d := s.owner()
	self := sets.New(d.Ord) // shared by the events: nobody changes it
	events := make([]record.Event, 0, len(list))
	gone := &s.codec.hub.recalls
	gone.mu.RLock()
	defer gone.mu.RUnlock()
	whole = true
	for _, w := range list {
		_, back := gone.gone[recalled{d.App, w.Msg.ID}]
		got, ok := s.replayOne(w, now, back && w.Kind == record.ReleaseMessage)
		if got == sent && w.Kind == record.ReleaseMessage {
			events = append(events, record.Event{Msg: w.Msg.ID, State: herald.StateSent, Set: self, Time: now, Via: s.codec.name})
		}
		if whole = ok; !ok {
			break
		}
	}
	if len(events) > 0 {
		if _, poll := s.conn.(*collector); poll {
			s.codec.hub.polled.Add(uint64(len(events)))
		} else {
			s.codec.hub.replayed.Add(uint64(len(events)))
		}
		s.codec.hub.opts.Receipts.Report(d.App, events...)
	}
	return whole
}

// Replayed is how many messages were sent to devices for which they had waited,
// since the start; Polled is the same of those that poll, to whom most messages
// come that way.
func (h *Hub) Replayed() uint64 { return h.replayed.Load() }

// Polled is the other part of what [Hub.Replayed] counts.
func (h *Hub) Polled() uint64 { return h.polled.Load() }

// replayOne sends one release of a page, unless it is late: not to be sent any
// more. ok is false when the page ends here,
// because the queue is full or the session is closed.
func (s *Session) replayOne(w Waiting, now time.Time, late bool) (got offered, ok bool) {
	var f Frame
	late = late || overdue(w.Kind, w.Msg, w.Pos, now)
	if !late {
		var err error
		if f, err = s.codec.hub.encoder(w.Kind, w.Msg, w.Pos).frame(s); err != nil {
			// It would fail each time: skip it, or the device gets nothing more.
			s.codec.hub.opts.Log.Error("a message cannot be encoded", "message", w.Msg.ID.String(), "error", err)
			late = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateReplaying {
		return refused, false
	}
	if w.Pos <= s.high {
		return deferred, true
	}
	if !late && s.wants(w.Kind, w.Msg) {
		if got = s.push(f, w.Kind, w.Msg.ID, w.Pos); got != sent {
			s.stall()
			return refused, false
		}
	}
	s.high = w.Pos
	return got, true
}

// settle notes how far the replay has come.
func (s *Session) settle(list []Waiting, upto herald.Pos, more bool) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateReplaying || s.stalled {
		return false
	}
	progress := upto > s.high || len(list) > 0
	s.high = max(s.high, upto)
	switch {
	case !more && s.busy().missed <= s.high:
		s.state, s.task.missed, s.task.retries = stateLive, 0, 0
		s.rest()
		return false
	case progress:
		s.task.retries = 0
		return true
	}
	// The backlog does not show yet what was fanned out: ask again soon.
	s.delay()
	return false
}

// later has the backlog read again after a while.
func (s *Session) later() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateReplaying {
		s.delay()
	}
}

// delay schedules the next try; s.mu is held.
func (s *Session) delay() {
	h, w := s.codec.hub, s.busy()
	wait := min(tick<<w.retries, maxRetry)
	if wait < maxRetry {
		w.retries++
	}
	w.retryAt = h.now() + wait
	h.wheel.schedule(s, min(w.retryAt, s.quiet()))
}
