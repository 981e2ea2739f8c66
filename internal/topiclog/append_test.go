package topiclog_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/topiclog"
)

func TestAppend(t *testing.T) {
	w := newWorld(t)
	if !w.Wanted(appA, "a") {
		t.Error("before the filters are known something is not wanted")
	}
	if e := w.publish("a", "nobody"); e.Pos != 0 {
		t.Errorf("what nobody wants is stored at %d", e.Pos)
	}
	if w.Wanted(appA, "a") {
		t.Error("it is wanted by nobody")
	}
	w.open("one", false)
	w.subscribe("one", "a", "b/+/c")
	w.must(w.change("one", record.TopicSessionChange{Subscribe: []record.TopicSub{{Filter: "q", QoS: 0}}}))
	for topic, want := range map[herald.Topic]bool{"a": true, "b/x/c": true, "b/x": false, "q": false} {
		if got := w.Wanted(appA, topic); got != want {
			t.Errorf("%s is wanted: %v", topic, got)
		}
	}
	first, second := w.publish("a", "1"), w.publish("b/x/c", "2")
	if e := w.publish("q", "never"); first.Pos == 0 || second.Pos != first.Pos+1 || e.Pos != 0 {
		t.Errorf("the positions are %d, %d, %d", first.Pos, second.Pos, e.Pos)
	}
	w.restart()
	if !w.Wanted(appA, "zzz") {
		t.Error("after a restart something is not wanted before the filters are known")
	}
	w.publish("a", "3")
	w.wantWaiting("one", "1", "2", "3")
	s, err := w.Subscribers(w.ctx, appA, "q")
	w.must(err)
	if !slices.Equal(s.Ordinals(), []herald.Ordinal{1}) {
		t.Errorf("subscribed to q are %v", s.Ordinals())
	}
	w.must(w.change("one", record.TopicSessionChange{Unsubscribe: []string{"a"}}))
	if w.Wanted(appA, "a") {
		t.Error("it is wanted after nobody subscribes any more")
	}
	if w.Stats().Appended != 1 {
		t.Errorf("the figures are %+v", w.Stats())
	}
}

// TestOrder: callbacks come in the order of positions, and those of one
// goroutine in the order of its calls, also while the filters are not known yet.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	w.open("one", false)
	w.subscribe("one", "#")
	w.restart()
	const each, callers = 200, 8
	var mu sync.Mutex
	var last herald.Pos
	next := make([]int, callers)
	var called sync.WaitGroup
	called.Add(each * callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				e := entry(fmt.Sprintf("t/%d", c), fmt.Sprint(i))
				w.Append(appA, e, func(err error) {
					defer called.Done()
					mu.Lock()
					defer mu.Unlock()
					if err != nil || e.Pos <= last || next[c] != i {
						t.Errorf("caller %d: call %d, want %d, at %d after %d: %v", c, i, next[c], e.Pos, last, err)
					}
					last = e.Pos
					next[c]++
				})
			}
		})
	}
	wg.Wait()
	called.Wait()
	h, err := w.db.Head(w.ctx, appA)
	w.must(err)
	if h.Pos != last || last != each*callers {
		t.Errorf("the head is %d, and the last entry at %d", h.Pos, last)
	}
}

func TestFailedCommit(t *testing.T) {
	w := newWorld(t)
	w.open("one", false)
	w.subscribe("one", "a")
	w.publish("a", "0")
	broken := errors.New("broken")
	w.failing.mu.Lock()
	w.fail = func() error { return broken }
	var errs []error
	var wg sync.WaitGroup
	wg.Add(3)
	for i := range 2 {
		e := entry("a", fmt.Sprint(i))
		w.Append(appA, e, func(err error) {
			defer wg.Done()
			if errs = append(errs, err); e.Pos != 0 {
				t.Errorf("an entry that is not stored has position %d", e.Pos)
			}
		})
	}
	w.Change(appA, "one", record.TopicSessionChange{Subscribe: []record.TopicSub{{Filter: "b", QoS: 1}}}, func(err error) {
		defer wg.Done()
		errs = append(errs, err)
	})
	if !w.Pending(appA) || w.Pending(appB) {
		t.Error("what is pending is not said")
	}
	w.failing.mu.Unlock()
	wg.Wait()
	w.failing.mu.Lock()
	w.fail = nil
	w.failing.mu.Unlock()
	for _, err := range errs {
		if !errors.Is(err, broken) {
			t.Errorf("somebody was told %v", err)
		}
	}
	if w.Wanted(appA, "b") {
		t.Error("a subscription that failed is counted")
	}
	w.publish("a", "1")
	w.wantWaiting("one", "0", "1")
}

func TestFull(t *testing.T) {
	w := newWorld(t, func(c *topiclog.Config) { c.QueueItems = 2 })
	w.open("one", false)
	w.subscribe("one", "a")
	for w.Stats().Pending > 0 {
		runtime.Gosched() // what was told takes its place a moment longer
	}
	w.failing.mu.Lock()
	var mu sync.Mutex
	var refused int
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		w.Append(appA, entry("a", "x"), func(err error) {
			defer wg.Done()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				w.wantCode(err, herald.CodeStorageUnavailable)
				refused++
			}
		})
	}
	mu.Lock()
	if refused != 2 {
		t.Errorf("%d were refused while the queue was full", refused)
	}
	mu.Unlock()
	wg.Add(1)
	w.Change(appA, "one", record.TopicSessionChange{In: []uint16{1}}, func(err error) { // sessions have room of their own
		defer wg.Done()
		if err != nil {
			t.Errorf("a change: %v", err)
		}
	})
	w.failing.mu.Unlock()
	wg.Wait()
	w.wantWaiting("one", "x", "x")
	if s := w.Stats(); s.Refused != 2 || s.Pending > 3 {
		t.Errorf("the figures are %+v", s)
	}
}
