package record

import (
	"time"

	"github.com/herald-push/herald"
)

// TopicOp is one thing that is done to the topic log of an app. One of Entry,
// Open, Change, Away and End says what; many of them share a commit.
type TopicOp struct {
	App    herald.AppKey
	Client string // of the session; not for Entry

	Entry *TopicEntry
	// Keep says that the entry is wanted: it is stored, with a place for each of
	// Assigned, which name sessions that persist.
	Keep     bool
	Assigned []TopicShare

	Open   *TopicSession
	Change *TopicSessionChange
	// Count raises the number of dropped entries, all of them up to the position
	// Counted.
	Count   int64
	Counted herald.Pos
	Away    time.Time
	End     bool
	// Over restricts End to a session that had ended by then, if it is not zero.
	Over time.Time

	// What follows is set by the store.
	Err     error
	State   *TopicSessionState // after Open
	Present bool
	Ended   bool // there was a session, and it is gone
	// Will is one that became due because its session ended.
	Will  *TopicWill
	Moved []TopicMove
}

// TopicMove says how the subscriptions of a session changed.
type TopicMove struct {
	Client string
	Filter string
	All    int // 1, 0 or -1
	Stored int // of those with a QoS above 0
}

// TopicRun is one life of the server: sessions that were connected to another
// one are away since it began.
type TopicRun struct {
	ID    int64
	Began time.Time
}

// TopicQuery asks what waits for a session after a position.
type TopicQuery struct {
	App    herald.AppKey
	Client string
	After  herald.Pos
	Limit  int       // entries wanted
	Most   int       // entries that may wait; of more the newest stay
	Now    time.Time // what expires by then is left out
	Oldest time.Time // what was published before is forgotten
}

// TopicPage answers it.
type TopicPage struct {
	Entries []TopicEntry
	Upto    herald.Pos // it is complete up to here
	More    bool
	// Dropped is how many entries were passed over because too many wait, and that
	// had not been counted; Counted is the position of the last of them.
	Dropped int64
	Counted herald.Pos
}

// TopicFilter is a filter of an app with how many sessions subscribe to it.
type TopicFilter struct {
	Filter string
	All    int
	Stored int // with a QoS above 0
}

// TopicMember is a session that has a shared subscription.
type TopicMember struct {
	Filter    string // with $share/<group>/
	Client    string
	QoS       byte
	Connected bool
}

// TopicDue is a session with which something has to be done: its will is due,
// or it is over.
type TopicDue struct {
	App    herald.AppKey
	Client string
	Will   *TopicWill
	Over   bool
}

// TopicSessionFilter selects sessions for listing, by client.
type TopicSessionFilter struct {
	App   herald.AppKey
	Ord   herald.Ordinal
	Any   bool // of all devices; Ord is ignored
	After string
	Limit int
}
