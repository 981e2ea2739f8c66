package live

import (
	"bytes"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func TestFrameCache(t *testing.T) {
	c := newFrameCache(3 * (100 + frameOverhead))
	key := func(i int) frameKey {
		return frameKey{kind: record.ReleaseMessage, msg: herald.MessageID(i), pos: 1}
	}
	for i := range 5000 {
		f := Frame(bytes.Repeat([]byte{byte(i)}, 100))
		if got := c.put(key(i), keptFrame{frame: f}); &got[0] != &f[0] {
			t.Fatal("another frame came back")
		}
		if again := c.put(key(i), keptFrame{frame: Frame("other")}); &again[0] != &f[0] {
			t.Fatal("a frame was replaced")
		}
		if i >= 3 && c.get(key(i-3), "") != nil || i >= 2 && c.get(key(i-2), "") == nil {
			t.Fatalf("after %d frames the cache does not hold the last three", i+1)
		}
	}
	if len(c.frames) != 3 || len(c.order) > 2100 || c.room != 0 {
		t.Fatalf("%d frames, %d keys, room %d", len(c.frames), len(c.order), c.room)
	}
	c.put(key(9999), keptFrame{frame: make(Frame, 10000)})
	if c.get(key(9999), "") != nil || len(c.frames) != 0 {
		t.Fatal("a frame larger than the cache is kept")
	}
}

func TestWheel(t *testing.T) {
	w := newWheel()
	a, b, c, far := &Session{}, &Session{}, &Session{}, &Session{}
	w.schedule(a, 2500*time.Millisecond)
	w.schedule(b, 2500*time.Millisecond)
	w.schedule(c, 2500*time.Millisecond)
	w.schedule(far, time.Hour)
	w.remove(b)
	w.remove(b)
	w.schedule(c, 5*time.Second) // moved
	for _, s := range []struct {
		now  time.Duration
		want []*Session
	}{{2 * time.Second, nil}, {3 * time.Second, []*Session{a}}, {4 * time.Second, nil}, {9 * time.Second, []*Session{c}}} {
		got := w.due(s.now, nil)
		if len(got) != len(s.want) || len(got) == 1 && got[0] != s.want[0] {
			t.Fatalf("at %s: %d sessions", s.now, len(got))
		}
	}
	w.schedule(a, time.Second) // has passed: with the next tick
	if got := w.due(10*time.Second, nil); len(got) != 1 || got[0] != a {
		t.Fatalf("%d sessions", len(got))
	}
	// What is beyond the wheel comes early, once per turn, to be put back.
	if got := w.due(wheelSlots*time.Second, nil); len(got) != 1 || got[0] != far {
		t.Fatalf("%d sessions", len(got))
	}
}
