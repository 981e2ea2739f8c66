package record

import (
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// Handover is one message (or the notice that it was withdrawn) and a set of
// devices within one slab, given to a channel. Who gets it must not change it.
type Handover struct {
	App  herald.AppKey
	Kind ReleaseKind
	Msg  *Message
	// Pos is the release's place in the log; 0 for a message with TTL 0.
	Pos herald.Pos
	// Set is who it is for: at most 65,536 ordinals of one slab.
	Set *sets.Set
	At  time.Time
}
