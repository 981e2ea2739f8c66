package live

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// TopicLog stores publications for sessions that persist, as the hub needs it.
// Any goroutine may call it. Callbacks run on a goroutine of the log, one after
// another: they must be short and must not block.
type TopicLog interface {
	// Wanted tells whether a session that persists subscribes to a topic with a
	// QoS above 0. It does not block: until the filters of an app were read it
	// answers true.
	Wanted(app herald.AppKey, t herald.Topic) bool
	// Append stores an entry, which is the log's from then on until then is
	// called. It never blocks. then is called once the entry is durable and Pos
	// and Shares are set (Pos 0: nobody wants it, and it was not stored), in the
	// order of positions, and of the calls of one goroutine; or with why it is
	// not stored: a *herald.Error, of the code storage_unavailable if too much waits
	// already, for which then is called before Append returns.
	Append(app herald.AppKey, e *record.TopicEntry, then func(error))
	// Pending tells whether callbacks of an app are still to come.
	Pending(app herald.AppKey) bool
	// Shared gives a session of a shared group that persists, and is away if any
	// is; "" if there is none. The filter is without $share/<group>/. Append does
	// the same for groups that the entry does not name.
	Shared(app herald.AppKey, group, filter string) (client string)
	// Subscribers gives the devices that subscribe to a topic by a session that
	// persists, as a set of the caller's own.
	Subscribers(ctx context.Context, app herald.AppKey, t herald.Topic) (*sets.Set, error)
}

// TopicSessions keeps sessions that persist. What is done about one session by
// one goroutine is done in that order, also with what TopicLog.Append does.
type TopicSessions interface {
	// Open opens a session for a client that has connected, and gives what is
	// known of it; present tells that it was there before. With Clean what was
	// there ends first. A session of another device is refused with the code
	// conflict. Who opens has made sure that no other connection has the session.
	Open(ctx context.Context, s record.TopicSession) (state record.TopicSessionState, present bool, err error)
	// Change changes a session that is open. It never blocks; then, which may be
	// nil, is called once the change is durable, as that of TopicLog.Append.
	Change(app herald.AppKey, client string, c record.TopicSessionChange, then func(error))
	// Read lists what the subscriptions in the record ask for after a position, in
	// the order of positions, at most limit, without what is done or released, and
	// what has expired before it was sent. It is complete up to upto; more tells
	// that there is more now.
	Read(ctx context.Context, app herald.AppKey, client string, after herald.Pos, limit int) (list []record.TopicEntry, upto herald.Pos, more bool, err error)
	// Away says that the connection is gone: the expiry counts from at. A session
	// with expiry 0 ends.
	Away(ctx context.Context, app herald.AppKey, client string, at time.Time) error
	// End ends a session and forgets it. It is no error if there is none.
	End(ctx context.Context, app herald.AppKey, client string) error
}
