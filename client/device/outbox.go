package device

import (
	"sync"

	"github.com/herald-push/herald"
)

const (
	// ackBatch is how many reports leave at once without waiting for more.
	ackBatch = 64
	// maxReports bounds what waits while there is no connection. Past it the
	// oldest are dropped: an acknowledgement lost costs a duplicate.
	maxReports = 16384
	// idsPerFrame keeps a frame below the 16 KiB that a server takes: an ID
	// has at most 19 digits, two quotes and a comma.
	idsPerFrame = 500
)

// report is one thing to tell the server: an acknowledgement (event "") or an
// event of a message.
type report struct {
	id    herald.MessageID
	event herald.DeliveryState
}

// outbox holds reports until a connection takes them.
type outbox struct {
	wake chan struct{} // holds one value when there is something new

	mu   sync.Mutex
	list []report // guarded by mu
}

func (o *outbox) add(event herald.DeliveryState, ids ...herald.MessageID) {
	o.mu.Lock()
	for _, id := range ids {
		o.list = append(o.list, report{id, event})
	}
	o.trim()
	o.mu.Unlock()
	o.signal()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) trim() {
	if extra := len(o.list) - maxReports; extra > 0 {
		o.list = append([]report(nil), o.list[extra:]...)
	}
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.list)
}

func (o *outbox) take() []report {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.list
	o.list = nil
	return list
}

// giveBack returns what could not be sent, before what came since.
func (o *outbox) giveBack(list []report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(list, o.list...)
	o.trim()
}

// batches groups reports into frames, keeping the order within one kind.
func batches(list []report) []clientFrame {
	byEvent := map[herald.DeliveryState][]herald.MessageID{}
	for _, r := range list {
		byEvent[r.event] = append(byEvent[r.event], r.id)
	}
	var out []clientFrame
	for _, event := range []herald.DeliveryState{"", herald.StateDisplayed, herald.StateClicked, herald.StateWithdrawn} {
		ids := byEvent[event]
		for len(ids) > 0 {
			n := min(len(ids), idsPerFrame)
			f := clientFrame{Type: "ack", IDs: ids[:n]}
			if event != "" {
				f.Type, f.Event = "event", event
			}
			out, ids = append(out, f), ids[n:]
		}
	}
	return out
}

// recentIDs is how many message IDs are remembered against duplicates.
const recentIDs = 1024

// recent remembers the last message IDs, and of each whether it was settled:
// acknowledged, so that a copy may be acknowledged again.
type recent struct {
	settled map[herald.MessageID]bool
	ring    []herald.MessageID
	next    int
}

// add remembers an ID; it reports whether it was known, and whether settled.
func (r *recent) add(id herald.MessageID) (known, settled bool) {
	if s, ok := r.settled[id]; ok {
		return true, s
	}
	if r.settled == nil {
		r.settled = make(map[herald.MessageID]bool)
	}
	if len(r.ring) < recentIDs {
		r.ring = append(r.ring, id)
	} else {
		delete(r.settled, r.ring[r.next])
		r.ring[r.next] = id
		r.next = (r.next + 1) % recentIDs
	}
	r.settled[id] = false
	return false, false
}

// settle marks an ID as acknowledged, if it is remembered.
func (r *recent) settle(id herald.MessageID) {
	if _, ok := r.settled[id]; ok {
		r.settled[id] = true
	}
}

// forget makes an ID new again. Its place in the ring is left to be reused.
func (r *recent) forget(id herald.MessageID) {
	delete(r.settled, id)
	for i := range r.ring {
		if r.ring[i] == id {
			r.ring[i] = 0 // no message has this ID
		}
	}
}
