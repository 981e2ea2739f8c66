package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// states waits until a message has a state, which its override gives it in the
// background, and gives its counts.
func (w *world) states(p api.Principal, id herald.MessageID, want herald.MessageState) map[herald.DeliveryState]int64 {
	w.t.Helper()
	var v api.MessageView
	for deadline := time.Now().Add(10 * time.Second); ; {
		var err error
		v, err = w.s.Messages.Get(w.t.Context(), p, id)
		w.must(err)
		if v.State == want || time.Now().After(deadline) {
			break
		}
	}
	if v.State != want {
		w.t.Errorf("message %s is %s, want %s", id, v.State, want)
	}
	if v.Counts == nil {
		return nil
	}
	var all int64
	for _, n := range v.Counts.States {
		all += n
	}
	if all != v.Counts.Target {
		w.t.Errorf("the states of %s sum to %d of %d", id, all, v.Counts.Target)
	}
	return v.Counts.States
}

func TestOverride(t *testing.T) {
	w := newWorld(t)
	has := w.device(w.a, api.RegisterRequest{Alias: "has"})
	for range 3 {
		w.device(w.a, api.RegisterRequest{Alias: "away"})
	}
	for name, tt := range map[string]struct{ key, want string }{"without a key": {}, "with a key": {`,"collapse_key":"news"`, "news"}} {
		t.Run(name, func(t *testing.T) {
			old := w.sent(w.masterA, `{"audience":"all","notification":{"title":"old"}`+tt.key+`}`)
			if tt.want == "" {
				tt.want = old.ID.String()
			}
			w.must(w.ledger.Apply(t.Context(), w.a, record.Event{Msg: old.ID, State: herald.StateReceived, Set: sets.New(has.Ord), Time: time.Now(), Via: "test"}))
			// It ends for those that the new one is not for, too.
			sent := w.sent(w.masterA, fmt.Sprintf(`{"audience":{"aliases":["has"]},"notification":{"title":"new"},"replaces":"%s"}`, old.ID))
			if got := w.states(w.masterA, old.ID, herald.MessageReplaced); got[herald.StateReceived] != 1 || got[herald.StateReplaced] != 3 {
				t.Errorf("the old one is %v", got)
			}
			v, err := w.s.Messages.Get(t.Context(), w.masterA, sent.ID)
			w.must(err)
			if v.Replaces != old.ID || v.CollapseKey != tt.want || v.Counts.Target != 1 {
				t.Errorf("the new one is %+v", v)
			}
			// The new one can be overridden itself, under the key by which
			// devices know both.
			third := w.sent(w.masterA, fmt.Sprintf(`{"audience":"all","notification":{"title":"third"},"replaces":"%s"}`, sent.ID))
			if got := w.states(w.masterA, sent.ID, herald.MessageReplaced); got[herald.StateReplaced] != 1 {
				t.Errorf("the second one is %v", got)
			}
			if v, err = w.s.Messages.Get(t.Context(), w.masterA, third.ID); err != nil || v.CollapseKey != tt.want {
				t.Errorf("the third one is %+v, %v", v, err)
			}
			// What has ended stays as it has.
			w.sent(w.masterA, fmt.Sprintf(`{"audience":"all","data":1,"replaces":"%s"}`, old.ID))
			if got := w.states(w.masterA, old.ID, herald.MessageReplaced); got[herald.StateReceived] != 1 || got[herald.StateReplaced] != 3 {
				t.Errorf("the old one is %v now", got)
			}
		})
	}
}

func TestOverrideScheduled(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	at := w.now.Add(time.Hour).Format(time.RFC3339)
	old, err := w.send(w.masterA, fmt.Sprintf(`{"audience":"all","data":1,"send_at":"%s"}`, at))
	w.must(err)
	w.sent(w.masterA, fmt.Sprintf(`{"audience":"all","data":2,"replaces":"%s"}`, old.ID))
	w.states(w.masterA, old.ID, herald.MessageReplaced)
	trace, err := w.s.Messages.Trace(t.Context(), w.masterA, old.ID, d.Device)
	w.must(err)
	if !strings.Contains(trace.Summary, "replaced it before it was due") {
		t.Errorf("trace: %s", trace.Summary)
	}
	// A scheduled message overrides when it is due, not before.
	open := w.sent(w.masterA, `{"audience":"all","data":3}`)
	_, err = w.send(w.masterA, fmt.Sprintf(`{"audience":"all","data":4,"send_at":"%s","replaces":"%s"}`, at, open.ID))
	w.must(err)
	w.states(w.masterA, open.ID, herald.MessageSending)
	w.pass(2 * time.Hour)
	w.states(w.masterA, open.ID, herald.MessageReplaced)
}

func TestOverrideRefuses(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	w.online(d, true)
	mine := w.sent(w.masterA, `{"audience":"all","data":1}`).ID
	foreign := w.sent(w.masterB, `{"audience":"all","data":1}`).ID
	for name, tt := range map[string]struct{ members, field string }{
		"unknown":             {`"replaces":"7"`, "replaces"},
		"foreign":             {fmt.Sprintf(`"replaces":"%s"`, foreign), "replaces"},
		"not an ID":           {`"replaces":"x"`, "replaces"},
		"a key of its own":    {fmt.Sprintf(`"replaces":"%s","collapse_key":"k"`, mine), "collapse_key"},
		"now or never":        {fmt.Sprintf(`"replaces":"%s","ttl":0`, mine), "replaces"},
		"with an idempotency": {`"replaces":"8"`, "replaces"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.sendKey(w.masterA, `{"audience":"all","data":2,`+tt.members+`}`, "key-"+tt.field)
			var e *herald.Error
			if code(err) != herald.CodeInvalidRequest || !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("got %v", err)
			}
		})
	}
	l, err := w.s.Messages.List(t.Context(), w.masterA, "", "", 0)
	w.must(err)
	if len(l.Messages) != 1 || l.Messages[0].State != herald.MessageSending {
		t.Errorf("what was refused is there: %+v", l.Messages)
	}
	page := api.Principal{Kind: api.Page, App: w.a, Device: d.Device, Ord: d.Ord}
	if _, err := w.send(page, fmt.Sprintf(`{"audience":{"registration_ids":["%s"]},"data":1,"replaces":"%s"}`, d.Device, mine)); code(err) != herald.CodeForbidden {
		t.Errorf("a page: %v", err)
	}
	// What had TTL 0 is shown by devices, and so can be overridden for a while.
	now := w.sent(w.masterA, `{"audience":"all","data":1,"ttl":0}`).ID
	sent := w.sent(w.masterA, fmt.Sprintf(`{"audience":"all","data":1,"replaces":"%s"}`, now))
	if v, err := w.s.Messages.Get(t.Context(), w.masterA, sent.ID); err != nil || v.CollapseKey != now.String() {
		t.Errorf("%+v, %v", v, err)
	}
}

// A group message overrides an older one app by app.
func TestOverrideGroup(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	p := w.grouped(w.a, w.b)
	old, err := w.toGroup(p, `{"audience":"all","data":1,"require_target":true}`, "")
	w.must(err)
	sent, err := w.toGroup(p, fmt.Sprintf(`{"audience":"all","data":2,"replaces":"%s"}`, old.ID), "")
	w.must(err)
	if sent.Apps[0].Err != nil || sent.Apps[1].Err != nil {
		t.Fatalf("sent %+v", sent)
	}
	w.states(w.masterA, old.Apps[0].Answer.ID, herald.MessageReplaced)
	v, err := w.s.Messages.Get(t.Context(), w.masterB, sent.Apps[1].Answer.ID)
	w.must(err)
	if v.Replaces != 0 {
		t.Errorf("the app that had refused the older one replaces %s", v.Replaces)
	}
	if _, err := w.toGroup(p, fmt.Sprintf(`{"audience":"all","data":2,"replaces":"%s"}`, old.Apps[0].Answer.ID), ""); code(err) != herald.CodeInvalidRequest {
		t.Errorf("a message of an app: %v", err)
	}
}
