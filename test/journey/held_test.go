package journey_test

import (
	"net/http"
	"slices"
	"testing"
)

// pushBy is push by a route.
func (s *server) pushBy(t *testing.T, title string, steps ...object) sent {
	t.Helper()
	return expect[sent](t, s.call(t, "POST", "/v1/messages", s.basic(), object{
		"audience": "all", "notification": object{"title": title, "body": "for all"}, "route": object{"steps": steps},
	}), http.StatusAccepted)
}

// TestRouteKeepsFromConnections: what a route keeps from connections comes to
// every client in its turn, also to those who come back meanwhile, once and
// without loss; and not at all where the route has no live step.
func TestRouteKeepsFromConnections(t *testing.T) {
	s := startServer(t)
	all := gather(t, s)

	never := s.pushBy(t, "never", object{"channel": "vendor"})
	later := s.pushBy(t, "later", object{"channel": "live", "after": "6s"})
	want := []string{s.push(t, "at once", len(all)).ID, later.ID}
	all.each(t, "in its turn", func(t *testing.T, c client) { c.tape().awaitFrame(t, "message", later.ID) })

	all.each(t, "away", func(t *testing.T, c client) { c.away(t) })
	soon := s.pushBy(t, "soon", object{"channel": "live", "after": "5s"})
	want = append(want, s.push(t, "before it", len(all)).ID, soon.ID)
	all.each(t, "back", func(t *testing.T, c client) {
		c.back(t)
		c.tape().awaitFrame(t, "message", soon.ID)
	})
	want = append(want, s.push(t, "after", len(all)).ID)
	all.each(t, "in order and once", func(t *testing.T, c client) {
		c.tape().awaitFrame(t, "message", want[4])
		if got := c.tape().messages(); !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
	})
	s.awaitCounts(t, later.ID, "received by all", func(n counts) bool { return n.Received == n.Target })
	s.awaitCounts(t, never.ID, "sent to nobody", func(n counts) bool { return n.Sent == 0 && n.Target == int64(len(all)) })
}
