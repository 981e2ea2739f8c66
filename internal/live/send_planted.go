//go:build planted

package live

import (
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

// held are frames that the defect "disorder" sends after the next one.
var held sync.Map // of *Session to func() error

// send queues the frame of a release on the connection, but for a defect that is
// planted.
func (s *Session) send(f Frame, kind record.ReleaseKind, id herald.MessageID, pos herald.Pos) error {
	one := func() error { return sendOn(s.conn, f, kind, id, pos) }
	switch {
	case faults.PlantedIn("drops_frames", f):
		return nil
	case faults.Planted("sends_twice"):
		_ = one()
	case faults.Planted("leaks_goroutines"):
		go func() { select {} }()
	case faults.PlantedIn("disorder", f):
		held.Store(s, one)
		return nil
	}
	err := one()
	if late, ok := held.LoadAndDelete(s); ok {
		return late.(func() error)()
	}
	return err
}

// whose says whose devices a release is for, which is sometimes wrong.
func (h *Hub) whose(app herald.AppKey) herald.AppKey { return h.mistaken("other_app", app) }

// listeners says whose sessions hear a publication, which is sometimes wrong.
func (h *Hub) listeners(app herald.AppKey) herald.AppKey { return h.mistaken("other_listeners", app) }

// mistaken gives another app when a defect acts.
func (h *Hub) mistaken(bug string, app herald.AppKey) herald.AppKey {
	if !faults.Planted(bug) {
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
