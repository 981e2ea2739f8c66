package journey_test

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

func TestKilledServerLosesNothing(t *testing.T) {
	s := startServer(t)
	all := gather(t, s)
	absent := newAbsent(t, s)
	target := len(all) + 1

	var want []string
	want = append(want, s.push(t, "before", target).ID)
	all.each(t, "before", func(t *testing.T, c client) { c.tape().awaitFrame(t, "message", want[0]) })

	// Killed right after the last acceptance: deliveries are on their way.
	for range 20 {
		want = append(want, s.push(t, "in flight", target).ID)
	}
	s.kill(t)
	address := s.address(t)
	all.each(t, "notices", func(t *testing.T, c client) { gone(t, c.tape(), 0) })
	s.start(t, address)
	if got := s.address(t); got != address {
		t.Fatalf("started at %s, not at %s", got, address)
	}

	want = append(want, s.push(t, "after", target).ID)
	all.each(t, "has everything after its own reconnection", func(t *testing.T, c client) {
		for _, id := range want {
			c.tape().awaitFrame(t, "message", id)
		}
		// A receipt that was not written yet when the server died costs a
		// copy with the same ID.
		if got := unique(c.tape().messages()); !slices.Equal(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
	})
	t.Run("who was absent", func(t *testing.T) { absent.expect(t, want) })
	s.awaitCounts(t, want[1], "sent to all", func(n counts) bool { return n.Sent == n.Target })
}

func TestStopSaysGoodbye(t *testing.T) {
	s := startServer(t)
	all := gather(t, s)
	m := s.push(t, "before", len(all))
	all.each(t, "before", func(t *testing.T, c client) { c.tape().awaitFrame(t, "message", m.ID) })

	s.terminate(t)
	all.each(t, "is told when to come back", func(t *testing.T, c client) {
		if _, ok := c.(*sdk); ok {
			gone(t, c.tape(), 0) // it does as the frame says, and shows no frames
			return
		}
		e := c.tape().awaitFrame(t, "reconnect", "")
		if e.Frame.AfterMS == nil || *e.Frame.AfterMS < 0 || *e.Frame.AfterMS > 30_000 {
			t.Errorf("after_ms %v, want 0 to 30000", e.Frame.AfterMS)
		}
		// A message server that goes away is not ready any more.
		if status, _ := s.readiness(); status == http.StatusOK {
			t.Error("still ready")
		}
		if c, ok := c.(*scripted); ok && c.kind == "websocket" {
			closed := c.tape().await(t, "close", 0, func(e event) bool { return e.Event == "closed" })
			if closed.Code != 4012 {
				t.Errorf("closed with %d, want 4012", closed.Code)
			}
		}
	})
	began := time.Now()
	s.awaitExit(t)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		text, _ := s.output.now()
		t.Errorf("exit code %d after %s:\n%s", code, time.Since(began), text)
	}
}
