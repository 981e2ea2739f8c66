package live_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

// TestFramesAroundTheWelcome: one that comes when the session is open, and
// those from before have not had their turn, comes after them.
func TestFramesAroundTheWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		world := livetest.NewWorld()
		m := world.Join(herald.PlatformLinux)
		hub := live.NewHub(live.Options{Directory: world, Backlog: world, Receipts: world})
		conn := &sink{room: 10}
		s := hub.Attach(&lines{}, conn, false)
		if err := s.Hello(live.Hello{Token: m.Token}); err != nil {
			t.Fatal(err)
		}
		s.Receive([]byte(`{"type":"subscribe","topics":["a"],"ref":"first"}`)) // held: the hub does not run yet
		world.Meanwhile(func() {                                               // welcomed, while the backlog is read
			s.Receive([]byte(`{"type":"unsubscribe","topics":["a"],"ref":"second"}`))
		})
		done := make(chan error, 1)
		go func() { done <- hub.Run(context.Background()) }()
		synctest.Wait()
		s.Receive([]byte(`{"type":"shout","ref":"third"}`))
		frames, _ := conn.got()
		all := strings.Join(frames, "")
		if len(frames) != 4 || !strings.Contains(frames[1], `"first"`) || !strings.Contains(frames[2], `"second"`) || !strings.Contains(frames[3], `"third"`) {
			t.Fatalf("answered with %s", all)
		}
		s.Closed()
		hub.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
