package live

import (
	"bytes"
	"math"

	"github.com/herald-push/herald"
)

// plainAck reads the frame that clients send most, an acknowledgement by IDs,
// in the form that a JSON writer gives it: {"type":"ack","ids":["1","2"]}. What
// is written in another way, or is wrong, is for ParseClientFrame.
func plainAck(b []byte) []herald.MessageID {
	list, ok := bytes.CutPrefix(b, []byte(`{"type":"ack","ids":["`))
	if !ok {
		return nil
	}
	if list, ok = bytes.CutSuffix(list, []byte(`"]}`)); !ok {
		return nil
	}
	n := 1 + bytes.Count(list, []byte(`","`))
	if n > herald.MaxIDsPerCall {
		return nil
	}
	ids := make([]herald.MessageID, 0, n)
	for more := true; more; {
		var text []byte
		text, list, more = bytes.Cut(list, []byte(`","`))
		id, ok := messageID(text)
		if !ok {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}

// messageID is herald.ParseMessageID without an error, which would cost a copy
// of the text. Ten to the nineteenth is more than an int64 holds, and less than
// a uint64 does.
func messageID(text []byte) (herald.MessageID, bool) {
	if len(text) == 0 || len(text) > 19 || text[0] == '0' {
		return 0, false
	}
	v := uint64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = 10*v + uint64(c-'0')
	}
	return herald.MessageID(v), v <= math.MaxInt64
}
