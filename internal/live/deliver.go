package live

import (
	"context"
	"errors"
	"sync"
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

// fanOut is a delivery under way, in room that is used again.
type fanOut struct {
	enc  encoder
	ords [fanOutPart]uint32 // some devices
	list []*Session         // theirs
	most int                // that were on the list
	took ascending
	sent []sentBy // few: one for each name of a transport
}

// sentBy are the devices that were sent a release over one transport.
type sentBy struct {
	via string
	ascending
}

// fanOutPart is how many devices are looked at together: the roster is locked
// for no longer, however many there are.
const fanOutPart = 512

var fanOuts = sync.Pool{New: func() any { return &fanOut{list: make([]*Session, 0, fanOutPart)} }}

// Deliver sends a release to those devices of its set that are connected here,
// and answers the devices that it took it for: those to which it was sent, and
// those whose session is still replaying and will come to it. It reports
// "sent" for the former at once and for the latter when it happens.
//
// Who joins meanwhile finds the release in the backlog. No lock is held on the
// way that another delivery needs, but for moments.
func (h *Hub) Deliver(_ context.Context, d record.Handover) (*sets.Set, error) {
	a := h.lookup(h.whose(d.App))
	now := time.Now()
	if a == nil || overdue(d.Kind, d.Msg, d.Pos, now) {
		return sets.New(), nil
	}
	here := d.Set
	if _, one := here.Only(); !one {
		here = a.reached(here)
	}
	f := fanOuts.Get().(*fanOut)
	defer f.done()
	f.enc = encoder{hub: h, kind: d.Kind, msg: d.Msg, pos: d.Pos, made: f.enc.made}
	for ords := range here.Batches(f.ords[:]) {
		f.list = a.sessions(ords, f.list[:0])
		f.most = max(f.most, len(f.list))
		if err := f.offer(); err != nil {
			h.opts.Log.Error("a message cannot be encoded", "message", d.Msg.ID.String(), "error", err)
			return f.took.of(here), nil
		}
	}
	if d.Kind == record.ReleaseMessage {
		h.reportSent(d, now, f.sent, here)
	}
	return f.took.of(here), nil
}

// offer offers the release to some sessions, those of a device one after the
// other.
func (f *fanOut) offer() error {
	for _, s := range f.list {
		frame, err := f.enc.frame(s)
		if err != nil {
			return err
		}
		switch s.offer(&f.enc, frame) {
		case sent:
			f.by(s.codec.name).add(s.ord)
			f.took.add(s.ord)
		case deferred:
			f.took.add(s.ord)
		}
	}
	return nil
}

func (f *fanOut) by(via string) *sentBy {
	for i := range f.sent {
		if f.sent[i].via == via {
			return &f.sent[i]
		}
	}
	if len(f.sent) < cap(f.sent) {
		f.sent = f.sent[:len(f.sent)+1] // with the room that it had
	} else {
		f.sent = append(f.sent, sentBy{})
	}
	last := &f.sent[len(f.sent)-1]
	last.via, last.list = via, last.list[:0]
	return last
}

// done gives the room back.
func (f *fanOut) done() {
	clear(f.list[:f.most])
	clear(f.enc.made)
	f.enc = encoder{made: f.enc.made[:0]}
	f.list, f.most, f.took.list, f.sent = f.list[:0], 0, f.took.list[:0], f.sent[:0]
	fanOuts.Put(f)
}

// ascending gathers ordinals that come in ascending order, some more than once.
type ascending struct{ list []uint32 }

func (a *ascending) add(o herald.Ordinal) {
	if n := len(a.list); n == 0 || a.list[n-1] != uint32(o) {
		a.list = append(a.list, uint32(o))
	}
}

// of makes a set of them. They are some of another set, and mostly all: then
// it is a copy of that.
func (a *ascending) of(all *sets.Set) *sets.Set {
	if n := len(a.list); n > 1 && int64(n) == all.Len() {
		return all.Clone()
	}
	out := sets.New()
	out.AddMany(a.list)
	return out
}

// overdue reports whether a message's TTL has ended. One with TTL 0 is handed
// over once, to who is here, so it is never late.
func overdue(kind record.ReleaseKind, m *record.Message, pos herald.Pos, now time.Time) bool {
	return kind == record.ReleaseMessage && pos != 0 && !m.Expires().After(now)
}

// reportSent reports to whom a release was sent.
func (h *Hub) reportSent(d record.Handover, now time.Time, by []sentBy, here *sets.Set) {
	for i := range by {
		if list := by[i].list; len(list) == 1 {
			h.single.ReportOne(d.App, herald.Ordinal(list[0]), herald.StateSent, by[i].via, now, d.Msg.ID)
			continue
		}
		h.opts.Receipts.Report(d.App, record.Event{Msg: d.Msg.ID, State: herald.StateSent, Set: by[i].of(here), Time: now, Via: by[i].via})
	}
}

// offer gives a release to a session that is online. The frame is made before
// the lock is taken, because that may ask the directory for a cursor.
func (s *Session) offer(e *encoder, f Frame) offered {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateLive && s.state != stateReplaying && s.state != stateOpening || !s.wants(e.kind, e.msg) {
		return refused
	}
	if e.pos == 0 {
		if s.state == stateOpening {
			return refused // not welcomed yet, so not connected
		}
		return s.push(f, e.kind, e.msg.ID, 0)
	}
	if e.pos <= s.high {
		return deferred
	}
	if s.state == stateLive {
		if s.push(f, e.kind, e.msg.ID, e.pos) == sent {
			s.high = e.pos
			return sent
		}
		s.stall()
	}
	s.busy().missed = max(s.task.missed, e.pos)
	return deferred
}

// Reread has the sessions of an app read the backlog, because a release up to a
// position was not offered to all whom it is for. Until then they take nothing
// that comes after it.
func (h *Hub) Reread(key herald.AppKey, pos herald.Pos) {
	a := h.lookup(key)
	if a == nil {
		return
	}
	var ords [fanOutPart]uint32
	var list []*Session
	for some := range h.Online(key).Batches(ords[:]) {
		list = a.sessions(some, list[:0])
		for _, s := range list {
			s.reread(pos)
		}
	}
}

func (s *Session) reread(pos herald.Pos) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateLive && s.state != stateReplaying && s.state != stateOpening || pos <= s.high {
		return
	}
	s.busy().missed = max(s.task.missed, pos)
	if s.state == stateLive {
		s.state = stateReplaying
		s.codec.hub.pool.push(s)
	}
}

// wants reports whether a release may go to the session's device: a message
// that was sent by alias is not for who was bound to it later. s.mu is held.
func (s *Session) wants(kind record.ReleaseKind, m *record.Message) bool {
	return kind != record.ReleaseMessage || !m.ByAlias || s.bound <= m.EvalPos
}

// push queues the frame of a release; s.mu is held.
func (s *Session) push(f Frame, kind record.ReleaseKind, id herald.MessageID, pos herald.Pos) offered {
	err := s.send(f, kind, id, pos)
	if err == nil {
		return sent
	}
	if pos != 0 {
		s.busy().window = errors.Is(err, ErrWindow)
	}
	return refused
}
