package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/strict"
)

const daily = `{"name":"daily","trigger":{"unit":"day","time":"09:00"},"zone":"Asia/Shanghai","message":{"audience":"all","data":1}}`

func scheduleRequest(t *testing.T, body string) api.ScheduleRequest {
	t.Helper()
	var r api.ScheduleRequest
	if err := strict.Decode([]byte(body), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) schedule(body string) api.ScheduleView {
	w.t.Helper()
	v, err := w.s.Schedules.Create(w.t.Context(), w.masterA, scheduleRequest(w.t, body), "", nil)
	w.must(err)
	return v
}

// scheduleMethods are the rows of the matrix about schedules.
func (w *world) scheduleMethods() map[string]func(context.Context, api.Principal) error {
	one := w.schedule(daily).ID
	update := func(u api.ScheduleUpdate) func(context.Context, api.Principal) error {
		return func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Schedules.Update(ctx, p, one, u)
			return err
		}
	}
	view := func(call func(context.Context, api.Principal, herald.ScheduleID) (api.ScheduleView, error)) func(context.Context, api.Principal) error {
		return func(ctx context.Context, p api.Principal) error { _, err := call(ctx, p, one); return err }
	}
	name := "another"
	return map[string]func(context.Context, api.Principal) error{
		"make schedule": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Schedules.Create(ctx, p, scheduleRequest(w.t, daily), "", nil)
			return err
		},
		"schedules": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Schedules.List(ctx, p, api.ScheduleQuery{})
			return err
		},
		"schedule": view(w.s.Schedules.Get),
		"next occurrences": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Schedules.Next(ctx, p, one, 1)
			return err
		},
		"runs": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Schedules.Runs(ctx, p, one, "", 0)
			return err
		},
		"preview": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Schedules.Preview(ctx, p, api.SchedulePreview{Trigger: calendar.Trigger{Cron: "@daily"}})
			return err
		},
		"change schedule": update(api.ScheduleUpdate{Name: &name}), "pause schedule": view(w.s.Schedules.Pause),
		"resume schedule": view(w.s.Schedules.Resume), "skip": view(w.s.Schedules.Skip),
		"run schedule": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Schedules.Run(ctx, p, one, "")
			return err
		},
		"delete schedule": func(ctx context.Context, p api.Principal) error {
			return w.s.Schedules.Delete(ctx, p, w.schedule(daily).ID)
		},
	}
}

// at sets the clock.
func (w *world) at(s string) {
	w.t.Helper()
	now, err := time.Parse(time.RFC3339, s)
	w.must(err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

// awaitRuns waits until a schedule has so many runs.
func (w *world) awaitRuns(id herald.ScheduleID, n int) []api.ScheduleRun {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		page, err := w.s.Schedules.Runs(w.t.Context(), w.masterA, id, "", 0)
		w.must(err)
		if len(page.Runs) >= n {
			return page.Runs
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the schedule has %d runs, want %d", len(page.Runs), n)
		}
	}
}

func TestSchedule(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.at("2026-11-22T00:30:00Z")
	w.device(w.a, api.RegisterRequest{})
	v := w.schedule(daily)
	if v.State != herald.ScheduleActive || !v.NextAt.Equal(time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)) || v.Missed != "once" || v.Grace != 60 ||
		v.CreatedBy.Kind != "master" || *v.Estimate != 1 || v.Zone != "Asia/Shanghai" || string(v.Message.Data) != "1" {
		t.Errorf("made %s", asJSON(t, v))
	}
	next, err := w.s.Schedules.Next(ctx, w.masterA, v.ID, 2)
	w.must(err)
	if got := asJSON(t, next.Occurrences); got != `[{"at":"2026-11-22T01:00:00Z","local":"2026-11-22T09:00:00"},{"at":"2026-11-23T01:00:00Z","local":"2026-11-23T09:00:00"}]` {
		t.Errorf("next %s", got)
	}

	// The audience is evaluated when it is due.
	w.device(w.a, api.RegisterRequest{})
	w.at("2026-11-22T01:00:00Z")
	run := w.awaitRuns(v.ID, 1)[0]
	m, err := w.s.Messages.Get(ctx, w.masterA, run.MessageID)
	w.must(err)
	if run.State != "sent" || m.Counts.Target != 2 || m.Schedule == nil || m.Schedule.ID != v.ID || !m.Schedule.Occurrence.Equal(run.Occurrence) {
		t.Errorf("run %+v, message %s", run, asJSON(t, m))
	}
	list, err := w.s.Messages.List(ctx, w.masterA, "", "", 0)
	w.must(err)
	if len(list.Messages) != 1 || list.Messages[0].Schedule == nil {
		t.Errorf("list %s", asJSON(t, list))
	}

	// The next one is left out, and one is sent by hand.
	v, err = w.s.Schedules.Skip(ctx, w.masterA, v.ID)
	w.must(err)
	if !v.NextAt.Equal(time.Date(2026, 11, 24, 1, 0, 0, 0, time.UTC)) || len(v.LastRuns) != 2 || v.LastRuns[0].State != "skipped" {
		t.Errorf("skipped %s", asJSON(t, v))
	}
	by, err := w.s.Schedules.Run(ctx, w.masterA, v.ID, "once")
	w.must(err)
	again, err := w.s.Schedules.Run(ctx, w.masterA, v.ID, "once")
	w.must(err)
	if by != again || !by.Manual || by.MessageID == 0 {
		t.Errorf("by hand %+v, and again %+v", by, again)
	}
	page, err := w.s.Schedules.Runs(ctx, w.masterA, v.ID, "", 2)
	w.must(err)
	rest, err := w.s.Schedules.Runs(ctx, w.masterA, v.ID, page.NextCursor, 2)
	w.must(err)
	if len(page.Runs) != 2 || page.Runs[1].MessageID != by.MessageID || len(rest.Runs) != 1 || rest.Runs[0].MessageID != run.MessageID || rest.NextCursor != "" {
		t.Errorf("pages %s %s", asJSON(t, page), asJSON(t, rest))
	}

	// Paused, it leaves out what falls due.
	v, err = w.s.Schedules.Pause(ctx, w.masterA, v.ID)
	w.must(err)
	if v.State != herald.SchedulePaused || v.NextAt != nil {
		t.Errorf("paused %s", asJSON(t, v))
	}
	if _, err := w.s.Schedules.Skip(ctx, w.masterA, v.ID); code(err) != herald.CodeConflict {
		t.Errorf("skipping what is paused: %v", err)
	}
	none, err := w.s.Schedules.Next(ctx, w.masterA, v.ID, 2)
	w.must(err)
	if len(none.Occurrences) != 0 {
		t.Errorf("paused, it occurs %v", none)
	}
	w.at("2026-11-25T12:00:00Z")
	v, err = w.s.Schedules.Resume(ctx, w.masterA, v.ID)
	w.must(err)
	if !v.NextAt.Equal(time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)) || v.State != herald.ScheduleActive {
		t.Errorf("resumed %s", asJSON(t, v))
	}

	w.must(w.s.Schedules.Delete(ctx, w.masterA, v.ID))
	if _, err := w.s.Schedules.Get(ctx, w.masterA, v.ID); code(err) != herald.CodeNotFound {
		t.Errorf("deleted: %v", err)
	}
	if _, err := w.s.Messages.Get(ctx, w.masterA, run.MessageID); err != nil {
		t.Errorf("its message: %v", err)
	}
}

// What cannot be sent when it is due is said in the list of runs.
func TestScheduleRefusedWhenDue(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.at("2026-11-22T00:30:00Z")
	_, _, err := w.s.Segments.Put(ctx, w.masterA, "vip", api.SegmentRequest{Audience: herald.Audience{All: true}})
	w.must(err)
	v := w.schedule(`{"name":"x","trigger":{"cron":"0 * * * *"},"message":{"audience":{"segments":["vip"]},"data":1}}`)
	strictly := w.schedule(`{"name":"x","trigger":{"cron":"0 * * * *"},"message":{"audience":{"tags":["nobody"]},"data":1,"require_target":true}}`)
	w.must(w.s.Segments.Delete(ctx, w.masterA, "vip"))
	w.at("2026-11-22T01:00:00Z")
	for id, code := range map[herald.ScheduleID]string{v.ID: "segment", strictly.ID: "empty"} {
		run := w.awaitRuns(id, 1)[0]
		if run.State != "refused" || run.MessageID != 0 || !strings.Contains(run.Reason, code) || run.Remedy == "" || run.Code == "" {
			t.Errorf("run %+v", run)
		}
	}
	got, err := w.s.Schedules.Get(ctx, w.masterA, v.ID)
	w.must(err)
	if got.State != herald.ScheduleActive || !got.NextAt.Equal(time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)) {
		t.Errorf("it goes on: %s", asJSON(t, got))
	}
}

func TestScheduleUpdate(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.at("2026-11-22T00:30:00Z")
	v := w.schedule(daily)
	update := func(body string) (api.ScheduleView, error) {
		t.Helper()
		var u api.ScheduleUpdate
		w.must(strict.Decode([]byte(body), &u))
		return w.s.Schedules.Update(ctx, w.masterA, v.ID, u)
	}
	w.pass(time.Minute)
	for _, c := range []struct{ name, body, next, state, check string }{
		{"name", `{"name":"Täglich"}`, "2026-11-22T01:00:00Z", "active", `"name":"Täglich"`},
		{"message", `{"message":{"audience":{"tags":["a"]},"notification":{"title":"hi"}}}`, "2026-11-22T01:00:00Z", "active", `"estimate":0`},
		{"zone", `{"zone":"Asia/Tokyo"}`, "2026-11-23T00:00:00Z", "active", `"zone":"Asia/Tokyo"`},
		{"trigger", `{"trigger":{"cron":"0 12 * * *"}}`, "2026-11-22T03:00:00Z", "active", `"trigger":{"cron":"0 12 * * *"}`},
		{"paused", `{"paused":true}`, "", "paused", `"updated_at":"2026-11-22T00:31:00Z"`},
		{"trigger while it is paused", `{"trigger":{"at":"2026-11-22T09:35:00"},"missed":"skip","grace":0}`, "", "paused", `"missed":"skip","grace":0`},
		{"resumed", `{"paused":false}`, "2026-11-22T00:35:00Z", "active", `"state":"active"`},
		{"resumed again", `{"paused":false}`, "2026-11-22T00:35:00Z", "active", `"state":"active"`},
	} {
		got, err := update(c.body)
		w.must(err)
		next := ""
		if got.NextAt != nil {
			next = got.NextAt.Format(time.RFC3339)
		}
		if next != c.next || string(got.State) != c.state || !strings.Contains(asJSON(t, got), c.check) {
			t.Errorf("%s: %s", c.name, asJSON(t, got))
		}
	}
	got, err := update(`{"trigger":{"at":"2026-11-22T09:35:00"}}`)
	w.must(err)
	got, err = w.s.Schedules.Skip(ctx, w.masterA, got.ID)
	w.must(err)
	if got.State != herald.ScheduleEnded || got.EndedAt == nil || got.NextAt != nil {
		t.Errorf("ended %s", asJSON(t, got))
	}
	for name, call := range map[string]func() error{
		"skip":   func() error { _, err := w.s.Schedules.Skip(ctx, w.masterA, v.ID); return err },
		"resume": func() error { _, err := w.s.Schedules.Resume(ctx, w.masterA, v.ID); return err },
	} {
		if err := call(); code(err) != herald.CodeConflict {
			t.Errorf("%s of a schedule that has ended: %v", name, err)
		}
	}
	got, err = update(`{"name":"over","zone":"UTC"}`)
	w.must(err)
	if got.State != herald.ScheduleEnded || got.Name != "over" {
		t.Errorf("changed after its end: %s", asJSON(t, got))
	}
	if got, err = update(`{"trigger":{"cron":"@daily"}}`); err != nil || got.State != herald.ScheduleActive || got.EndedAt != nil {
		t.Errorf("begun again: %s, %v", asJSON(t, got), err)
	}
	// What ended because its time passed while it was paused.
	_, err = update(`{"trigger":{"at":"2026-11-22T01:00:00"},"paused":true}`)
	w.must(err)
	w.at("2026-11-23T00:00:00Z")
	if got, err = update(`{"paused":false}`); err != nil || got.State != herald.ScheduleEnded {
		t.Errorf("resumed too late: %s, %v", asJSON(t, got), err)
	}
}

func TestScheduleRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.at("2026-11-22T00:30:00Z")
	with := func(member, value string) string {
		var m map[string]json.RawMessage
		w.must(json.Unmarshal([]byte(daily), &m))
		m[member] = json.RawMessage(value)
		return asJSON(t, m)
	}
	v := w.schedule(daily)
	for _, c := range []struct{ name, body, field string }{
		{"no name", with("name", `""`), "name"},
		{"a long name", with("name", `"`+long(256)+`"`), "name"},
		{"a name on two lines", with("name", `"a\nb"`), "name"},
		{"past", with("trigger", `{"at":"2026-11-22T08:29:59"}`), "trigger.at"},
		{"too late", with("trigger", `{"at":"2027-11-23T08:30:00"}`), "trigger.at"},
		{"never", with("trigger", `{"cron":"@daily","end":"2026-11-22T12:00:00"}`), "trigger"},
		{"no trigger", with("trigger", `{}`), "trigger"},
		{"zone", with("zone", `"Nowhere"`), "zone"},
		{"missed", with("missed", `"all"`), "missed"},
		{"grace", with("grace", `86401`), "grace"},
		{"negative grace", with("grace", `-1`), "grace"},
		{"a message with a time", with("message", `{"audience":"all","data":1,"send_at":"2026-12-01T00:00:00Z"}`), "message.send_at"},
		{"a message that says nothing", with("message", `{"audience":"all"}`), "message.notification"},
		{"an audience that is not there", with("message", `{"audience":{"segments":["none"]},"data":1}`), "message.audience.segments"},
	} {
		r := scheduleRequest(t, c.body)
		_, err := w.s.Schedules.Create(ctx, w.masterA, r, "", nil)
		u := api.ScheduleUpdate{Name: &r.Name, Trigger: &r.Trigger, Zone: &r.Zone, Message: &r.Message, Missed: &r.Missed, Grace: r.Grace}
		_, uerr := w.s.Schedules.Update(ctx, w.masterA, v.ID, u)
		for _, err := range []error{err, uerr} {
			var e *herald.Error
			if !errors.As(err, &e) || e.Field != c.field && !strings.HasPrefix(e.Field, c.field+"[") || e.Remedy == "" {
				t.Errorf("%s: %+v, want a refusal of %s", c.name, err, c.field)
			}
		}
	}
	for name, call := range map[string]func() error{
		"cursor":      func() error { _, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{Cursor: "x"}); return err },
		"state":       func() error { _, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{State: "x"}); return err },
		"limit":       func() error { _, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{Limit: -1}); return err },
		"limit runs":  func() error { _, err := w.s.Schedules.Runs(ctx, w.masterA, v.ID, "", -1); return err },
		"cursor runs": func() error { _, err := w.s.Schedules.Runs(ctx, w.masterA, v.ID, "x", 0); return err },
		"count":       func() error { _, err := w.s.Schedules.Next(ctx, w.masterA, v.ID, 101); return err },
		"preview":     func() error { _, err := w.s.Schedules.Preview(ctx, w.masterA, api.SchedulePreview{}); return err },
		"preview zone": func() error {
			_, err := w.s.Schedules.Preview(ctx, w.masterA, api.SchedulePreview{Zone: "x", Trigger: calendar.Trigger{Cron: "@daily"}})
			return err
		},
	} {
		if err := call(); code(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Nothing of what was refused is there.
	page, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{})
	w.must(err)
	if page.Total != 1 || asJSON(t, page.Schedules[0].Trigger) != `{"unit":"day","time":"09:00"}` {
		t.Errorf("there is %s", asJSON(t, page))
	}
}

func TestScheduleList(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var ids []herald.ScheduleID
	for i := range 5 {
		ids = append(ids, w.schedule(fmt.Sprintf(`{"name":"n%d","paused":%v,"trigger":{"cron":"@daily"},"message":{"audience":"all","data":1}}`, i, i == 3)).ID)
	}
	page, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{Limit: 2})
	w.must(err)
	next, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{Limit: 3, Cursor: page.NextCursor})
	w.must(err)
	var got []herald.ScheduleID
	for _, v := range append(page.Schedules, next.Schedules...) {
		got = append(got, v.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint(ids) || next.NextCursor != "" || page.Total != 5 {
		t.Errorf("%v, want %v", got, ids)
	}
	third, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{Offset: 2, Limit: 1})
	w.must(err)
	paused, err := w.s.Schedules.List(ctx, w.masterA, api.ScheduleQuery{State: herald.SchedulePaused})
	w.must(err)
	if third.Schedules[0].ID != ids[2] || len(paused.Schedules) != 1 || paused.Total != 1 || paused.Schedules[0].ID != ids[3] {
		t.Errorf("third %s, paused %s", asJSON(t, third), asJSON(t, paused))
	}
}

// A repetition with the same key makes nothing, also when the call would be
// refused by then.
func TestScheduleIdempotency(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.at("2026-11-22T00:30:00Z")
	body := `{"name":"once","trigger":{"at":"2026-11-22T00:31:00"},"message":{"audience":"all","data":1}}`
	create := func(body string) (api.ScheduleView, error) {
		return w.s.Schedules.Create(ctx, w.masterA, scheduleRequest(t, body), "key", []byte(body))
	}
	first, err := create(body)
	w.must(err)
	second, err := create(body)
	w.must(err)
	w.at("2026-11-22T12:00:00Z")
	third, err := create(body)
	w.must(err)
	for _, v := range []api.ScheduleView{second, third} {
		if asJSON(t, v) != asJSON(t, first) {
			t.Errorf("answered %s, then %s", asJSON(t, first), asJSON(t, v))
		}
	}
	if _, err := create(daily); code(err) != herald.CodeIdempotencyConflict {
		t.Errorf("another body: %v", err)
	}
}
