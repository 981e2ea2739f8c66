package offline

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Store finds what was released to one device.
type Store interface {
	// Entries lists the direct messages released to a device after a position
	// whose message has not ended, newest first, at most limit.
	Entries(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.Entry, error)
	// AliasEntries lists the entries of several devices whose message was sent
	// by alias, evaluated before a log position, has not ended and does not
	// expire by a time.
	AliasEntries(ctx context.Context, app herald.AppKey, ords *sets.Set, before herald.Pos, now time.Time) ([]record.AliasEntry, error)
	// Message finds a message with its body; not_found if there is none.
	Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error)
}
