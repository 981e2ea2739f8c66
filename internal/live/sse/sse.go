// Package sse carries the session protocol over Server-Sent Events (HTML
// Living Standard, section 9.2), so that a browser's EventSource receives
// messages with no library. The id of an event is its cursor, and the
// Last-Event-ID of the next request acknowledges everything up to it.
package sse

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/herald-push/herald/internal/live"
)

// Config configures the transport. Its zero value is the default.
type Config struct {
	// Path is where it is mounted; default /v1/live/sse.
	Path string
	// Retry bounds the random time, from 1 s up, after which a browser that
	// has lost its connection comes back; default 5 s.
	Retry time.Duration
}

// Transport is the codec.
type Transport struct {
	path  string
	retry time.Duration
}

// New makes the transport.
func New(c Config) *Transport {
	if c.Path == "" {
		c.Path = "/v1/live/sse"
	}
	if c.Retry <= 0 {
		c.Retry = 5 * time.Second
	}
	return &Transport{path: c.Path, retry: c.Retry}
}

// Name is "sse".
func (t *Transport) Name() string { return "sse" }

// Path is where the transport is mounted.
func (t *Transport) Path() string { return t.path }

// Encode makes an event. A message is one without a name, for onmessage. What
// has no cursor has no id, which leaves the browser's last one as it is.
func (t *Transport) Encode(r live.Release) live.Frame {
	name := live.ReleaseType(r.Kind)
	if name == "message" {
		name = ""
	}
	return event(0, name, r.Cursor, live.ReleaseJSON(r))
}

// Publication makes an event named topic. It has no id: nothing acknowledges it.
func (t *Transport) Publication(p live.Publication) live.Frame {
	return event(0, "topic", "", live.TopicJSON(p))
}

// pingFrame is a comment, which keeps proxies from closing an idle stream.
var pingFrame = live.Frame(": ping\n\n")

// Control makes an event named like the frame's type. Those that answer what
// a client sends have no use here. They have no id: none of them is an
// acknowledgement of messages.
func (t *Transport) Control(c live.Control) live.Frame {
	switch c.Kind {
	case live.Ping:
		return pingFrame
	case live.Welcome:
		return event(t.spread(), string(c.Kind), "", live.ControlJSON(c))
	case live.Reconnect:
		return event(c.After, string(c.Kind), "", live.ControlJSON(c))
	case live.Problem, live.Subscribed, live.Presence:
		return event(0, string(c.Kind), "", live.ControlJSON(c))
	}
	return nil
}

// spread draws a time to come back, so that many do not return at once.
func (t *Transport) spread() time.Duration {
	if t.retry <= time.Second {
		return t.retry
	}
	return time.Second + rand.N(t.retry-time.Second)
}

// event writes one event; JSON on one line needs one data field.
func event(retry time.Duration, name, id string, data []byte) live.Frame {
	b := make([]byte, 0, len(data)+len(id)+64)
	if retry > 0 {
		b = fmt.Appendf(b, "retry: %d\n", retry.Milliseconds())
	}
	if name != "" {
		b = fmt.Appendf(b, "event: %s\n", name)
	}
	if id != "" {
		b = fmt.Appendf(b, "id: %s\n", id)
	}
	return fmt.Appendf(b, "data: %s\n\n", data)
}

// Upgrade begins a stream of events.
func (t *Transport) Upgrade(hub *live.Hub, r *http.Request) (live.Response, live.Handler, error) {
	return live.Stream(hub, t, "text/event-stream", r)
}

// Goodbye is a comment for who looks at the stream. A browser comes back
// whatever it says; one whose device has too many sessions should do so late.
func (t *Transport) Goodbye(why live.Reason) live.Frame {
	b := live.Frame{}
	if why.Code == live.CloseReplaced {
		b = fmt.Appendf(b, "retry: %d\n", (30 * time.Second).Milliseconds())
	}
	return fmt.Appendf(b, ": closed %d\n\n", why.Code)
}
