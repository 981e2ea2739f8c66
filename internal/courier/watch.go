package courier

import (
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// watched is a message of which errands are in hand.
type watched struct {
	app herald.AppKey
	msg herald.MessageID
}

// watches tells who works on a message that it was recalled, and who recalls it
// when nobody sends it any more.
type watches struct {
	mu   sync.Mutex // guards what follows
	list map[watched]*watch
}

// watch is one message. It is there while an errand of it is in hand.
type watch struct {
	recalled chan struct{}   // closed when it is
	ctx      context.Context // of its calls
	cancel   context.CancelFunc

	// Guarded by watches.mu.
	over    bool // recalled is closed
	errands int
	batches int
	idle    chan struct{} // closed when there is no batch; nil if nobody waits
}

// begin is called before the message is read for an errand, so that a recall is
// either seen here or in what is read.
func (ws *watches) begin(calls context.Context, key watched) *watch {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.list[key]
	if w == nil {
		w = &watch{recalled: make(chan struct{})}
		w.ctx, w.cancel = context.WithCancel(calls)
		ws.list[key] = w
	}
	w.errands++
	return w
}

func (ws *watches) end(key watched, w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.errands--; w.errands == 0 {
		delete(ws.list, key)
		w.cancel()
	}
}

// beginBatch is false if the message was recalled.
func (ws *watches) beginBatch(w *watch) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.over {
		return false
	}
	w.batches++
	return true
}

// endBatch is called when what came of the calls has been reported.
func (ws *watches) endBatch(w *watch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if w.batches--; w.batches == 0 && w.idle != nil {
		close(w.idle)
		w.idle = nil
	}
}

// patience is how long who recalls a message waits for calls that are under way
// before they are broken off: it may be that others wait for it.
const patience = time.Second

func (ws *watches) recall(key watched) {
	ws.mu.Lock()
	w := ws.list[key]
	if w == nil {
		ws.mu.Unlock()
		return
	}
	if !w.over {
		w.over = true
		close(w.recalled)
	}
	if w.batches == 0 {
		ws.mu.Unlock()
		return
	}
	if w.idle == nil {
		w.idle = make(chan struct{})
	}
	idle := w.idle
	ws.mu.Unlock()
	late := time.AfterFunc(patience, w.cancel)
	defer late.Stop()
	<-idle
}

// isOver reports whether the message was recalled.
func (w *watch) isOver() bool {
	select {
	case <-w.recalled:
		return true
	default:
		return false
	}
}
