package offline

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Store finds what was released to one device.
type Store interface {
	// Entries lists the direct messages released to a device whose message
	// has not ended, newest first, at most limit.
	Entries(ctx context.Context, app herald.AppKey, ord herald.Ordinal, limit int) ([]record.Entry, error)
	// Message finds a message with its body; not_found if there is none.
	Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error)
}
