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
	// EntryMessages is Entries, of which the first come with their messages, if
	// those are to this device alone.
	EntryMessages(ctx context.Context, app herald.AppKey, ord herald.Ordinal, after herald.Pos, limit int) ([]record.EntryMessage, error)
	// EntryDevices gives the devices from one to another, both included, that
	// have entries; their messages may have ended.
	EntryDevices(ctx context.Context, app herald.AppKey, first, last herald.Ordinal) (*sets.Set, error)
	// AliasEntries lists the entries of several devices whose message was sent
	// by alias, evaluated before a log position, has not ended and does not
	// expire by a time.
	AliasEntries(ctx context.Context, app herald.AppKey, ords *sets.Set, before herald.Pos, now time.Time) ([]record.AliasEntry, error)
	// Rebindings lists the last changes of aliases, newest first, at most so
	// many, as far as a message by alias may wait that was evaluated before them.
	Rebindings(ctx context.Context, app herald.AppKey, limit int) ([]record.Rebinding, error)
}
