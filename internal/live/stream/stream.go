// Package stream carries the session protocol over a plain HTTP answer that
// does not end: one frame is one line of JSON (application/x-ndjson). It is for
// clients that read HTTP and have no EventSource: curl, scripts, back ends.
package stream

import (
	"net/http"

	"github.com/herald-push/herald/internal/live"
)

// Config configures the transport. Its zero value is the default.
type Config struct {
	// Path is where it is mounted; default /v1/live/stream.
	Path string
}

// Transport is the codec.
type Transport struct{ path string }

// New makes the transport.
func New(c Config) *Transport {
	if c.Path == "" {
		c.Path = "/v1/live/stream"
	}
	return &Transport{path: c.Path}
}

// Name is "stream".
func (t *Transport) Name() string { return "stream" }

// Path is where the transport is mounted.
func (t *Transport) Path() string { return t.path }

// Encode makes a line of a release.
func (t *Transport) Encode(r live.Release) live.Frame { return live.Line(live.ReleaseJSON(r)) }

// Publication makes a line of a publication.
func (t *Transport) Publication(p live.Publication) live.Frame {
	return live.Line(live.TopicJSON(p))
}

// Control makes a line of a control. The heartbeat is one too, so that a
// client and the proxies in between see that the stream is alive.
func (t *Transport) Control(c live.Control) live.Frame { return live.Line(live.ControlJSON(c)) }

// Upgrade begins a stream of lines.
func (t *Transport) Upgrade(hub *live.Hub, r *http.Request) (live.Response, live.Handler, error) {
	return live.Stream(hub, t, "application/x-ndjson", r)
}

// Goodbye is the last line.
func (t *Transport) Goodbye(why live.Reason) live.Frame { return live.Line(live.CloseJSON(why)) }
