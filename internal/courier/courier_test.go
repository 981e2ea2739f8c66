package courier

import (
	"fmt"
	"hash/fnv"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/sets"
)

func TestSend(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.add("apns", true, nil)
		w.devices("apns", 0, 1000)
		w.message(1, "apns", time.Hour, 0, 1000)
		w.message(2, "apns", time.Hour, 990, 1010) // half of them have no address
		w.received[2] = sets.New(990, 991)
		c, stop := w.start()
		defer stop()
		w.over(time.Minute)
		same(t, w.check(), map[string]int{"accepted": 1008, "skipped no_address": 10, "skipped received": 2})
		if n := len(v.sent()); n != 1008 || c.Called() != 1008 {
			t.Errorf("%d calls, counted %d", n, c.Called())
		}
		if n := w.states(herald.StateSent); n != 1008 {
			t.Errorf("%d sent", n)
		}
	})
}

func TestDownForAnHour(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		bubble(t, func(t *testing.T, w *world) {
			begin := time.Now()
			v := w.add("apns", idempotent, func(s sent) (provider.Result, error) {
				if s.at.Sub(begin) < time.Hour {
					return provider.Result{}, provider.OfStatus(503, 0)
				}
				return provider.Result{}, nil
			})
			w.devices("apns", 0, 200)
			w.message(1, "apns", 24*time.Hour, 0, 200)
			w.message(2, "apns", 10*time.Minute, 0, 200)
			for i := range herald.MessageID(20) { // to one device each
				w.message(10+i, "apns", 24*time.Hour, herald.Ordinal(i), herald.Ordinal(i)+1)
			}
			_, stop := w.start()
			defer stop()
			elapse(time.Hour)
			if n := len(v.sent()); n > 200 {
				t.Errorf("%d calls of a vendor that is down", n)
			}
			w.over(30 * time.Minute)
			same(t, w.check(), map[string]int{"accepted": 220, "failed unavailable": 200})
		})
	}
}

// chance is a number below 100 that is always the same for the same words.
func chance(words ...any) int {
	h := fnv.New32a()
	fmt.Fprintln(h, words...)
	return int(h.Sum32() % 100)
}

// TestErrors has a third of the calls fail, in every way that may pass.
func TestErrors(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		bubble(t, func(t *testing.T, w *world) {
			var mu sync.Mutex
			tries, took := map[string]int{}, map[string]int{}
			unknown := 0
			w.add("fcm", idempotent, func(s sent) (provider.Result, error) {
				mu.Lock()
				defer mu.Unlock()
				who := fmt.Sprint(s.token, s.m.ID)
				tries[who]++
				switch n := chance(who, tries[who]); {
				case n < 15:
					return provider.Result{}, provider.OfStatus(503, 0)
				case n < 16:
					return provider.Result{}, provider.OfStatus(429, 2*time.Second)
				case n < 30:
					took[who]++
					unknown++
					return provider.Result{}, provider.Lost(errCrash, true)
				}
				took[who]++
				return provider.Result{}, nil
			})
			w.devices("fcm", 0, 500)
			w.message(1, "fcm", time.Hour, 0, 500)
			w.message(2, "fcm", time.Hour, 0, 500)
			_, stop := w.start()
			defer stop()
			w.over(time.Hour)
			if idempotent {
				same(t, w.check(), map[string]int{"accepted": 1000})
				return
			}
			same(t, w.check(), map[string]int{"accepted": 1000 - unknown, "unknown unavailable": unknown})
			for who, n := range took {
				if n > 1 {
					t.Errorf("%s was given to the vendor %d times", who, n)
				}
			}
		})
	}
}

func TestSlowBesideFast(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		begin := time.Now()
		w.add("fcm", true, func(sent) (provider.Result, error) {
			elapse(10 * time.Second)
			return provider.Result{}, nil
		})
		fast := w.add("apns", true, func(sent) (provider.Result, error) {
			elapse(10 * time.Millisecond)
			return provider.Result{}, nil
		})
		w.limits = Limits{Calls: 12, AllCalls: 8, AllErrands: 2} // which the slow ones take
		w.devices("fcm", 0, 2000)
		w.devices("apns", 0, 400)
		for i := range herald.MessageID(4) {
			w.message(1+i, "fcm", time.Hour, 0, 100)
		}
		_, stop := w.start()
		defer stop()
		elapse(5 * time.Second)
		w.message(10, "apns", time.Hour, 0, 400)
		w.over(time.Hour)
		same(t, w.check(), map[string]int{"accepted": 800})
		last := fast.sent()[399].at.Sub(begin)
		if last > 15*time.Second { // 400 calls of 10 ms, 4 at once, looked for after at most 5 s
			t.Errorf("the last fast call was after %v", last)
		}
	})
}

// TestKills kills the process at each point between calls and what is kept.
func TestKills(t *testing.T) {
	const devices, batch = 40, 16
	for _, idempotent := range []bool{true, false} {
		killed := true
		for k := 1; killed; k++ {
			bubble(t, func(t *testing.T, w *world) {
				w.limits = Limits{Batch: batch, Calls: 4}
				v := w.add("sms", idempotent, nil)
				w.devices("sms", 0, devices)
				w.message(1, "sms", time.Hour, 0, devices)
				w.kill, w.dead = k, make(chan struct{})
				_, stop := w.start()
				select {
				case <-w.dead:
				case <-time.After(time.Minute):
					killed = false
				}
				stop()
				w.mu.Lock()
				w.kill, w.dead = 0, nil
				w.mu.Unlock()
				before := len(v.sent())
				_, stop = w.start()
				defer stop()
				w.over(10 * time.Minute)
				out := w.check()
				for who, n := range v.of() {
					if n > 1 && !idempotent {
						t.Errorf("killed at %d: %d calls for %s", k, n, who)
					}
				}
				switch again := len(v.sent()) - devices; {
				case idempotent && (out["accepted"] != devices || again < 0 || again > batch):
					t.Errorf("killed at %d: outcomes %v, %d calls before and %d more than devices", k, out, before, again)
				case !idempotent && (out["accepted"]+out["unknown lost"] != devices || out["unknown lost"] > batch/4):
					t.Errorf("killed at %d: outcomes %v", k, out)
				}
				if !idempotent && out["accepted"] > len(v.sent()) {
					t.Errorf("killed at %d: %d accepted of %d calls", k, out["accepted"], len(v.sent()))
				}
			})
			if k > 1000 {
				t.Fatal("the errand does not end")
			}
		}
	}
}

func TestUnregistered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		gone := map[string]time.Time{}
		alive := false
		w.add("apns", true, func(s sent) (provider.Result, error) {
			elapse(time.Duration(chance(s.token, s.m.ID)) * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if at, ok := gone[s.token]; ok && s.at.After(at) {
				t.Errorf("%s is called after it was said to be gone", s.token)
			}
			if !alive && chance(s.token) < 20 {
				if gone[s.token].IsZero() {
					gone[s.token] = time.Now()
				}
				return provider.Result{}, provider.Errorf(provider.Unregistered, "410", "", "gone")
			}
			return provider.Result{}, nil
		})
		w.devices("apns", 0, 300)
		for i := range herald.MessageID(3) {
			w.message(1+i, "apns", time.Hour, 0, 300)
		}
		_, stop := w.start()
		defer stop()
		w.over(time.Minute)
		w.check()
		w.message(5, "apns", time.Hour, 0, 300)
		w.over(time.Minute)
		dead := len(gone)
		if n := w.check()["skipped no_address"]; dead == 0 || n < dead {
			t.Errorf("%d dead, %d without an address", dead, n)
		}
		// Registered anew, with the same token, they are called again.
		mu.Lock()
		alive, gone = true, map[string]time.Time{}
		mu.Unlock()
		elapse(time.Second)
		w.devices("apns", 0, 300)
		before := w.check()["accepted"]
		w.message(6, "apns", time.Hour, 0, 300)
		w.over(time.Minute)
		if n := w.check()["accepted"] - before; n != 300 {
			t.Errorf("%d reached after they were registered anew", n)
		}
	})
}

// TestExpiryWhileDown has messages expire whose vendor is down: each comes to its
// outcome soon after.
func TestExpiryWhileDown(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.add("apns", true, func(sent) (provider.Result, error) { return provider.Result{}, provider.OfStatus(503, 0) })
		w.devices("apns", 0, 90)
		end := map[herald.MessageID]time.Time{}
		for i := range herald.MessageID(90) {
			ttl := 25 * time.Minute
			if i%3 > 0 {
				ttl = time.Duration(1+i%20) * time.Minute
			}
			m := w.message(1+i, "apns", ttl, herald.Ordinal(i), herald.Ordinal(i)+1)
			m.Group, m.Direct = nil, []herald.Ordinal{herald.Ordinal(i)}
			end[m.ID] = m.Expires()
		}
		_, stop := w.start()
		defer stop()
		w.over(2 * time.Hour)
		if out := w.check(); out["failed unavailable"] != 90 {
			t.Errorf("outcomes %v", out)
		}
		for _, a := range w.attempts {
			if late := a.At.Sub(end[a.Msg]); late < 0 || late > time.Minute {
				t.Errorf("message %d came to its outcome %v after it expired", a.Msg, late)
			}
		}
		if n := len(v.sent()); n > 200 {
			t.Errorf("%d calls of a vendor that is down", n)
		}
	})
}

func TestNothingAfterExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.add("apns", true, func(sent) (provider.Result, error) {
			elapse(time.Second)
			return provider.Result{}, nil
		})
		w.limits.Calls = 4
		w.devices("apns", 0, 1000)
		m := w.message(1, "apns", 20*time.Second, 0, 1000)
		_, stop := w.start()
		defer stop()
		w.over(2 * time.Minute)
		same(t, w.check(), map[string]int{"accepted": 80, "skipped expired": 920})
		for _, s := range v.sent() {
			if !s.at.Before(m.Expires()) {
				t.Errorf("a call at %v", s.at)
			}
		}
	})
}

func TestRecall(t *testing.T) {
	for i, takes := range []time.Duration{100 * time.Millisecond, 20 * time.Second, 100 * time.Millisecond, 20 * time.Second} {
		bubble(t, func(t *testing.T, w *world) {
			v := w.add("apns", i < 2, nil)
			v.slow = takes
			w.devices("apns", 0, 1000)
			w.message(1, "apns", time.Hour, 0, 1000)
			c, stop := w.start()
			defer stop()
			elapse(550 * time.Millisecond)
			w.mu.Lock()
			w.messages[1].State = herald.MessageWithdrawn
			w.mu.Unlock()
			begin := time.Now()
			c.Recall(app, 1)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("to recall took %v", took)
			}
			calls, reported := len(v.sent()), w.states(herald.StateSent)
			w.over(5 * time.Minute)
			if n := len(v.sent()); n != calls || calls == 0 {
				t.Errorf("%d calls when it was recalled, %d then", calls, n)
			}
			out := w.check()
			if reported != out["accepted"] || reported+out["unknown unavailable"] != calls || out["skipped withdrawn"] != 1000-calls {
				t.Errorf("%d reported of %v", reported, out)
			}
			c.Recall(app, 1) // of which nothing is in hand
		})
	}
}

func TestBounds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.limits = Limits{Errands: 16, AllErrands: 10, AllCalls: 10, Calls: 16}
		names := []herald.Vendor{"a", "b", "c"}
		for _, name := range names {
			w.add(name, true, nil).slow = time.Second
			w.devices(name, 0, 200)
			for i := range herald.MessageID(200) {
				w.message(i*10+herald.MessageID(name[0]), name, time.Hour, herald.Ordinal(i), herald.Ordinal(i)+1)
			}
			w.message(5000+herald.MessageID(name[0]), name, time.Hour, 0, 200)
		}
		_, stop := w.start()
		defer stop()
		w.over(time.Hour)
		same(t, w.check(), map[string]int{"accepted": 1200})
		if w.peak > 10+len(names) {
			t.Errorf("%d errands were leased at once", w.peak)
		}
		if w.most > 10+ownCalls*len(names) {
			t.Errorf("up to %d calls at once", w.most)
		}
	})
}

func TestRecordFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.add("apns", true, func(sent) (provider.Result, error) {
			elapse(time.Second)
			return provider.Result{}, nil
		})
		w.devices("apns", 0, 150)
		w.message(1, "apns", time.Hour, 0, 150)
		_, stop := w.start()
		defer stop()
		for range 10 {
			elapse(2500 * time.Millisecond)
			w.mu.Lock()
			w.fail = herald.Errorf(herald.CodeStorageUnavailable, "", "the disk is full")
			w.mu.Unlock()
			elapse(10 * time.Second)
			w.mu.Lock()
			w.fail = nil
			w.mu.Unlock()
		}
		w.over(time.Hour)
		same(t, w.check(), map[string]int{"accepted": 150})
	})
}

// TestStop has Run end while a vendor does not answer.
func TestStop(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		bubble(t, func(t *testing.T, w *world) {
			w.add("apns", idempotent, nil).slow = 20 * time.Second
			w.devices("apns", 0, 8)
			w.message(1, "apns", time.Hour, 0, 8)
			_, stop := w.start()
			elapse(time.Second)
			begin := time.Now()
			stop()
			if took := time.Since(begin); took > 6*time.Second {
				t.Errorf("to stop took %v", took)
			}
			out := w.check()
			if idempotent {
				same(t, out, map[string]int{})
				if e := w.errands[1]; e == nil || e.At.After(time.Now()) {
					t.Errorf("the errand was not given back: %+v", e)
				}
				return
			}
			same(t, out, map[string]int{"unknown unavailable": 8})
		})
	}
}
