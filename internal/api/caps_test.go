package api_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func TestCaps(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{Alias: "ann"})
	rules := []api.CapRule{{Category: "news", Max: 1, Per: 3600}, {Category: "news", Max: 3, Per: 86400}}
	v, err := w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Caps: &rules})
	w.must(err)
	if diff := cmp.Diff(rules, v.Caps); diff != "" {
		t.Error(diff)
	}
	const news = `{"audience":"all","data":1,"category":"news"}`
	w.sent(w.masterA, news)
	second, err := w.send(w.masterA, news) // which is handed to nobody
	w.must(err)
	if states := w.states(w.masterA, second.ID, herald.MessageDone); states[herald.StateRejected] != 1 {
		t.Errorf("states %v", states)
	}
	trace, err := w.s.Messages.Trace(t.Context(), w.masterA, second.ID, d.Device)
	w.must(err)
	if trace.State != herald.StateRejected || !strings.Contains(trace.Summary, "as many messages of its category") {
		t.Errorf("trace %s", asJSON(t, trace))
	}
	if free := w.sent(w.masterA, `{"audience":"all","data":1,"category":"orders"}`); w.states(w.masterA, free.ID, herald.MessageSending)[herald.StatePending] != 1 {
		t.Error("a category without a rule is refused")
	}
	_, err = w.send(w.masterA, `{"audience":"all","data":1,"category":"news","ttl":0}`)
	var e *herald.Error
	if !errors.As(err, &e) || e.Field != "ttl" {
		t.Errorf("with TTL 0: %v", err)
	}
	if _, err := w.send(w.masterA, `{"audience":"all","data":1,"category":"other","ttl":0}`); err != nil {
		t.Errorf("another category with TTL 0: %v", err)
	}
	if _, err := w.send(w.masterA, `{"audience":"all","data":1,"category":"a\nb"}`); code(err) != herald.CodeInvalidRequest {
		t.Errorf("a category with a line break: %v", err)
	}
	// The other settings leave the rules alone, and the same rule keeps its time.
	yes := true
	v, err = w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{DeviceTags: &yes})
	w.must(err)
	if len(v.Caps) != 2 {
		t.Errorf("caps %v", v.Caps)
	}
	app, err := w.registry.App(w.a)
	w.must(err)
	since := app.Row().Settings.Caps[0].Since
	w.pass(1000)
	first := rules[:1]
	_, err = w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Caps: &first})
	w.must(err)
	if got := app.Row().Settings.Caps; len(got) != 1 || !got[0].Since.Equal(since) {
		t.Errorf("the rule is %+v", got)
	}
	if v, err = w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Caps: &[]api.CapRule{}}); err != nil || len(v.Caps) != 0 {
		t.Errorf("%+v, %v", v.Caps, err)
	}
	if third := w.sent(w.masterA, news); w.states(w.masterA, third.ID, herald.MessageSending)[herald.StatePending] != 1 {
		t.Error("it is refused without a rule")
	}
}

func TestCapsAreChecked(t *testing.T) {
	w := newWorld(t)
	good := api.CapRule{Category: "news", Max: 1, Per: 60}
	for name, tt := range map[string]struct {
		rules []api.CapRule
		field string
	}{
		"no category": {[]api.CapRule{{Max: 1, Per: 60}}, "caps[0].category"},
		"no messages": {[]api.CapRule{good, {Category: "a", Per: 60}}, "caps[1].max"},
		"too many":    {[]api.CapRule{{Category: "a", Max: 101, Per: 60}}, "caps[0].max"},
		"too short":   {[]api.CapRule{{Category: "a", Max: 1, Per: 59}}, "caps[0].per"},
		"too long":    {[]api.CapRule{{Category: "a", Max: 1, Per: 2592001}}, "caps[0].per"},
		"twice":       {[]api.CapRule{good, good}, "caps[1]"},
		"many rules":  {make([]api.CapRule, 21), "caps"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Caps: &tt.rules})
			var e *herald.Error
			if !errors.As(err, &e) || e.Field != tt.field {
				t.Errorf("got %v", err)
			}
		})
	}
}
