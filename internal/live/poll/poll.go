// Package poll carries the session protocol over plain HTTP requests, for where
// nothing else gets through: long polling, and short polling with a wait of 0.
// An answer has frames and a cursor; the next request brings the cursor back,
// which acknowledges them.
package poll

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// MaxWait is the longest that a request may be held.
const MaxWait = 60 * time.Second

// Config configures the transport. Its zero value is the default.
type Config struct {
	// Path is where it is mounted; default /v1/live/poll.
	Path string
}

// Transport is the codec.
type Transport struct{ path string }

// New makes the transport.
func New(c Config) *Transport {
	if c.Path == "" {
		c.Path = "/v1/live/poll"
	}
	return &Transport{path: c.Path}
}

// Name is "poll".
func (t *Transport) Name() string { return "poll" }

// Path is where the transport is mounted.
func (t *Transport) Path() string { return t.path }

// Encode makes a member of the list of frames.
func (t *Transport) Encode(r live.Release) live.Frame { return live.ReleaseJSON(r) }

// Publication makes a member of the list of frames.
func (t *Transport) Publication(p live.Publication) live.Frame { return live.TopicJSON(p) }

// Control makes a welcome where the client has to replace its token, presence
// for who asked for it, and nothing else: an answer that comes is all the life
// that a poll needs.
func (t *Transport) Control(c live.Control) live.Frame {
	if c.Kind == live.Welcome && c.Token != "" || c.Kind == live.Presence {
		return live.ControlJSON(c)
	}
	return nil
}

// Wait reads ?wait=, whole seconds from 0 (the default) to 60.
func (t *Transport) Wait(query url.Values) (time.Duration, error) {
	text := query.Get("wait")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	if wait := time.Duration(n) * time.Second; err == nil && wait <= MaxWait {
		return wait, nil
	}
	return 0, herald.Invalid("wait", "Write whole seconds, from 0 to 60.", "%.20q is not a time to wait", text)
}

// Answer makes the body.
func (t *Transport) Answer(frames []live.Frame, cursor, since string) (contentType string, body []byte) {
	var b bytes.Buffer
	b.WriteString(`{"frames":[`)
	for i, f := range frames {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(f)
	}
	b.WriteByte(']')
	text(&b, "cursor", cursor)
	if since != "" {
		text(&b, "since", since)
	}
	b.WriteString("}\n")
	return "application/json", b.Bytes()
}

// text writes a member that is a string.
func text(b *bytes.Buffer, name, value string) {
	quoted, _ := json.Marshal(value) // a string can always be written
	b.WriteString(`,"` + name + `":`)
	b.Write(quoted)
}
