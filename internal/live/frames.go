package live

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// timeFormat is RFC 3339 in UTC with milliseconds.
const timeFormat = "2006-01-02T15:04:05.000Z"

type messageFrame struct {
	Type         string               `json:"type"`
	ID           herald.MessageID     `json:"id"`
	Cursor       string               `json:"cursor,omitempty"`
	Time         string               `json:"time"`
	Expires      string               `json:"expires"`
	Priority     herald.Priority      `json:"priority"`
	Notification *herald.Notification `json:"notification,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
	CollapseKey  string               `json:"collapse_key,omitempty"`
}

type withdrawFrame struct {
	Type   string           `json:"type"`
	ID     herald.MessageID `json:"id"`
	Cursor string           `json:"cursor,omitempty"`
}

type errorFrame struct {
	Type   string      `json:"type"`
	Code   herald.Code `json:"code"`
	Detail string      `json:"detail"`
	Remedy string      `json:"remedy"`
	Field  string      `json:"field,omitempty"`
	Ref    string      `json:"ref,omitempty"`
}

type presenceFrame struct {
	Type    ControlKind  `json:"type"`
	Topic   herald.Topic `json:"topic"`
	Devices int          `json:"devices"`
}

// answerFrame is subscribed, unsubscribed or published.
type answerFrame struct {
	Type   ControlKind    `json:"type"`
	Topics []herald.Topic `json:"topics,omitempty"`
	Ref    string         `json:"ref,omitempty"`
}

type reconnectFrame struct {
	Type    string `json:"type"`
	AfterMS int64  `json:"after_ms"`
}

type closeFrame struct {
	Type   string `json:"type"`
	Code   int    `json:"code"`
	Detail string `json:"detail,omitempty"`
}

type bareFrame struct {
	Type ControlKind `json:"type"`
}

// ReleaseType is the type of the frame that [ReleaseJSON] writes.
func ReleaseType(k record.ReleaseKind) string {
	if k == record.ReleaseWithdraw {
		return "withdraw"
	}
	return "message"
}

// ReleaseJSON writes a release as a frame of the session protocol, on one line.
func ReleaseJSON(r Release) []byte { return AppendReleaseJSON(nil, r) }

// AppendReleaseJSON is ReleaseJSON after what stands before it.
func AppendReleaseJSON(b []byte, r Release) []byte {
	m := r.Msg
	if r.Kind == record.ReleaseWithdraw {
		return append(b, line(withdrawFrame{Type: ReleaseType(r.Kind), ID: m.ID, Cursor: r.Cursor})...)
	}
	if r.members != nil {
		return messageLine(b, r)
	}
	f := messageFrame{
		Type: ReleaseType(r.Kind), ID: m.ID, Cursor: r.Cursor,
		Time: stamp(m.Due), Expires: stamp(m.Expires()), Priority: m.Priority,
		Notification: r.Content.Notification, Data: r.Content.Data, CollapseKey: m.CollapseKey,
	}
	if f.Priority == "" {
		f.Priority = herald.PriorityNormal
	}
	return append(b, line(f)...)
}

// ControlJSON writes what the server says about a session, on one line.
func ControlJSON(c Control) []byte {
	switch c.Kind {
	case Welcome:
		return welcomeLine(c)
	case Problem:
		return line(errorFrame{Type: string(c.Kind), Code: c.Err.Code, Detail: c.Err.Message, Remedy: c.Err.Remedy, Field: c.Err.Field, Ref: c.Ref})
	case Reconnect:
		return line(reconnectFrame{Type: string(c.Kind), AfterMS: c.After.Milliseconds()})
	case Subscribed, Unsubscribed, Published:
		return line(answerFrame{Type: c.Kind, Topics: c.Topics, Ref: c.Ref})
	case Presence:
		return line(presenceFrame{Type: c.Kind, Topic: c.Topics[0], Devices: c.Devices})
	}
	return line(bareFrame{c.Kind})
}

// CloseJSON writes why a connection ends, on one line, for the protocols that
// have no close codes of their own.
func CloseJSON(why Reason) []byte {
	return line(closeFrame{Type: "close", Code: why.Code, Detail: why.Text})
}

// Line ends what the functions above wrote, for protocols in which a frame is
// a line.
func Line(b []byte) Frame { return append(b, '\n') }

// line writes JSON without a line break and without the escapes that only
// HTML needs. What it is given can always be written, except data that is not
// JSON, which was refused when the message was accepted: nil then.
func line(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func stamp(t time.Time) string { return t.UTC().Format(timeFormat) }
