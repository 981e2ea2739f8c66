//go:build !planted

package live

import "github.com/herald-push/herald"

// send queues a frame on the connection.
func (s *Session) send(f Frame) error { return s.conn.Send(f) }

// whose says whose devices a release is for: those of its app.
func (h *Hub) whose(app herald.AppKey) herald.AppKey { return app }
