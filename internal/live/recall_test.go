package live_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

// A message is withdrawn after a session has read it from its backlog and
// before the session has sent it.
func TestRecallStopsWhatWasReadAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		m := w.Join(herald.PlatformWeb)
		hub := start(t, w, w)
		back := w.Accept(livetest.Send{Content: livetest.Text("back"), To: []livetest.Member{m}})
		stays := w.Accept(livetest.Send{Content: livetest.Text("stays"), To: []livetest.Member{m}})
		w.Meanwhile(func() { hub.Recall(back.App, back.Msg.ID) }) // between reading and sending
		c := &sink{room: 100}
		if err := hub.Attach(&lines{}, c, false).Hello(live.Hello{Token: m.Token}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		frames, _ := c.got()
		got := strings.Join(frames, "")
		if strings.Contains(got, `"back"`) || !strings.Contains(got, `"stays"`) {
			t.Errorf("the session was sent %s", got)
		}
		if w.Sent(back.Msg.ID, m) || !w.Sent(stays.Msg.ID, m) {
			t.Error("what was reported as sent is not what was sent")
		}
		c = &sink{room: 100}
		if err := hub.Attach(&lines{}, c, false).Hello(live.Hello{Token: m.Token}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if frames, _ := c.got(); strings.Contains(strings.Join(frames, ""), `"back"`) {
			t.Error("it was sent to a session that came later")
		}
	})
}
