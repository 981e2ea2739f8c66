package record

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// TopicEntry is one publication in the topic log of an app (RECORD rule 18):
// stored because a session that persists subscribes to it, without a target
// and without receipts.
type TopicEntry struct {
	// Pos is taken when the entry is stored. It is 0 of one that was not stored
	// after all, because no session that persists wants it.
	Pos     herald.Pos
	Topic   herald.Topic
	From    herald.RegistrationID // the device that published; "" for an app server
	Client  string                // client ID of the session that published; "" if it has none
	QoS     byte                  // 1 or 2
	Retain  bool                  // as published
	Time    time.Time
	Expires time.Time       // zero: when the log forgets it
	Data    json.RawMessage `json:",omitempty"` // a JSON value, if it was published as one
	Payload []byte          // the bytes as they came over MQTT; nil if there is Data
	Props   *TopicProps     // nil: none
	// Shares says for each shared group with a matching filter who got it. Groups
	// that are missing, or have no Client, get one of their sessions that persist
	// when the entry is stored.
	Shares []TopicShare

	// In is the packet ID with which a session that persists published it with QoS
	// 2. It joins the session's state in the commit of the entry, also if the entry
	// itself is wanted by nobody. 0: none. It is not stored with the entry.
	In uint16
	// Filters are those filters of the session that match, as Read found them. They
	// are not stored with the entry.
	Filters []string
}

// TopicProps are the properties of a publication that reach its subscribers as
// they are (MQTT 5.0 section 3.3.2.3).
type TopicProps struct {
	PayloadFormat   *byte
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            []TopicPair
}

// TopicPair is a user property.
type TopicPair struct{ Name, Value string }

// TopicShare says which session of a shared group got an entry.
type TopicShare struct {
	Group  string
	Filter string // without $share/<group>/
	Client string
}

// TopicSession is a session that may outlive its connection, as it is opened.
type TopicSession struct {
	App    herald.AppKey
	Client string
	Device herald.RegistrationID
	Ord    herald.Ordinal
	// Clean ends what there was of the client before.
	Clean bool
	// Expiry is how many seconds it lives without a connection; with 0 it ends
	// with its connection. A session that is opened clean with 0 leaves nothing in
	// the record.
	Expiry  uint32
	Version byte // protocol level of the client: 3, 4 or 5
}

// TopicSessionState is what the record knows of a session.
type TopicSessionState struct {
	TopicSession
	// Read is the position up to which everything for the session is done, but for
	// what Released names.
	Read herald.Pos
	// Released are entries of QoS 2 whose PUBREC came: PUBREL has to be sent again.
	Released []herald.Pos
	// Done are entries after Read that need not be sent any more.
	Done []herald.Pos
	// Unsent is the position from which on no entry was sent on an earlier
	// connection; 0 if that is not known, because the server ended before it.
	Unsent herald.Pos
	// In are the packet IDs of publications of QoS 2 by the client that were taken
	// and whose PUBREL has not come.
	In []uint16
	// Subs are the subscriptions, by filter.
	Subs []TopicSub
	Will *TopicWill
	// Dropped is how many entries were passed over because too many waited.
	Dropped int64
	// Ends is when it ends if its client stays away; zero while it is connected.
	// From Open it is when it would have ended with the new expiry: Expiry before
	// it the connection was gone.
	Ends time.Time
}

// TopicSub is a subscription of a session.
type TopicSub struct {
	Filter            string // with $share/<group>/ if it is shared
	QoS               byte
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte
	ID                uint32 // subscription identifier; 0: none
	// Since is the position after which it gets entries. It is set by the record.
	Since herald.Pos
}

// TopicWill is what is published when the client of a session is gone without
// a word.
type TopicWill struct {
	Entry TopicEntry
	Delay uint32 // seconds
	// Expiry is for how many seconds it may be delivered after it was published; 0:
	// without end. Time and Expires of the entry are set when it is published.
	Expiry uint32
}

// TopicSessionChange changes a session. What is zero stays as it is.
type TopicSessionChange struct {
	Subscribe   []TopicSub // a filter that is there keeps its Since
	Unsubscribe []string
	In          []uint16     // QoS 2 of the client: taken (without an entry; see TopicEntry.In)
	InDone      []uint16     // PUBREL came
	Released    []herald.Pos // PUBREC came
	Done        []herald.Pos // PUBACK or PUBCOMP came, or it need not be sent
	Read        herald.Pos   // everything up to it is done; it never goes back
	Unsent      herald.Pos   // nothing from it on was sent; said when a connection ends
	Expiry      *uint32
	Will        *TopicWill
	NoWill      bool // there is no will any more
	// Lazy says that it need not be durable at once: it is joined with the next
	// change of the session, or written within a second. Its callback is called
	// then.
	Lazy bool
}

// SharedFilter takes the filter of a shared subscription apart (MQTT 5.0 section
// 4.8.2): $share/<group>/<filter>.
func SharedFilter(filter string) (group, inner string, shared bool) {
	rest, shared := strings.CutPrefix(filter, "$share/")
	if !shared {
		return "", filter, false
	}
	group, inner, _ = strings.Cut(rest, "/")
	return group, inner, true
}
