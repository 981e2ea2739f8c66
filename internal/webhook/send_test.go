package webhook

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// flat joins the events of requests.
func flat(calls []call) (out []string) {
	for _, c := range calls {
		out = append(out, c.events()...)
	}
	return out
}

func want(t *testing.T, what string, got, wanted any) {
	t.Helper()
	if d := cmp.Diff(wanted, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestEverythingIsTold(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create()
	a := w.register(1)
	anna := herald.Alias("anna")
	_, err := w.db.UpdateDevice(t.Context(), app, a.ID, record.DevicePatch{Alias: &anna})
	w.must(err)
	_, err = w.db.AppendReceipts(t.Context(), app, []record.Event{
		{Msg: 7, State: herald.StateClicked, Set: sets.New(a.Ord), Time: start, Via: "receipt"},
		{Msg: 7, State: herald.StateSent, Set: sets.New(a.Ord), Time: start, Via: "sse"},
		{Msg: 7, State: record.ToldState, Set: sets.New(a.Ord), Time: start},
		{Msg: 8, State: herald.StateExpired, Set: sets.New(a.Ord), Time: start, Via: "server"},
	})
	w.must(err)
	calls := w.turn()
	if len(calls) != 1 {
		t.Fatalf("%d requests", len(calls))
	}
	body := calls[0].body
	want(t, "body", body, herald.WebhookBody{Type: "events", Timestamp: start.Add(time.Second), Data: herald.WebhookData{AppKey: app, WebhookID: hook.ID, Events: []herald.WebhookEvent{
		{ID: "1.1.1", Type: herald.EventRegistered, Time: start, RegistrationID: a.ID, Platform: herald.PlatformWeb},
		{ID: "1.2.1", Type: herald.EventBound, Time: start, RegistrationID: a.ID, Alias: "anna"},
		{ID: "1.3.1", Type: herald.EventSent, Time: start, RegistrationID: a.ID, MessageID: 7, Via: "sse"},
		{ID: "1.3.2", Type: herald.EventClicked, Time: start, RegistrationID: a.ID, MessageID: 7, Via: "receipt"},
		{ID: "1.3.4", Type: herald.EventFailed, Time: start, RegistrationID: a.ID, MessageID: 8, Via: "server", Reason: "expired"},
	}}})
	if got := w.turn(); got != nil {
		t.Errorf("told again: %v", flat(got))
	}
	_, err = w.db.RemoveDevice(t.Context(), app, a.ID)
	w.must(err)
	w.report(9, herald.StateSent, a.Ord)
	want(t, "of a device that is gone", flat(w.turn()), []string{"device.removed d1", "receipt.sent m9"})
}

func TestFilters(t *testing.T) {
	w := newWorld(t)
	w.create("receipt.received", "device.*")
	other, _ := w.create("message.*")
	a := w.register(1)
	w.report(7, herald.StateSent, a.Ord)
	w.report(7, herald.StateReceived, a.Ord)
	want(t, "told", flat(w.turn()), []string{"device.registered d1", "receipt.received m7 d1"})
	if got := w.get(other.ID); got.Sent.N != got.LogEnd {
		t.Errorf("a webhook that is told of nothing stays behind: %+v", got)
	}
	events := []string{"receipt.sent"}
	_, err := w.s.Update(t.Context(), app, other.ID, Spec{Events: &events})
	w.must(err)
	w.report(8, herald.StateSent, a.Ord)
	want(t, "told after a change", flat(w.turn()), []string{"receipt.sent m8 d1"})
}

func TestBatchesAndOrder(t *testing.T) {
	w := newWorld(t)
	w.create("receipt.*")
	var wanted []string
	for i := range 3 {
		s := sets.Range(120)
		_, err := w.db.AppendReceipts(t.Context(), app, []record.Event{{Msg: herald.MessageID(i + 1), State: herald.StateSent, Set: s, Time: start}})
		w.must(err)
		for range 120 {
			wanted = append(wanted, fmt.Sprintf("receipt.sent m%d", i+1))
		}
	}
	calls := w.turn()
	sizes := []int{}
	seen := map[string]bool{}
	for _, c := range calls {
		sizes = append(sizes, len(c.events()))
		for _, e := range c.body.Data.Events {
			if seen[e.ID] {
				t.Errorf("the event %s came twice", e.ID)
			}
			seen[e.ID] = true
		}
	}
	want(t, "events in each request", sizes, []int{100, 100, 100, 60})
	want(t, "all of them", flat(calls), wanted)
}

// TestRetry has an endpoint that fails, and holds when it is tried again, with
// what, and that nothing overtakes.
func TestRetry(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("receipt.*")
	w.register(1)
	w.status(503)
	w.report(1, herald.StateSent, 0)
	first := w.turn()
	want(t, "first", flat(first), []string{"receipt.sent m1 d1"})
	w.report(2, herald.StateSent, 0)
	last, pauses := w.clock(), []time.Duration{}
	for len(pauses) < 12 {
		got := w.get(hook.ID)
		if !got.RetryAt.After(w.clock()) || got.Failures != len(pauses)+1 || !got.Failing.Equal(start.Add(interval)) {
			t.Fatalf("after %d failures the webhook is %+v", len(pauses)+1, got)
		}
		w.sleep(got.RetryAt.Sub(w.clock()) - 2*interval)
		if early := w.turn(); early != nil {
			t.Fatalf("tried %v early", got.RetryAt.Sub(w.clock()))
		}
		again := w.turn()
		if len(again) != 1 || again[0].id() != first[0].id() || string(again[0].raw) != string(first[0].raw) {
			t.Fatalf("repeated as %v", again)
		}
		pauses = append(pauses, again[0].at.Sub(last))
		last = again[0].at
	}
	for i, p := range pauses {
		most := min(firstWait<<i, longestTry)
		if p < most/2 || p > most+2*interval {
			t.Errorf("pause %d is %v, of at most %v", i, p, most)
		}
	}
	w.answers(func(call) (egress.Answer, error) { return egress.Answer{Status: 429, RetryAfter: 2 * time.Hour}, nil })
	w.sleep(longestTry)
	w.turn()
	if got := w.get(hook.ID).RetryAt.Sub(w.clock()); got != 2*time.Hour {
		t.Errorf("asked to wait for two hours, it waits for %v", got)
	}
	w.status(204)
	w.sleep(2 * time.Hour)
	calls := w.turn()
	calls = append(calls, w.turn()...)
	want(t, "in order", flat(calls), []string{"receipt.sent m1 d1", "receipt.sent m2 d1"})
	if calls[0].id() != first[0].id() || calls[1].id() == first[0].id() {
		t.Error("webhook IDs are wrong")
	}
	if got := w.get(hook.ID); got.Failures != 0 || !got.Failing.IsZero() || !got.RetryAt.IsZero() || got.LastGood.IsZero() {
		t.Errorf("after a good answer the webhook is %+v", got)
	}
	list, err := w.s.Deliveries(t.Context(), app, hook.ID, 0, 10)
	w.must(err)
	if len(list) != 2 || list[1].Attempts != 15 || list[1].Open || list[1].Status != 204 || list[1].Error != "" {
		t.Errorf("deliveries: %+v", list)
	}
}

func TestGivesUp(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("receipt.*")
	w.register(1)
	w.answers(func(call) (egress.Answer, error) { return egress.Answer{}, errors.New("egress: connection refused") })
	w.report(1, herald.StateSent, 0)
	w.turn()
	for range 3 { // the last one is just before three days have passed
		w.sleep(GivesUp/3 - 2*interval)
		w.turn()
		if w.get(hook.ID).Disabled {
			t.Fatal("it gives up early")
		}
	}
	w.sleep(longestTry)
	w.turn()
	got := w.get(hook.ID)
	if gone := w.clock().Sub(got.Failing); !got.Disabled || gone < GivesUp || !strings.Contains(got.Reason, "connection refused") || got.Failures != 5 {
		t.Errorf("after %v it is %+v", gone, got)
	}
	w.report(2, herald.StateSent, 0)
	w.sleep(24 * time.Hour)
	if calls := w.turn(); calls != nil {
		t.Error("a disabled webhook was sent to")
	}
	if s := w.s.Stats(); s.Disabled != 1 || s.Good+s.Failing != 0 {
		t.Errorf("stats %+v", s)
	}
	w.status(200)
	on := false
	_, err := w.s.Update(t.Context(), app, hook.ID, Spec{Disabled: &on})
	w.must(err)
	want(t, "enabled again", flat(append(w.turn(), w.turn()...)), []string{"receipt.sent m1 d1", "receipt.sent m2 d1"})
}

func TestGone(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create()
	w.register(1)
	w.status(410)
	w.turn()
	if got := w.get(hook.ID); !got.Disabled || !strings.Contains(got.Reason, "410") {
		t.Errorf("after 410 the webhook is %+v", got)
	}
}

// TestOutcomes holds what is written down of an attempt.
func TestOutcomes(t *testing.T) {
	for _, row := range []struct {
		name    string
		answer  egress.Answer
		err     error
		good    bool
		says    string
		excerpt string
	}{
		{"200", egress.Answer{Status: 200, Body: []byte("fine\x00\xff")}, nil, true, "", "fine\uFFFD\uFFFD"},
		{"299", egress.Answer{Status: 299}, nil, true, "", ""},
		{"302", egress.Answer{Status: 302}, nil, false, "redirects are not followed", ""},
		{"404", egress.Answer{Status: 404, Body: []byte(strings.Repeat("x", 4000))}, nil, false, "answered 404 Not Found", strings.Repeat("x", 512)},
		{"no answer", egress.Answer{}, errors.New("egress: no such host"), false, "no such host", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := newWorld(t)
			hook, _ := w.create()
			w.answers(func(call) (egress.Answer, error) { w.sleep(30 * time.Millisecond); return row.answer, row.err })
			w.register(1)
			w.turn()
			list, err := w.s.Deliveries(t.Context(), app, hook.ID, 0, 10)
			w.must(err)
			d := list[0]
			if d.Open == row.good || d.Status != row.answer.Status || !strings.Contains(d.Error, row.says) || row.good != (d.Error == "") || d.Excerpt != row.excerpt || d.Took != 30*time.Millisecond || d.Attempts != 1 {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// TestKilled stops a server between a request and its mark: the next one sends
// it again, with the same ID and the same events, although more have come.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	w.create("receipt.*")
	w.register(1)
	w.report(1, herald.StateSent, 0)
	w.answers(func(call) (egress.Answer, error) {
		// What a kill leaves: the store takes nothing any more.
		w.must(w.db.Close())
		return egress.Answer{Status: 200}, nil
	})
	first := w.turn()
	w.open()
	w.status(200)
	w.report(1, herald.StateReceived, 0)
	calls := append(w.turn(), w.turn()...)
	if len(first) != 1 || len(calls) != 2 || calls[0].id() != first[0].id() || string(calls[0].raw) != string(first[0].raw) {
		t.Fatalf("first %v, then %v", first, calls)
	}
	want(t, "after the kill", flat(calls), []string{"receipt.sent m1 d1", "receipt.received m1 d1"})
}

// TestLease holds that two nodes do not send to one webhook at a time, and that
// a node takes over when the lease of another has ended.
func TestLease(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("receipt.*")
	w.register(1)
	_, err := w.db.LeaseWebhook(t.Context(), app, hook.ID, "another", w.clock(), lease)
	w.must(err)
	w.report(1, herald.StateSent, 0)
	if calls := w.turn(); calls != nil {
		t.Error("sent to a webhook that another node has")
	}
	w.sleep(lease)
	want(t, "after the lease", flat(w.turn()), []string{"receipt.sent m1 d1"})
}

// TestChangedMidway changes a webhook while a request is under way: its outcome
// counts for nothing, and it is repeated.
func TestChangedMidway(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("receipt.*")
	w.register(1)
	w.report(1, herald.StateSent, 0)
	address := "https://example.net/new"
	w.answers(func(call) (egress.Answer, error) {
		_, err := w.s.Update(t.Context(), app, hook.ID, Spec{URL: &address})
		w.must(err)
		return egress.Answer{Status: 500}, nil
	})
	first := w.turn()
	w.status(200)
	again := w.turn()
	if len(again) != 1 || again[0].url != address || again[0].id() != first[0].id() {
		t.Errorf("repeated as %+v", again)
	}
	w.answers(func(call) (egress.Answer, error) {
		w.must(w.s.Delete(t.Context(), app, hook.ID))
		return egress.Answer{Status: 200}, nil
	})
	w.report(2, herald.StateSent, 0)
	if calls := append(w.turn(), w.turn()...); len(calls) != 1 {
		t.Errorf("a deleted webhook was sent %d requests", len(calls))
	}
}

func TestReplay(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("receipt.*")
	w.register(1)
	var ids []string
	for i := range 3 {
		w.sleep(time.Minute)
		w.report(herald.MessageID(i+1), herald.StateSent, 0)
		calls := w.turn()
		ids = append(ids, calls[0].id())
	}
	d, err := w.s.Replay(t.Context(), app, hook.ID, ids[1])
	w.must(err)
	if !d.Replay || !d.Open {
		t.Errorf("%+v", d)
	}
	calls := w.turn()
	want(t, "replayed", flat(calls), []string{"receipt.sent m2 d1"})
	if calls[0].id() != ids[1] {
		t.Error("the replay has another ID")
	}
	if calls := w.turn(); calls != nil {
		t.Errorf("a replay moved the webhook: %v", flat(calls))
	}
	_, err = w.s.Replay(t.Context(), app, hook.ID, "evt_none")
	if herald.CodeOf(err) != herald.CodeNotFound {
		t.Error(err)
	}

	_, err = w.s.ReplaySince(t.Context(), app, hook.ID, start.Add(2*time.Minute))
	w.must(err)
	calls = w.turn()
	want(t, "since", flat(calls), []string{"receipt.sent m2 d1", "receipt.sent m3 d1"})
	if slices.Contains(ids, calls[0].id()) {
		t.Error("another batch has the ID of an old one")
	}
	// A time that has not come moves nothing.
	_, err = w.s.ReplaySince(t.Context(), app, hook.ID, w.clock().Add(time.Hour))
	w.must(err)
	if calls := w.turn(); calls != nil {
		t.Errorf("sent %v", flat(calls))
	}
}

// TestReplayOverOpen sends a webhook back while a delivery waits: what is behind
// it is not skipped when that succeeds.
func TestReplayOverOpen(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("receipt.*")
	w.register(1)
	w.report(1, herald.StateSent, 0)
	w.turn()
	w.status(500)
	w.report(2, herald.StateSent, 0)
	w.turn()
	_, err := w.s.ReplaySince(t.Context(), app, hook.ID, start)
	w.must(err)
	w.status(200)
	want(t, "sent", flat(append(w.turn(), w.turn()...)), []string{"receipt.sent m2 d1", "receipt.sent m1 d1", "receipt.sent m2 d1"})
}

func TestDone(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("message.*")
	w.register(1)
	w.register(2)
	w.report(1, herald.StateReceived, 0)
	if calls := w.turn(); calls != nil {
		t.Errorf("sent %v", flat(calls))
	}
	w.done[1] = true
	w.report(1, herald.StateReceived, 1)
	w.report(1, herald.StateClicked, 1)
	calls := append(w.turn(), w.turn()...)
	w.report(1, herald.StateClicked, 0)
	calls = append(calls, append(w.turn(), w.turn()...)...)
	want(t, "done", flat(calls), []string{"message.done m1"})
	// What happens while nobody is told of it is not told later.
	events := []string{"message.expired"}
	_, err := w.s.Update(t.Context(), app, hook.ID, Spec{Events: &events})
	w.must(err)
	w.done[2] = true
	w.report(2, herald.StateReceived, 1)
	w.s.skipDone(t.Context())
	events = []string{"*"}
	_, err = w.s.Update(t.Context(), app, hook.ID, Spec{Events: &events})
	w.must(err)
	for _, e := range flat(append(w.turn(), w.turn()...)) {
		if strings.HasPrefix(e, "message.done") {
			t.Error(e)
		}
	}
}

// TestDropped has an endpoint that is away for longer than the log is kept.
func TestDropped(t *testing.T) {
	w := newWorld(t)
	hook, _ := w.create("receipt.*")
	w.register(1)
	w.status(500)
	w.report(1, herald.StateSent, 0)
	w.turn()
	w.sleep(KeptFor + time.Hour)
	w.report(2, herald.StateSent, 0)
	w.must(w.db.PurgeWebhooks(t.Context(), w.clock().Add(-KeptFor), 1<<30, 10))
	if got := w.get(hook.ID); got.Dropped != 2 {
		t.Errorf("dropped %d", got.Dropped)
	}
	w.status(200)
	want(t, "what is left", flat(append(w.turn(), w.turn()...)), []string{"receipt.sent m2 d1"})
	w.turn()
	if s := w.s.Stats(); s.Dropped != 2 || s.Good != 1 || s.Behind != 0 {
		t.Errorf("stats %+v", s)
	}
	list, err := w.s.Deliveries(t.Context(), app, hook.ID, 0, 10)
	w.must(err)
	if len(list) != 2 || list[1].Open || !strings.Contains(list[1].Error, "left the log") {
		t.Errorf("deliveries %+v", list)
	}
}

func TestPause(t *testing.T) {
	for _, row := range []struct {
		failures int
		asked    time.Duration
		chance   float64
		want     time.Duration
	}{
		{1, 0, 0, 5 * time.Second}, {1, 0, 1, 2500 * time.Millisecond}, {2, 0, 0, 10 * time.Second}, {10, 0, 0, 2560 * time.Second},
		{11, 0, 0, time.Hour}, {1000, 0, 0, time.Hour}, {1, time.Minute, 0, time.Minute}, {1000, time.Minute, 1, 30 * time.Minute}, {1, 1 << 60, 0, 24 * time.Hour},
	} {
		if got := pause(row.failures, row.asked, row.chance); got != row.want {
			t.Errorf("%+v: %v", row, got)
		}
	}
}
