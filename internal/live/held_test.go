package live

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// TestWaits lets requests wait for several times and go at others: each is told
// when its time has come, in its order, and nothing is left behind.
func TestWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(Options{HelloTimeout: 5 * time.Second})
		start := time.Now()
		ask := func(wait time.Duration) *collector {
			c := &collector{hub: h, ended: true}
			h.waits.add(c, h.now(), wait)
			return c
		}
		isLate := func(c *collector) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.late
		}
		isDone := func(c *collector) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.done
		}
		expect := func(at time.Duration, what string, c *collector, late bool) {
			t.Helper()
			time.Sleep(time.Until(start.Add(at)))
			synctest.Wait()
			if isLate(c) != late {
				t.Errorf("%s after %s: late is %t, want %t", what, at, isLate(c), late)
			}
		}
		first, short, second := ask(10*time.Second), ask(time.Second), ask(10*time.Second)
		expect(time.Second-1, "the short one", short, false)
		expect(time.Second, "the short one", short, true)
		last := ask(10 * time.Second)
		h.waits.remove(first)
		h.waits.remove(first)
		expect(10*time.Second, "the second", second, true)
		expect(10*time.Second, "one that has gone", first, false)
		expect(11*time.Second-1, "the last", last, false)
		expect(11*time.Second, "the last", last, true)

		near := []*collector{ask(time.Second)}
		time.Sleep(waitSlack / 2)
		near = append(near, ask(time.Second))
		expect(12*time.Second, "the first of two", near[0], true)
		expect(12*time.Second+waitSlack, "the second of two", near[1], true)

		// Of ended ones nothing waits on; of others the backlog may still come.
		open := &collector{hub: h, ready: make(chan struct{}, 1)}
		h.waits.add(open, h.now(), time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		if !isLate(open) || isDone(open) {
			t.Errorf("one whose backlog has not come: late %t, done %t", isLate(open), isDone(open))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !isDone(open) {
			t.Error("a backlog is waited for without an end")
		}
		h.waits.remove(open)
		time.Sleep(time.Minute)
		synctest.Wait()
		h.waits.mu.Lock()
		defer h.waits.mu.Unlock()
		if n := len(h.waits.lines); n != 0 {
			t.Errorf("%d lines are left", n)
		}
	})
}

// TestSizeOfHeldPoll: a request that is held is one object, and Go has room for
// such objects in steps, of which 320 bytes is one.
func TestSizeOfHeldPoll(t *testing.T) {
	if n := unsafe.Sizeof(collector{}); n > 320 {
		t.Errorf("%d bytes", n)
	}
}
