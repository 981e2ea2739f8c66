//go:build !planted

package live

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// send queues the frame of a release on the connection.
func (s *Session) send(f Frame, kind record.ReleaseKind, id herald.MessageID, pos herald.Pos) error {
	return sendOn(s.conn, f, kind, id, pos)
}

// whose says whose devices a release is for: those of its app.
func (h *Hub) whose(app herald.AppKey) herald.AppKey { return app }

// listeners says whose sessions hear a publication: those of its app.
func (h *Hub) listeners(app herald.AppKey) herald.AppKey { return app }
