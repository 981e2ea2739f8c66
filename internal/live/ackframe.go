package live

import (
	"bytes"

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
		id, err := herald.ParseMessageID(string(text)) // digits, and nothing else
		if err != nil {
			return nil
		}
		ids = append(ids, id)
	}
	return ids
}
