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
	d, open := s.Device()
	if !open {
		return errNotOpen()
	}
	now := time.Now()
	self := sets.New(d.Ord) // shared by the events: nobody changes it
	events := make([]record.Event, len(ids))
	for i, id := range ids {
		events[i] = record.Event{Msg: id, State: what, Set: self, Time: now, Via: viaReceipt}
	}
	s.hub.opts.Receipts.Report(d.App, events...)
	return nil
}

// AckUpto says that the device has everything of its own up to a cursor. A
// cursor that is foreign, damaged or of another epoch is ignored: that costs
// duplicates, never a message.
func (s *Session) AckUpto(cursor string) *herald.Error {
	d, open := s.Device()
	if !open {
		return errNotOpen()
	}
	pos, ok := s.hub.opts.Directory.ParseCursor(d.App, cursor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode != AckUpto {
		return herald.Invalid("upto", `Ask for it with "ack":"upto" in hello, or ?ack=upto in the address; or acknowledge with ids.`,
			"this session acknowledges by ids")
	}
	// What was not offered here yet cannot be acknowledged here.
	if pos = min(pos, s.high); ok && pos > s.upto {
		s.upto = pos
		s.hub.pool.push(s)
	}
	return nil
}

func errNotOpen() *herald.Error {
	return herald.Errorf(herald.CodeConflict, "Wait for welcome, then send it again.", "the session is not open")
}
