package live_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

// timed gives tokens that begin with "brief-" an hour.
type timed struct{ *livetest.World }

func (d timed) Authenticate(ctx context.Context, token string) (live.Device, string, error) {
	token, brief := strings.CutPrefix(token, "brief-")
	dev, fresh, err := d.World.Authenticate(ctx, token)
	if brief {
		dev.Until = time.Now().Add(time.Hour)
	}
	return dev, fresh, err
}

// TestTokenExpires: a session ends when its token does, unless it was given
// another one meanwhile; others stay.
func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := livetest.NewWorld()
		hub := run(t, live.Options{Directory: timed{w}, Backlog: w, Receipts: w})
		open := func(token string) (*live.Session, *sink) {
			c := &sink{room: 1 << 20}
			s := hub.Attach(&lines{}, c, true)
			if err := s.Hello(live.Hello{Token: token}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return s, c
		}
		m := w.Join(herald.PlatformWeb)
		_, lasting := open(m.Token)
		_, brief := open("brief-" + m.Token)
		renewed, other := open("brief-" + m.Token)
		gone, _ := open("brief-" + m.Token)
		gone.Closed()
		code := func(c *sink) int {
			synctest.Wait()
			_, code := c.got()
			return code
		}
		time.Sleep(59 * time.Minute)
		if code(brief) != 0 {
			t.Error("closed before its time")
		}
		if err := renewed.Renew(t.Context(), "brief-"+m.Token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if code(brief) != live.CloseBadToken || code(other) != 0 || code(lasting) != 0 {
			t.Errorf("after the hour: %d, renewed %d, for ever %d", code(brief), code(other), code(lasting))
		}
		if err := renewed.Renew(t.Context(), m.Token); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if code(other) != 0 || code(lasting) != 0 {
			t.Errorf("with a token that does not expire: %d", code(other))
		}
	})
}
