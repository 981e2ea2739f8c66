package live

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// frameMembers gives the members of a stored body, as they stand in a frame on
// one line; nil if they cannot stand there as they are, and have to be read
// and written again. They can if the body is what [json.Marshal] makes of a
// [herald.Content], has the same notification for all devices, and nothing in
// it is escaped that needs no escape in a frame. To read and write them takes
// some ten times as long as to look.
func frameMembers(body []byte) []byte {
	const notification, data = `{"notification":{`, `{"data":`
	rest := ""
	switch {
	case bytes.HasPrefix(body, []byte(notification)):
		rest = `"data":`
	case !bytes.HasPrefix(body, []byte(data)):
		return nil
	}
	if bytes.Contains(body, []byte(`"platforms"`)) || bytes.Contains(body, []byte(`"languages"`)) || bytes.Contains(body, []byte(`\u`)) || !json.Valid(body) {
		return nil
	}
	depth := 0
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			for i++; body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		case c <= ' ':
			return nil // not compact
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 1:
			if rest == "" || !bytes.HasPrefix(body[i+1:], []byte(rest)) {
				return nil
			}
			rest = ""
		}
	}
	return body[1 : len(body)-1]
}

// messageLine is ReleaseJSON for a message whose members are as they are
// stored.
func messageLine(b []byte, r Release) []byte {
	const others = 180 // bytes of the members below, without what is counted
	m := r.Msg
	b = slices.Grow(b, others+len(r.Cursor)+len(m.CollapseKey)+len(r.members))
	b = append(b, `{"type":"message","id":"`...)
	b = strconv.AppendInt(b, int64(m.ID), 10)
	b = append(b, '"')
	if r.Cursor != "" {
		b = appendText(append(b, `,"cursor":`...), r.Cursor)
	}
	b = m.Due.UTC().AppendFormat(append(b, `,"time":"`...), timeFormat)
	b = m.Expires().UTC().AppendFormat(append(b, `","expires":"`...), timeFormat)
	b = append(b, `","priority":`...)
	if m.Priority == "" {
		b = appendText(b, string(herald.PriorityNormal))
	} else {
		b = appendText(b, string(m.Priority))
	}
	b = append(append(b, ','), r.members...)
	if m.CollapseKey != "" {
		b = appendText(append(b, `,"collapse_key":`...), m.CollapseKey)
	}
	return append(b, '}')
}

// welcomeLine is ControlJSON for what every connection is sent.
func welcomeLine(c Control) []byte {
	b := make([]byte, 0, 160+len(c.Token))
	b = appendText(append(b, `{"type":"welcome","session":`...), c.Session)
	b = appendText(append(b, `,"registration_id":`...), string(c.Device))
	b = strconv.AppendInt(append(b, `,"heartbeat":`...), int64(c.Heartbeat/time.Second), 10)
	b = strconv.AppendInt(append(b, `,"timeout":`...), int64(c.Timeout/time.Second), 10)
	if c.Token != "" {
		b = appendText(append(b, `,"token":`...), c.Token)
	}
	return append(b, '}')
}

// appendText writes a string as JSON, as line does.
func appendText(b []byte, s string) []byte {
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		return append(b, line(s)...)
	}
	return append(append(append(b, '"'), s...), '"')
}
