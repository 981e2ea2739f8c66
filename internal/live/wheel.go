package live

import (
	"context"
	"sync"
	"time"
)

// tick is how often the hub looks at its sessions' times.
const tick = time.Second

// wheelSlots is the number of ticks that the wheel reaches ahead. What is due
// later is looked at once per turn and put back.
const wheelSlots = 128

// wheel holds each session at the tick at which its next time comes: silence,
// a missing hello, a queue that stays full, a backlog to be read again. One
// goroutine turns it for all sessions, so that none needs a timer.
type wheel struct {
	mu    sync.Mutex
	slots [wheelSlots]*Session // heads of lists, linked by wheelNext and wheelPrev
	turn  int64                // the next tick to be looked at
}

func newWheel() *wheel { return &wheel{} }

// schedule puts a session where its time is, since the hub's start, or moves
// it there. A time that has passed is looked at with the next tick.
func (w *wheel) schedule(s *Session, at time.Duration) {
	n := int64((at + tick - 1) / tick)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(s)
	n = min(max(n, w.turn), w.turn+wheelSlots-1)
	s.wheelSlot = uint8(n%wheelSlots) + 1
	head := &w.slots[n%wheelSlots]
	if s.wheelNext = *head; s.wheelNext != nil {
		s.wheelNext.wheelPrev = s
	}
	*head = s
}

func (w *wheel) remove(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(s)
}

func (w *wheel) unlink(s *Session) {
	if s.wheelSlot == 0 {
		return
	}
	if s.wheelPrev != nil {
		s.wheelPrev.wheelNext = s.wheelNext
	} else {
		w.slots[s.wheelSlot-1] = s.wheelNext
	}
	if s.wheelNext != nil {
		s.wheelNext.wheelPrev = s.wheelPrev
	}
	s.wheelNext, s.wheelPrev, s.wheelSlot = nil, nil, 0
}

// due takes the sessions off whose tick has come.
func (w *wheel) due(now time.Duration, into []*Session) []*Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	for end := int64(now / tick); w.turn <= end; w.turn++ {
		s := w.slots[w.turn%wheelSlots]
		w.slots[w.turn%wheelSlots] = nil
		for s != nil {
			next := s.wheelNext
			s.wheelNext, s.wheelPrev, s.wheelSlot = nil, nil, 0
			into = append(into, s)
			s = next
		}
	}
	return into
}

// beat turns the wheel until ctx ends.
func (h *Hub) beat(ctx context.Context) {
	t := time.NewTicker(tick)
	defer t.Stop()
	var list []*Session
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		h.offers.turn(h.now())
		h.beatTopics(h.now())
		h.expire(time.Now())
		list = h.turn(h.now(), list)
	}
}

// turn looks at the sessions that are due, and gives back the room for their
// list.
func (h *Hub) turn(now time.Duration, room []*Session) []*Session {
	list := h.wheel.due(now, room[:0])
	for _, s := range list {
		s.tick(now)
	}
	clear(list)
	return list[:0]
}
