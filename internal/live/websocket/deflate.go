package websocket

import (
	"net/http"

	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire"
)

// deflated is the transport of those sessions with which permessage-deflate
// was agreed. It has the same name, because to who reads a receipt it is the
// same protocol; but it is another transport to the hub, so that each message
// is compressed once and the frame is shared by these sessions.
//
// Only what may be long is compressed: what the server says about a session
// itself (welcome, ping and the like) goes out as it is.
type deflated struct {
	*Transport
	deflater *wire.Deflater
}

// Encode makes a compressed text message of a release.
func (d *deflated) Encode(r live.Release) live.Frame {
	return d.deflater.AppendFrame(nil, wire.Text, live.ReleaseJSON(r))
}

// Publication makes a compressed text message of a publication.
func (d *deflated) Publication(p live.Publication) live.Frame {
	return d.deflater.AppendFrame(nil, wire.Text, live.TopicJSON(p))
}

// compression gives the answer to what a client offered, "" for none. To
// decompress costs more than to send, so it is done for devices only: who has
// no good token in the request itself (but will say hello, or be refused with
// a close code) goes on without.
func (t *Transport) compression(hub *live.Hub, r *http.Request, token string, offers []wire.Extension) string {
	if t.deflated == nil || token == "" {
		return ""
	}
	answer := wire.AcceptDeflate(offers)
	if answer == "" {
		return ""
	}
	if _, err := hub.Check(r.Context(), live.Hello{Token: token}); err != nil {
		return ""
	}
	return answer
}
