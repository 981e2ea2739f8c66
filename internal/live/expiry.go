package live

import (
	"sync"
	"sync/atomic"
	"time"
)

// expiries are the sessions whose token is good until a time. Few tokens are of
// that kind, so the others pay nothing for them, in memory or otherwise.
type expiries struct {
	count atomic.Int64 // of them
	mu    sync.Mutex   // guards what follows; taken before all others
	at    map[*Session]time.Time
}

// expires notes until when a session may stay; zero: for good.
func (h *Hub) expires(s *Session, until time.Time) {
	if until.IsZero() && h.expiries.count.Load() == 0 {
		return
	}
	e := &h.expiries
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.at, s)
	s.mu.Lock()
	over := s.state == stateClosed
	s.mu.Unlock()
	if !until.IsZero() && !over {
		if e.at == nil {
			e.at = map[*Session]time.Time{}
		}
		e.at[s] = until
	}
	e.count.Store(int64(len(e.at)))
}

// expire closes the sessions whose time has come.
func (h *Hub) expire(now time.Time) {
	if h.expiries.count.Load() == 0 {
		return
	}
	var due []*Session
	h.expiries.mu.Lock()
	for s, at := range h.expiries.at {
		if !now.Before(at) {
			due = append(due, s)
		}
	}
	h.expiries.mu.Unlock()
	for _, s := range due {
		s.Close(Reason{CloseBadToken, "the token has expired"})
	}
}
