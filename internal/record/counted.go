package record

import (
	"time"

	"github.com/herald-push/herald"
)

// Counted is what is kept of a message after its retention: what became of it,
// without its content, and without its audience, which may name people.
type Counted struct {
	Message herald.Message      `json:"message"`
	State   herald.MessageState `json:"state"`
	Ended   time.Time           `json:"ended"`
	Unknown int64               `json:"unknown"`
	Counts  herald.Counts       `json:"counts"`
}

// Count gives what is kept of a message that has ended.
func (m *Message) Count(c herald.Counts) Counted {
	out := Counted{Message: m.Message, State: m.State, Ended: m.Ended, Unknown: m.Unknown, Counts: c}
	out.Message.Audience = herald.Audience{}
	return out
}
