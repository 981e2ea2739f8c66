package journey_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// atOnce is how long a message to connected clients may take on a busy test
// machine; an idle one needs some milliseconds. It is less than the time between
// two heartbeats: nothing but the push itself makes the message arrive.
const atOnce = 40 * time.Second

func TestAPushReachesEveryClientAtOnce(t *testing.T) {
	s := startServer(t)
	all := gather(t, s)

	began := time.Now()
	m := s.push(t, "Hello", len(all))
	all.each(t, "receives", func(t *testing.T, c client) {
		e := c.tape().awaitFrame(t, "message", m.ID)
		if took := e.at.Sub(began); took > atOnce {
			t.Errorf("after %s, more than %s", took, atOnce)
		}
		if e.Frame.Notification.Title != "Hello" {
			t.Errorf("title %q", e.Frame.Notification.Title)
		}
	})

	// Clients that acknowledge count as received now, a plain EventSource when
	// it comes back with the cursor.
	acknowledging := 0
	for _, c := range all {
		if !c.resumes() {
			acknowledging++
		}
	}
	s.awaitCounts(t, m.ID, "sent to all and received by those who acknowledge", func(n counts) bool {
		return n.Target == int64(len(all)) && n.Sent == n.Target && n.Received == int64(acknowledging)
	})
	all.each(t, "resumes", func(t *testing.T, c client) {
		if c.resumes() {
			c.away(t)
			c.back(t)
		}
	})
	s.awaitCounts(t, m.ID, "received by all", func(n counts) bool { return n.Received == n.Target })
	all.each(t, "once", func(t *testing.T, c client) {
		if got := c.tape().messages(); len(got) != 1 {
			t.Errorf("received %v, want one message", got)
		}
	})
}

func TestAwayAndBack(t *testing.T) {
	s := startServer(t)
	all := gather(t, s)

	first := s.push(t, "before", len(all))
	all.each(t, "before", func(t *testing.T, c client) { c.tape().awaitFrame(t, "message", first.ID) })
	want := []string{first.ID}

	all.each(t, "away", func(t *testing.T, c client) { c.away(t) })
	for _, title := range []string{"one", "two", "three"} {
		want = append(want, s.push(t, title, len(all)).ID)
	}
	all.each(t, "back", func(t *testing.T, c client) {
		c.back(t)
		c.tape().awaitFrame(t, "message", want[3])
	})

	// What comes after the last one shows that nothing came twice before it.
	want = append(want, s.push(t, "after", len(all)).ID)
	all.each(t, "in order and once", func(t *testing.T, c client) {
		c.tape().awaitFrame(t, "message", want[4])
		if got := c.tape().messages(); !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
	})
	s.awaitCounts(t, want[2], "sent to all", func(n counts) bool { return n.Sent == n.Target })
}

func TestWithdrawn(t *testing.T) {
	s := startServer(t)
	all := gather(t, s)
	withdraw := func(id string) {
		view := expect[struct{ State string }](t, s.call(t, "DELETE", "/v1/messages/"+id, s.basic(), nil), http.StatusOK)
		if view.State != "withdrawn" {
			t.Errorf("state %s after withdrawing", view.State)
		}
	}

	shown := s.push(t, "shown", len(all))
	all.each(t, "has it", func(t *testing.T, c client) { c.tape().awaitFrame(t, "message", shown.ID) })
	withdraw(shown.ID)
	all.each(t, "is told", func(t *testing.T, c client) { c.tape().awaitFrame(t, "withdraw", shown.ID) })

	all.each(t, "away", func(t *testing.T, c client) { c.away(t) })
	s.awaitOnline(t, 0) // what is sent on a connection that is ending is unconfirmed, not withdrawn
	never := s.push(t, "never", len(all))
	withdraw(never.ID)
	last := s.push(t, "last", len(all))
	all.each(t, "never gets it", func(t *testing.T, c client) {
		c.back(t)
		c.tape().awaitFrame(t, "message", last.ID)
		if got := c.tape().messages(); slices.Contains(got, never.ID) {
			t.Errorf("received the withdrawn message %s: %v", never.ID, got)
		}
	})
	s.awaitCounts(t, never.ID, "withdrawn everywhere", func(n counts) bool {
		return n.States["withdrawn"] == n.Target && n.Sent == 0
	})
}
