package live

import (
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// viaReceipt is the "via" of what a device reports itself; see record.Event.
const viaReceipt = "receipt"

// Ack says that the device has these messages.
func (s *Session) Ack(ids []herald.MessageID) *herald.Error {
	return s.Event(herald.StateReceived, ids)
}

// Event says what became of messages on the device: received, displayed,
// clicked, or withdrawn, which says that it has removed them. The error is for the client; then nothing was done.
func (s *Session) Event(what herald.DeliveryState, ids []herald.MessageID) *herald.Error {
	if what == herald.StateWithdrawn {
		what = record.ToldState // the notice is acknowledged, not the message
	}
	switch {
	case what != herald.StateReceived && what != herald.StateDisplayed && what != herald.StateClicked && what != record.ToldState:
		return herald.Invalid("event", "Write received, displayed, clicked or withdrawn.", "%.40q is not an event", string(what))
	case len(ids) == 0:
		return herald.Invalid("ids", "Name at least one message.", "the list is empty")
	case len(ids) > herald.MaxIDsPerCall:
		return herald.Invalid("ids", "Send several frames.", "%d IDs are more than %d", len(ids), herald.MaxIDsPerCall)
	}
	a, open := s.where()
	if !open {
		return errNotOpen()
	}
	s.codec.hub.single.ReportOne(a.key, s.ord, what, viaReceipt, time.Now(), ids...)
	return nil
}

// acknowledged takes what plainAck has read, and reports whether it could: if
// the session is open, and there is any.
func (s *Session) acknowledged(ids []herald.MessageID) bool {
	if len(ids) == 0 {
		return false
	}
	a, open := s.where()
	if open {
		s.codec.hub.single.ReportOne(a.key, s.ord, herald.StateReceived, viaReceipt, time.Now(), ids...)
	}
	return open
}

// AckUpto says that the device has everything of its own up to a cursor. A
// cursor that is foreign, damaged or of another epoch is ignored: that costs
// duplicates, never a message.
func (s *Session) AckUpto(cursor string) *herald.Error {
	a, open := s.where()
	if !open {
		return errNotOpen()
	}
	pos, ok := s.codec.hub.parseCursor(a.key, cursor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.upto {
		return herald.Invalid("upto", `Ask for it with "ack":"upto" in hello, or ?ack=upto in the address; or acknowledge with ids.`,
			"this session acknowledges by ids")
	}
	// What was not offered here yet cannot be acknowledged here.
	if pos = min(pos, s.high); ok && s.isOpen() && pos > s.busy().cursor {
		s.task.cursor = pos
		s.codec.hub.pool.push(s)
	}
	return nil
}

// where gives the app of an open session.
func (s *Session) where() (a *app, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.app, s.isOpen()
}

func errNotOpen() *herald.Error {
	return herald.Errorf(herald.CodeConflict, "Wait for welcome, then send it again.", "the session is not open")
}

// inSets is SingleReceipts for Receipts that are not.
type inSets struct{ Receipts }

func (r inSets) ReportOne(app herald.AppKey, o herald.Ordinal, what herald.DeliveryState, via string, at time.Time, ids ...herald.MessageID) {
	self := sets.New(o) // shared by the events: nobody changes it
	events := make([]record.Event, len(ids))
	for i, id := range ids {
		events[i] = record.Event{Msg: id, State: what, Set: self, Time: at, Via: via}
	}
	r.Report(app, events...)
}
