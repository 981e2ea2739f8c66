package journey_test

import (
	"strings"
	"testing"
)

// TestALongMessageArrivesWhole: over WebSocket it goes out compressed to the
// browser and to npm ws, which compress what they answer too.
func TestALongMessageArrivesWhole(t *testing.T) {
	s := startServer(t)
	all := gather(t, s)
	for _, title := range []string{strings.Repeat("all in one line, ", 100), strings.Repeat("and once more, ", 100)} {
		m := s.push(t, title, len(all))
		all.each(t, "receives", func(t *testing.T, c client) {
			if e := c.tape().awaitFrame(t, "message", m.ID); e.Frame.Notification.Title != title {
				t.Errorf("title %.60q of %d bytes", e.Frame.Notification.Title, len(e.Frame.Notification.Title))
			}
		})
		acknowledging := int64(0)
		for _, c := range all {
			if !c.resumes() {
				acknowledging++
			}
		}
		s.awaitCounts(t, m.ID, "received by those who acknowledge", func(n counts) bool { return n.Received >= acknowledging })
	}
}
