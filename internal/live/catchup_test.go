package live

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestCatchUpsRest: pages go on until so many messages were sent, however they
// are divided, and then nobody has a turn until the rest is over.
func TestCatchUpsRest(t *testing.T) {
	for _, c := range []struct {
		name     string
		messages int // of each page
		pages    int // until a rest
	}{
		{"a few", 2, restAfter / (2 + readingCost)},
		{"whole pages", pageSize, 6},
		{"one that is longer than that", restAfter, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCatchUps(1)
				for round := range 3 {
					began := time.Now()
					for page := range c.pages {
						if d := time.Since(began); d != 0 {
							t.Fatalf("round %d: page %d came after %v", round, page, d)
						}
						u.give(u.take(), c.messages)
					}
					for range restAfter {
						u.give(u.take(), 0) // nothing waits, which is no work
					}
					if d := time.Since(began); d != restFor {
						t.Errorf("round %d: the rest took %v, want %v", round, d, restFor)
					}
				}
			})
		})
	}
}

// TestCatchUpsBeside: a turn that rests holds up no other.
func TestCatchUpsBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := catchUps{make(chan *catchUp, 2)}
		u.free <- &catchUp{}
		u.free <- &catchUp{}
		began := time.Now()
		u.give(u.take(), restAfter)
		other := u.take()
		if d := time.Since(began); d != 0 {
			t.Errorf("the second turn came after %v", d)
		}
		u.give(other, 1)
		time.Sleep(restFor) // the first comes back
		synctest.Wait()
		if len(u.free) != 2 {
			t.Errorf("%d turns are free, want 2", len(u.free))
		}
	})
}
