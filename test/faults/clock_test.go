package faults_test

import (
	"net/http"
	"testing"

	"github.com/herald-push/herald"
)

// TestClock lets a server wake up later: what was promised for hours and weeks
// is kept then too.
func TestClock(t *testing.T) {
	t.Parallel()
	n := newNode(t, planted(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 3})
	sent, waiting, other := w.list(0)[0], w.list(0)[1], w.list(1)[0]
	hour := w.pushTo(t, sent)     // of a day's TTL, sent and not acknowledged
	later := w.pushTo(t, waiting) // never sent
	kept := w.pushTo(t, other)
	w.acknowledgeAll(t, other, kept)
	l, err := dial(t.Context(), n, "websocket", sent.token, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if f := w.nextMessage(t, l); f.ID != hour.ID {
		t.Fatalf("the first message is %s, want %s", f.ID, hour.ID)
	}
	until(t, "it counts as sent", func() bool { return w.state(hour, sent) == herald.StateSent })
	l.close()

	wake := func(after string) {
		t.Helper()
		n.kill()
		n.env = []string{"FAULTS_CLOCK=" + after}
		n.mustStart()
	}
	wake("25h")
	until(t, "they have expired", func() bool {
		return w.state(hour, sent) == herald.StateUnconfirmed && w.state(later, waiting) == herald.StateExpired
	})
	for _, d := range []*device{sent, waiting} {
		for _, transport := range []string{"poll", "websocket"} {
			if l, err = dial(t.Context(), n, transport, d.token, "", false); err != nil {
				t.Fatal(err)
			}
			fresh := w.pushTo(t, d)
			for id := ""; id != fresh.ID && transport == "websocket"; {
				if id = w.nextMessage(t, l).ID; id == hour.ID || id == later.ID {
					t.Errorf("device %d received %s, whose TTL has ended", d.index, id)
				}
			}
			l.close()
		}
	}

	// What was sent may be acknowledged for a week, and the week after not.
	wake("72h")
	w.acknowledgeAll(t, sent, hour)
	if s := w.state(hour, sent); s != herald.StateReceived {
		t.Errorf("acknowledged two days after its end it is %s", s)
	}
	w.acknowledgeAll(t, waiting, later)
	if s := w.state(later, waiting); s != herald.StateExpired {
		t.Errorf("what was never sent and has expired is %s", s)
	}

	// A month after its end a message is purged with all that belongs to it,
	// but for its counts, which go two months later.
	each := func(ok func(p *push) bool) func() bool {
		return func() bool { return ok(hour) && ok(later) && ok(kept) }
	}
	wake("1000h")
	until(t, "the messages are purged", each(func(p *push) bool {
		return w.get(web, p.App, "/v1/messages/"+p.ID+"/devices/"+sent.id, nil) == http.StatusNotFound
	}))
	each(func(p *push) bool {
		v, status := w.view(web, p)
		if status != http.StatusOK || v.Counts == nil || v.Counts.Target == 0 || v.Notification != nil {
			t.Errorf("of a purged message there is %d, %+v", status, v)
		}
		return true
	})()
	wake("3000h")
	until(t, "their counts are gone", each(func(p *push) bool {
		_, status := w.view(web, p)
		return status == http.StatusNotFound
	}))
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if wrong := inspect(n.data, true); len(wrong) > 0 {
		t.Errorf("after the purge:\n\t%s", few(wrong))
	}
}

// state is where a push stands on a device.
func (w *world) state(p *push, d *device) herald.DeliveryState {
	var t struct{ State herald.DeliveryState }
	w.get(web, p.App, "/v1/messages/"+p.ID+"/devices/"+d.id, &t)
	return t.State
}

// TestClockGoesBack starts a server whose clock is an hour behind what it was:
// IDs go on growing, and nothing is delivered in another order.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	n := newNode(t, planted(t), "FAULTS_CLOCK=1h")
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 1})
	d := w.list(0)[0]
	first := w.pushTo(t, d)
	n.kill()
	n.env = nil
	n.mustStart()
	second := w.pushTo(t, d)
	a, errA := herald.ParseMessageID(first.ID)
	b, errB := herald.ParseMessageID(second.ID)
	if errA != nil || errB != nil || a >= b {
		t.Errorf("IDs are %s and %s: %v %v", first.ID, second.ID, errA, errB)
	}
	l, err := dial(t.Context(), n, "websocket", d.token, "", false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, p := range []*push{first, second} {
		if f := w.nextMessage(t, l); f.ID != p.ID {
			t.Errorf("received %s, want %s", f.ID, p.ID)
		}
	}
}
