package webhook

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// wide is a world whose endpoints may have several requests at once.
func wide(t *testing.T, n int) *world {
	t.Helper()
	w := newWorld(t)
	w.must(w.db.Close())
	w.inFlight = n
	w.open()
	return w
}

// flood reports several states of many devices, a row for each state.
func (w *world) flood(devices uint64, states ...herald.DeliveryState) {
	w.t.Helper()
	for _, state := range states {
		_, err := w.db.AppendReceipts(w.t.Context(), app, []record.Event{{Msg: 1, State: state, Set: sets.Range(devices), Time: w.clock()}})
		w.must(err)
	}
}

// TestWindow holds that several requests are under way at once, that each event
// comes once, and those of a device in their order; and that what is about a
// message comes when the rest of its window was answered.
func TestWindow(t *testing.T) {
	w := wide(t, 4)
	hook, _ := w.create("*")
	const devices = 130
	for i := range devices / 10 { // few names are enough to tell them apart
		w.register(i)
	}
	w.turn()
	w.flood(devices, herald.StateSent, herald.StateReceived, herald.StateClicked)
	w.done[1] = true
	var mu sync.Mutex
	under, most, answered := 0, 0, 0
	var order []herald.WebhookEvent
	first := make(chan struct{})
	var once sync.Once
	w.answers(func(c call) (egress.Answer, error) {
		mu.Lock()
		under++
		most = max(most, under)
		if under == 2 {
			once.Do(func() { close(first) })
		}
		mu.Unlock()
		<-first // two at least are made at once
		mu.Lock()
		defer mu.Unlock()
		under--
		answered += len(c.body.Data.Events)
		order = append(order, c.body.Data.Events...)
		for _, e := range c.body.Data.Events {
			if e.Type == herald.EventMsgDone && answered < 3*devices {
				t.Errorf("a message is done after %d of its receipts", answered)
			}
		}
		return egress.Answer{Status: 200}, nil
	})
	for range 3 {
		w.turn()
	}
	if most < 2 || most > 4 {
		t.Errorf("%d requests at once", most)
	}
	ids := map[string]bool{}
	for _, e := range order {
		if ids[e.ID] {
			t.Errorf("%s came twice", e.ID)
		}
		ids[e.ID] = true
	}
	if len(order) != 3*devices+1 || order[len(order)-1].Type != herald.EventMsgDone {
		t.Errorf("%d events, the last one %+v", len(order), order[len(order)-1])
	}
	rankOf := map[string]int{herald.EventSent: 0, herald.EventReceived: 1, herald.EventClicked: 2}
	at := map[herald.RegistrationID]int{}
	for _, e := range order {
		if e.RegistrationID == "" {
			continue
		}
		if r := rankOf[e.Type]; r != at[e.RegistrationID] {
			t.Errorf("%s has %s after %d events", e.RegistrationID, e.Type, at[e.RegistrationID])
		}
		at[e.RegistrationID]++
	}
	if got := w.get(hook.ID); got.Waiting != 0 || got.Sent.N != got.LogEnd {
		t.Errorf("the webhook stands at %+v", got)
	}
}

// TestWindowFails has one of several requests fail: only that is repeated, alone
// and with its ID, and nothing comes before it was answered.
func TestWindowFails(t *testing.T) {
	w := wide(t, 3)
	hook, _ := w.create("receipt.*")
	w.flood(250, herald.StateSent)
	var mu sync.Mutex
	var bad string
	w.answers(func(c call) (egress.Answer, error) {
		mu.Lock()
		defer mu.Unlock()
		if bad == "" {
			bad = c.id()
		}
		if bad == c.id() {
			return egress.Answer{Status: http.StatusInternalServerError}, nil
		}
		return egress.Answer{Status: 200}, nil
	})
	first := w.turn()
	if got := w.get(hook.ID); len(first) != 3 || got.Waiting != 1 || got.Failures != 1 || got.LastGood.IsZero() || got.Sent.N != 0 {
		t.Fatalf("%d requests, then %+v", len(first), got)
	}
	w.flood(250, herald.StateReceived)
	for i := range 3 {
		w.sleep(longestTry)
		if again := w.turn(); len(again) != 1 || again[0].id() != bad {
			t.Fatalf("attempt %d: %d requests", i, len(again))
		}
	}
	w.sleep(longestTry)
	mu.Lock()
	repeated := bad
	bad = "none"
	mu.Unlock()
	calls := w.turn()
	if len(calls) != 4 || calls[0].id() != repeated {
		t.Errorf("then %d requests", len(calls))
	}
	events := 0
	for _, c := range append(first, calls[1:]...) {
		events += len(c.events())
	}
	if got := w.get(hook.ID); events != 500 || got.Waiting != 0 || got.Sent.N != got.LogEnd || got.Failures != 0 {
		t.Errorf("%d events, then %+v", events, got)
	}
	list, err := w.s.Deliveries(t.Context(), app, hook.ID, 0, 10)
	w.must(err)
	if len(list) != 6 {
		t.Errorf("%d deliveries", len(list))
	}
	// The replay of one of them is that one, and moves nothing.
	d, err := w.s.Replay(t.Context(), app, hook.ID, repeated)
	w.must(err)
	calls = w.turn()
	if len(calls) != 1 || calls[0].id() != repeated || len(calls[0].events()) != d.Events || d.Shards == 0 {
		t.Errorf("replayed as %d requests", len(calls))
	}
}

// TestWindowKilled stops a server while several requests are under way: all of
// them come again, with their IDs and their events, and no others.
func TestWindowKilled(t *testing.T) {
	for name, more := range map[string]int{"with as many at once": 3, "with one at a time": 1, "with more": 9} {
		t.Run(name, func(t *testing.T) {
			w := wide(t, 3)
			w.create("receipt.*")
			w.flood(250, herald.StateSent)
			var once sync.Once
			w.answers(func(call) (egress.Answer, error) {
				// What a kill leaves: the store takes nothing any more.
				once.Do(func() { w.must(w.db.Close()) })
				return egress.Answer{Status: 200}, nil
			})
			first := w.turn()
			w.inFlight = more
			w.open()
			w.status(200)
			w.flood(250, herald.StateReceived)
			bodies := func(calls []call) (out []string) {
				for _, c := range calls {
					out = append(out, c.id()+" "+string(c.raw))
				}
				slices.Sort(out)
				return out
			}
			again := w.turn()
			if len(first) != 3 || len(again) < 4 || !slices.Equal(bodies(first), bodies(again[:3])) {
				t.Fatalf("%d requests, then %d", len(first), len(again))
			}
			got := map[string]int{}
			for _, c := range again {
				for _, e := range c.body.Data.Events {
					got[e.ID]++
				}
			}
			if len(got) != 500 {
				t.Errorf("%d events", len(got))
			}
			for id, n := range got {
				if n != 1 {
					t.Errorf("%s came %d times after the kill", id, n)
				}
			}
		})
	}
}

// TestSplit holds, on random logs, that windows have each event once, that a
// request has at most a batch of them, those of a device in one and in order;
// and that a request that is made again from its range is the same one.
func TestSplit(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 11))
		most := 1 + r.IntN(9)
		s := &Sender{c: Config{Store: randomLog(r, 80), InFlight: most}}
		all := subscription{"*"}
		total, got := 0, map[string]bool{}
		for it, err := range s.walk(t.Context(), app, record.WebhookPos{}, all.wants) {
			if err == nil && it.Type != "" {
				total++
			}
		}
		f := s.newFeed(t.Context(), app, record.WebhookPos{}, all)
		for more := true; more; {
			from := f.at
			var items []item
			var err error
			if items, more, err = f.window(most); err != nil {
				t.Fatal(err)
			}
			shards := split(items, most)
			if len(shards) > most+1 || len(items) <= maxBatch && len(shards) > 1 {
				t.Fatalf("seed %d: %d requests of %d for %d events", seed, len(shards), most, len(items))
			}
			n := len(shards) - 1
			for i, shard := range shards {
				var ids []string
				for _, it := range shard {
					ids = append(ids, it.ID)
					if got[it.ID] {
						t.Fatalf("seed %d: %s is in two requests", seed, it.ID)
					}
					got[it.ID] = true
					if n > 0 && it.alone != (i == n) {
						t.Fatalf("seed %d: %+v is in request %d of %d", seed, it, i, n)
					}
				}
				again := s.newFeed(t.Context(), app, from, all)
				same, err := again.upto(f.at, i, n)
				again.stop()
				if err != nil || len(shard) > maxBatch || !slices.EqualFunc(same, ids, func(it item, id string) bool { return it.ID == id }) {
					t.Fatalf("seed %d: request %d of %d with %d events is made again with %d, %v", seed, i, n, len(shard), len(same), err)
				}
			}
		}
		f.stop()
		if len(got) != total {
			t.Fatalf("seed %d: %d events in requests, %d in the log", seed, len(got), total)
		}
	}
}
