package record

import "github.com/herald-push/herald"

// RetainedOp puts an entry in place of the one that is kept of its topic or,
// with a TopicEntry that has no content, takes that away.
type RetainedOp struct {
	App   herald.AppKey
	Entry *TopicEntry
	// Err is set by the store: why it was refused, as a *herald.Error.
	Err error
}

// Empty reports whether an entry has no content: neither a JSON value nor a
// payload of at least one byte. To retain such a one takes the last away (MQTT
// 5.0 section 3.3.1.3).
func (e *TopicEntry) Empty() bool { return e.Data == nil && len(e.Payload) == 0 }
