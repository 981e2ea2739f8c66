package receipt

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Store keeps delivery states: a log of events, folded into chunks (what the
// state sets are) and segments (how they came to be).
type Store interface {
	// AppendReceipts writes events as the next batch of an app's receipt log
	// and gives its number. It is durable when it returns.
	AppendReceipts(ctx context.Context, app herald.AppKey, events []record.Event) (uint64, error)
	// ReceiptLog walks the batches that are not folded yet, ascending.
	ReceiptLog(ctx context.Context, app herald.AppKey, each func(record.Batch) error) error
	// FoldReceipts replaces chunks, appends segments and drops the log up to
	// a batch, which ends it. Chunks may be replaced in commits ahead of that. If
	// the log is folded up to there already it answers conflict and changes
	// nothing.
	FoldReceipts(ctx context.Context, f record.Fold) error
	// AddToChunks joins bits to the chunks that group messages have, some in each
	// commit. One that is damaged stays as it is.
	AddToChunks(ctx context.Context, app herald.AppKey, chunks []record.Chunk) error
	CellStore
	StripStore
	// Segments lists a piece of history, ascending: of a group message within
	// a slab, or (message 0) of direct deliveries; see record.Segment.
	Segments(ctx context.Context, app herald.AppKey, msg herald.MessageID, index uint64) ([]record.Segment, error)
}

// CellStore reads what group messages have by slab, and direct ones by number.
type CellStore interface {
	// StateChunks walks the chunks of one message, those of a slab together,
	// or (0) of all direct messages of the app. Of those, a damaged chunk is set
	// aside in the record, and given without bits; see record.Chunk.Lost.
	StateChunks(ctx context.Context, app herald.AppKey, msg herald.MessageID, each func(record.Chunk) error) error
	// Cells walks the chunks that some group messages have in one slab; those
	// of a target that was not read with its message have TargetState. With
	// waiting it may leave out states that do not decide who still waits, and
	// leaves out states that are damaged: who may have a message or not is sent
	// it once more. A damaged target is an error.
	Cells(ctx context.Context, app herald.AppKey, slab sets.Slab, ids []herald.MessageID, waiting bool, each func(record.Chunk) error) error
	// Held walks chunks as Cells does, and says of each whether it has one device,
	// without making sets of them. With record.WhoWaits it is Cells with waiting,
	// but for record.DamagedState, which stands for a state that is left out.
	Held(ctx context.Context, app herald.AppKey, slab sets.Slab, ids []herald.MessageID, o herald.Ordinal, of record.CellPart, each func(id herald.MessageID, s herald.DeliveryState, has bool)) error
	// FirstDelivery is the lowest delivery number that a direct message has,
	// or the next that one will have: states of lower ones concern nobody.
	FirstDelivery(ctx context.Context, app herald.AppKey) (uint64, error)
	// TargetSlabs lists the slabs of a target that was not read with its
	// message, and makes sure that they are all there.
	TargetSlabs(ctx context.Context, app herald.AppKey, id herald.MessageID) ([]sets.Slab, error)
}

// StripStore keeps who waits once more, by devices and then messages: see
// record.Strip. It is made of what CellStore has.
type StripStore interface {
	// Bundles lists the bundles of an app.
	Bundles(ctx context.Context, app herald.AppKey) ([]record.Bundle, error)
	// PutBundle writes a bundle and its strips, by their blocks within the slab: a
	// new one, or one that is there anew. Nobody finds a part of it.
	PutBundle(ctx context.Context, app herald.AppKey, of record.Bundle, strips [record.StripsInSlab]*sets.Set) error
	// DropBundle deletes a bundle and its strips.
	DropBundle(ctx context.Context, app herald.AppKey, slab sets.Slab, n uint64) error
	// StripsOf gives which messages wait for a device, of each bundle whose strip
	// there is and can be read.
	StripsOf(ctx context.Context, app herald.AppKey, o herald.Ordinal, each func(n, messages uint64)) error
	// ChangeStrips notes what has become stale of bundles that there are, and takes
	// bits out of strips. It is durable no later than what is written after it.
	ChangeStrips(ctx context.Context, app herald.AppKey, stale []record.Bundle, done []record.Strip) error
}

// MessageSource finds the messages whose states are asked for.
type MessageSource interface {
	// Message finds a message with its target, unless that is kept apart;
	// not_found if there is none.
	Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error)
	// MessagesByID finds messages as Message does, in any order. Those that
	// there are not are left out.
	MessagesByID(ctx context.Context, app herald.AppKey, ids []herald.MessageID) ([]*record.Message, error)
	// LiveGroups lists the group messages of an app that have been released,
	// have not ended, or ended less than herald.LateReceipts ago, as Message
	// gives them, oldest release first.
	LiveGroups(ctx context.Context, app herald.AppKey) ([]*record.Message, error)
	// Withdrawn lists the messages of an app that were withdrawn after a time,
	// as Message gives them, in the order of their notices (EndPos).
	Withdrawn(ctx context.Context, app herald.AppKey, since time.Time) ([]*record.Message, error)
}
