package live

import (
	"bytes"
	"slices"
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

// What is forgotten leaves its room, and the order of the others.
func TestForgetFrames(t *testing.T) {
	h := NewHub(Options{FrameMemory: 4 * (100 + frameOverhead)})
	c := h.cache
	key := func(msg herald.MessageID, p herald.Platform) frameKey {
		return frameKey{kind: record.ReleaseMessage, msg: msg, platform: p, pos: 1}
	}
	put := func(k frameKey) { c.put(k, keptFrame{frame: make(Frame, 100)}) }
	for _, k := range []frameKey{key(9, ""), key(1, ""), key(2, ""), key(1, "ios"), key(3, "")} { // 9 goes
		put(k)
	}
	h.Forget(1, 7)
	for _, k := range []frameKey{key(1, ""), key(1, "ios")} {
		if _, kept := c.frames[k]; kept {
			t.Errorf("%+v is still there", k)
		}
	}
	for i := range 3 {
		put(key(herald.MessageID(4+i), ""))
	}
	var kept []herald.MessageID
	for _, k := range c.order[c.head:] {
		kept = append(kept, k.msg)
	}
	if !slices.Equal(kept, []herald.MessageID{3, 4, 5, 6}) || len(c.frames) != 4 || c.room != 0 {
		t.Errorf("messages %v, %d frames, room %d", kept, len(c.frames), c.room)
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
