package live

import (
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// recallMemory is how long a recalled message is remembered: far longer than a
// session needs for a page of the backlog that it has read already.
const recallMemory = 10 * time.Minute

// recalls are the messages that must not be sent any more, although a page of
// some session's backlog may still hold them. Sending from a page holds the
// lock for reading, so that after Recall nothing of the message goes out.
type recalls struct {
	mu   sync.RWMutex
	gone map[recalled]time.Duration // when, by the hub's clock
}

type recalled struct {
	app herald.AppKey
	id  herald.MessageID
}

// Recall stops a message that was withdrawn: when it returns, every copy that
// was sent has been reported, and no session that replays sends another.
func (h *Hub) Recall(app herald.AppKey, id herald.MessageID) {
	now := h.now()
	h.recalls.mu.Lock()
	defer h.recalls.mu.Unlock()
	if h.recalls.gone == nil {
		h.recalls.gone = map[recalled]time.Duration{}
	}
	for k, at := range h.recalls.gone {
		if now-at > recallMemory {
			delete(h.recalls.gone, k)
		}
	}
	h.recalls.gone[recalled{app, id}] = now
}
