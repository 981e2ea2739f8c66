package dispatch

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Outlet is a channel as dispatch sees it: live connections, a vendor, the
// inbox.
//
// Deliver hands a message to as many devices of the handover's set as it can
// and answers those that it took it for. What is not in the answer is absent
// here, and dispatch decides what that means. What has a log position comes from
// one goroutine per app, in log order, and dispatch waits for it: an outlet that
// has to talk to somebody slow keeps a queue of its own. Messages with TTL 0
// (Pos 0) come from any goroutine. The outlet reports the state
// "sent" to receipt itself, because it alone knows by which way. An error
// means that nobody got it and that trying again later may help.
type Outlet interface {
	Deliver(ctx context.Context, h record.Handover) (*sets.Set, error)
}

// Recaller is an add-on of an outlet that sends, in its own time, what it has
// taken or read from the backlog.
//
// Recall stops a message that was withdrawn: when it returns every copy that
// went out has been reported, and no other goes out.
type Recaller interface {
	Recall(app herald.AppKey, id herald.MessageID)
}

// Presence is an add-on of an outlet that takes a message only for devices that
// are here at the moment.
//
// Online gives them, as a set of the caller's own. Whoever is here after a
// release was shown to the backlog, and not in the set, finds it there.
type Presence interface {
	Online(app herald.AppKey) *sets.Set
}

// Rereader is an add-on of an outlet that gives a device releases as they come,
// once it has given it what waited in the backlog.
//
// Reread says that what was released up to a position was not handed over as a
// whole: whoever is here gets nothing that comes after it before what the backlog
// has up to it.
type Rereader interface {
	Reread(app herald.AppKey, pos herald.Pos)
}
