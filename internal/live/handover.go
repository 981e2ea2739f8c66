package live

import (
	"errors"

	"github.com/herald-push/herald"
)

// Reassign hands a publication, which a session got for shared groups and has not
// acknowledged before it ended, to another session of each of them, or drops it
// where none accepts. The groups are named as they were subscribed. It does not
// block.
func (h *Hub) Reassign(key herald.AppKey, o *Outgoing, groups []string) {
	a := h.lookup(key)
	if a == nil {
		return
	}
	// It has no position in the log for another session: there it stands as that of
	// the first one.
	again := &Outgoing{Publication: o.Publication}
	again.Pos = 0
	for _, g := range groups {
		a.topics.mu.RLock()
		of := a.topics.named[herald.Topic(g)]
		a.topics.mu.RUnlock()
		if of == nil {
			h.dropped.Add(1)
			continue
		}
		s, _ := a.topics.pick(of, again)
		if s == nil {
			h.dropped.Add(1)
			continue
		}
		if c, ok := s.conn.(Subscriber); ok && errors.Is(c.Published(again, nil, []string{g}), ErrFull) {
			h.dropped.Add(1)
		}
	}
}
