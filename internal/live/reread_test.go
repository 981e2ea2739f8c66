package live_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/record"
)

// A release was not offered to those who are connected. They have it before
// anything that comes after it, although the backlog cannot be read for a while.
func TestReread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		hub := start(t, w, w)
		m, other := w.Join(herald.PlatformWeb), w.Join(herald.PlatformWeb)
		c, o := &sink{room: 100}, &sink{room: 100}
		_ = hub.Attach(&lines{}, c, false).Hello(live.Hello{Token: m.Token})
		_ = hub.Attach(&lines{}, o, false).Hello(live.Hello{Token: other.Token})
		synctest.Wait()
		hub.Reread("nobody", 1)
		send := func(text string) record.Handover {
			return w.Accept(livetest.Send{Content: livetest.Text(text), To: []livetest.Member{m}})
		}
		want := func(sink *sink, texts ...string) {
			t.Helper()
			frames, _ := sink.got()
			if len(frames) != len(texts)+1 {
				t.Fatalf("got %q, want a welcome and %q", frames, texts)
			}
			for i, text := range texts {
				if !strings.Contains(frames[i+1], text) {
					t.Errorf("frame %d is %s, want %s", i+1, frames[i+1], text)
				}
			}
		}
		missed, next := send("missed"), send("next")
		w.Fail(errors.New("the database is away"))
		hub.Reread(missed.App, missed.Pos)
		synctest.Wait()
		if took, err := hub.Deliver(t.Context(), next); err != nil || took.Len() != 1 {
			t.Errorf("the next is taken by %v, %v", took.Ordinals(), err)
		}
		want(c)
		w.Fail(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		want(c, "missed", "next")
		hub.Reread(missed.App, missed.Pos) // it has it
		last := send("last")
		if _, err := hub.Deliver(t.Context(), last); err != nil || !w.Sent(last.Msg.ID, m) {
			t.Errorf("a session does not go on: %v", err)
		}
		want(c, "missed", "next", "last")
		want(o)
	})
}
