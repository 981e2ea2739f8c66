package live

import (
	"bytes"
	"encoding/json"

	"github.com/herald-push/herald"
)

// readRef reads the client's own name for a frame.
func (f *ClientFrame) readRef(raw map[string]json.RawMessage) error {
	if _, ok := raw["ref"]; !ok {
		return nil
	}
	const remedy = "Write a string of 1 to 64 bytes, or leave it out."
	var ref string
	if err := text(raw, "ref", &ref); err != nil {
		return herald.Invalid("ref", remedy, "is not a string")
	}
	if ref == "" || len(ref) > maxRef {
		return herald.Invalid("ref", remedy, "has %d bytes", len(ref))
	}
	f.Ref = ref
	return nil
}

// fillTopics reads what frames about topics have.
func (f *ClientFrame) fillTopics(raw map[string]json.RawMessage) error {
	switch f.Type {
	case "subscribe", "unsubscribe":
		if err := f.readTopics(raw["topics"]); err != nil {
			return err
		}
		if err := readBool(raw, "presence", &f.Presence); err != nil {
			return err
		}
		return readBool(raw, "retained", &f.Retained)
	case "publish":
		var name string
		if err := text(raw, "topic", &name); err != nil {
			return err
		}
		if name == "" {
			return herald.Invalid("topic", "Name the topic, such as chat/7.", "is missing")
		}
		f.Topic = herald.Topic(name)
		// The bytes of the frame are not ours to keep.
		if f.Data = bytes.Clone(raw["data"]); f.Data == nil {
			return herald.Invalid("data", "Send any JSON value; null is one.", "is missing")
		}
	}
	return nil
}

func (f *ClientFrame) readTopics(raw json.RawMessage) error {
	const remedy = `Write a list of 1 to 100 names as strings, e.g. ["chat/7"].`
	if raw == nil {
		return herald.Invalid("topics", remedy, "is missing")
	}
	var list []*string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil {
		return herald.Invalid("topics", remedy, "is not a list of strings")
	}
	if len(list) == 0 || len(list) > herald.MaxTopics {
		return herald.Invalid("topics", remedy, "has %d entries", len(list))
	}
	f.Topics = make([]herald.Topic, len(list))
	for i, name := range list {
		if name == nil {
			return herald.Invalid("topics", remedy, "is not a list of strings")
		}
		f.Topics[i] = herald.Topic(*name)
	}
	return nil
}

// readBool reads a member that is true or false, if it is there.
func readBool(raw map[string]json.RawMessage, name string, to *bool) error {
	switch string(raw[name]) {
	case "true":
		*to = true
	case "", "false":
	default:
		return herald.Invalid(name, "Write true or false.", "is neither true nor false")
	}
	return nil
}
