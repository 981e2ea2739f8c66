package faults_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSecondServerOnAFolder starts a second server on a data folder: it is
// refused, says why, and the first does not notice.
func TestSecondServerOnAFolder(t *testing.T) {
	t.Parallel()
	n := newNode(t, plain(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 2})
	first := w.pushTo(t, w.list(0)[0])

	second := newNode(t, n.binary)
	second.data = n.data
	run := n.http
	if err := second.spawnBeside(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-second.exited:
	case <-time.After(patience):
		second.kill()
		t.Fatal("a second server runs on the data folder")
	}
	if second.cmd.ProcessState.ExitCode() == 0 {
		t.Error("it ended with exit code 0")
	}
	if out := second.out.from(0); !strings.Contains(out, "another herald runs on the data folder") {
		t.Errorf("it says:\n%s", out)
	}
	later := w.pushTo(t, w.list(0)[0])
	if n.http != run || n.ready() != http.StatusOK {
		t.Error("the first server is not what it was")
	}
	w.calm.Store(true)
	w.begin()
	for _, p := range []*push{first, later} {
		until(t, "the device has what was sent", func() bool { return w.got(w.list(0)[0], p) })
	}
}

// TestCursorBeforeALaterRelease takes a cursor while a message that was
// accepted earlier has not been released yet. The cursor does not acknowledge
// it.
func TestCursorBeforeALaterRelease(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"sse", "stream", "long poll", "websocket", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, plain(t))
			n.mustStart()
			w := newWorld(t, n, seed(t), size{devices: 1})
			d := w.list(0)[0]
			slow, quick := w.slowThenQuick(t, d)
			d = w.list(0)[len(w.list(0))-1]

			l, err := dial(t.Context(), n, transport, d.token, "", true)
			if err != nil {
				t.Fatal(err)
			}
			f := w.nextMessage(t, l)
			l.close()
			if f.ID != quick.ID || f.Cursor == "" {
				t.Fatalf("the first message is %s with cursor %q, want %s", f.ID, f.Cursor, quick.ID)
			}
			until(t, "the slow message is released", func() bool {
				v, _ := w.view(web, slow)
				return v.Counts != nil
			})
			// It comes with the old cursor, and after a crash again.
			for range 2 {
				if l, err = dial(t.Context(), n, transport, d.token, f.Cursor, true); err != nil {
					t.Fatal(err)
				}
				if got := w.nextMessage(t, l); got.ID != slow.ID {
					t.Errorf("after the cursor came %s, want %s", got.ID, slow.ID)
				}
				l.close()
				n.kill()
				n.mustStart()
			}
		})
	}
}

// slowThenQuick pushes two messages to a device: the second is released while
// the first waits for its time. On a machine that is too busy for that, it
// takes another device and more time.
func (w *world) slowThenQuick(t *testing.T, d *device) (slow, quick *push) {
	t.Helper()
	for wait := 2 * time.Second; ; wait *= 2 {
		slow = &push{
			Kind: "ids", Names: []string{d.id}, TTL: 24 * time.Hour, Key: "slow" + d.id, Nonce: fmt.Sprintf("slow-%s-%d", d.id, w.seed),
			SendAt: time.Now().Add(wait).Truncate(time.Millisecond),
		}
		w.mustSend(t, slow)
		if quick = w.pushTo(t, d); time.Now().Before(slow.SendAt) {
			return slow, quick
		}
		if d = w.register(0, false); d == nil {
			t.Fatal("a device could not be registered")
		}
	}
}

func (w *world) nextMessage(t *testing.T, l link) wire {
	t.Helper()
	for {
		f, err := l.next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f.Type == "message" {
			return f
		}
	}
}

// TestReceiptDuringWithdrawal acknowledges and withdraws at the same time: one
// of the two comes first, and counts and traces agree which.
func TestReceiptDuringWithdrawal(t *testing.T) {
	t.Parallel()
	n := newNode(t, plain(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 1})
	before := n.load()
	d := w.list(0)[0]
	for range 40 {
		p := w.pushTo(t, d)
		l, err := dial(t.Context(), n, "websocket", d.token, "", false)
		if err != nil {
			t.Fatal(err)
		}
		for w.nextMessage(t, l).ID != p.ID {
		}
		w.j.frame(frame{Device: d.index, Conn: int(connections.Add(1)), Opened: p.Ended, At: time.Now(), Type: "message", ID: p.ID, Nonce: p.Nonce, Hash: p.Hash})
		done := make(chan error)
		go func() { done <- l.ack(t.Context(), []string{p.ID}, "") }()
		w.withdraw(web, p, 0)
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.close()
	}
	e := w.gather(w.drained(patience), 10_000)
	states := map[string]int{}
	for _, tr := range e.traces {
		states[string(tr.State)]++
	}
	for s := range states {
		// withdrawn: it was sent, and that was not noted yet.
		if !slices.Contains([]string{"", "received", "unconfirmed", "withdrawn"}, s) {
			t.Errorf("states are %v", states)
		}
	}
	w.conclude(e, before)
	e.hold(t)
}
