//go:build planted

package live

import (
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
)

// held are frames that the defect "disorder" sends after the next one.
var held sync.Map // of *Session to Frame

// send queues a frame on the connection, but for a defect that is planted.
func (s *Session) send(f Frame) error {
	switch {
	case faults.PlantedIn("drops_frames", f):
		return nil
	case faults.Planted("sends_twice"):
		_ = s.conn.Send(f)
	case faults.Planted("leaks_goroutines"):
		go func() { select {} }()
	case faults.PlantedIn("disorder", f):
		held.Store(s, f)
		return nil
	}
	err := s.conn.Send(f)
	if late, ok := held.LoadAndDelete(s); ok {
		return s.conn.Send(late.(Frame))
	}
	return err
}

// whose says whose devices a release is for, which is sometimes wrong.
func (h *Hub) whose(app herald.AppKey) herald.AppKey {
	if !faults.Planted("other_app") {
		return app
	}
	h.apps.mu.RLock()
	defer h.apps.mu.RUnlock()
	for key := range h.apps.of {
		if key != app {
			return key
		}
	}
	return app
}
