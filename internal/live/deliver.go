package live

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// offered is what became of a release at one session.
type offered uint8

const (
	refused  offered = iota // not for it, or it cannot take it now
	sent                    // queued on the socket
	deferred                // the replay of this connection brings it, or has brought it
)

// Deliver sends a release to those devices of its set that are connected here,
// and answers the devices that it took it for: those to which it was sent, and
// those whose session is still replaying and will come to it. It reports
// "sent" for the former at once and for the latter when it happens.
func (h *Hub) Deliver(_ context.Context, d record.Handover) (*sets.Set, error) {
	took := sets.New()
	a := h.lookup(h.whose(d.App))
	now := time.Now()
	if a == nil || overdue(d.Kind, d.Msg, d.Pos, now) {
		return took, nil
	}
	list := a.reached(d.Set, nil)
	enc := h.encoder(d.Kind, d.Msg, d.Pos)
	var by viaSets
	for _, s := range list {
		switch got, err := s.offer(enc); {
		case err != nil:
			h.opts.Log.Error("a message cannot be encoded", "message", d.Msg.ID.String(), "error", err)
			return took, nil
		case got == sent:
			by.add(s.transport.Name(), s.device.Ord)
			took.Add(s.device.Ord)
		case got == deferred:
			took.Add(s.device.Ord)
		}
	}
	if d.Kind == record.ReleaseMessage {
		h.report(d.App, d.Msg.ID, now, by)
	}
	return took, nil
}

// overdue reports whether a message's TTL has ended. One with TTL 0 is handed
// over once, to who is here, so it is never late.
func overdue(kind record.ReleaseKind, m *record.Message, pos herald.Pos, now time.Time) bool {
	return kind == record.ReleaseMessage && pos != 0 && !m.Expires().After(now)
}

// viaSets is a set of devices for each transport; there are few of those.
type viaSets []viaSet

type viaSet struct {
	via string
	set *sets.Set
}

func (v *viaSets) add(via string, ord herald.Ordinal) {
	for _, e := range *v {
		if e.via == via {
			e.set.Add(ord)
			return
		}
	}
	*v = append(*v, viaSet{via, sets.New(ord)})
}

func (h *Hub) report(key herald.AppKey, msg herald.MessageID, now time.Time, by viaSets) {
	events := make([]record.Event, 0, len(by))
	for _, e := range by {
		events = append(events, record.Event{Msg: msg, State: herald.StateSent, Set: e.set, Time: now, Via: e.via})
	}
	if len(events) > 0 {
		h.opts.Receipts.Report(key, events...)
	}
}

// offer gives a release to a session that is online. The frame is made before
// the lock is taken, because that may ask the directory for a cursor.
func (s *Session) offer(e *encoder) (offered, error) {
	f, err := e.frame(s.transport, s.device.Platform)
	if err != nil {
		return refused, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateLive && s.state != stateReplaying && s.state != stateOpening || !s.wants(e.kind, e.msg) {
		return refused, nil
	}
	if e.pos == 0 {
		if s.state == stateOpening {
			return refused, nil // not welcomed yet, so not connected
		}
		return s.push(f), nil
	}
	if e.pos <= s.high {
		return deferred, nil
	}
	if s.state == stateLive {
		if s.push(f) == sent {
			s.high = e.pos
			return sent, nil
		}
		s.stall()
	}
	s.missed = max(s.missed, e.pos)
	return deferred, nil
}

// wants reports whether a release may go to the session's device: a message
// that was sent by alias is not for who was bound to it later. s.mu is held.
func (s *Session) wants(kind record.ReleaseKind, m *record.Message) bool {
	return kind != record.ReleaseMessage || !m.ByAlias || s.device.BoundPos <= m.EvalPos
}

// push queues a frame; s.mu is held.
func (s *Session) push(f Frame) offered {
	if s.send(f) != nil {
		return refused
	}
	return sent
}
