package api_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// released waits until a message has been released to so many devices.
func (w *world) released(id herald.MessageID, n int64) api.MessageView {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		v, err := w.s.Messages.Get(w.t.Context(), w.masterA, id)
		w.must(err)
		if v.Release != nil && v.Release.Released == n {
			return v
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the release is %+v, want %d devices", v.Release, n)
		}
	}
}

func TestReleaseOverTime(t *testing.T) {
	w := newWorld(t)
	var devices []api.Principal
	for range 4 {
		devices = append(devices, w.device(w.a, api.RegisterRequest{}))
	}
	a, err := w.sendKey(w.masterA, `{"audience":"all","data":1,"spread":{"over":400}}`, "once")
	w.must(err)
	if *a.Target != 4 || !a.Stored {
		t.Errorf("the answer is %+v", a)
	}
	v := w.released(a.ID, 1)
	if v.State != herald.MessageSending || v.Spread.Over != 400 || v.Release.Devices != 4 || v.Release.Steps != 1 || v.Release.NextAt == nil || v.Paused || v.Counts.States[herald.StatePending] != 4 {
		t.Errorf("the message is %+v, %+v", v, v.Release)
	}
	again, err := w.sendKey(w.masterA, `{"audience":"all","data":1,"spread":{"over":400}}`, "once")
	w.must(err)
	if again.ID != a.ID {
		t.Error("a repetition is another message")
	}
	change := func(c record.PlanChange) api.MessageView {
		t.Helper()
		v, err := w.s.Messages.ChangeRelease(t.Context(), w.masterA, a.ID, c)
		w.must(err)
		return v
	}
	trace := func(i int, want string) {
		t.Helper()
		tr, err := w.s.Messages.Trace(t.Context(), w.masterA, a.ID, devices[i].Device)
		w.must(err)
		if !strings.Contains(asJSON(t, tr), want) {
			t.Errorf("the trace of device %d is %s, want %q", i, asJSON(t, tr), want)
		}
	}
	trace(0, "Released to this device in its turn, as one of 4.")
	trace(1, "Waits for its release: the message is released to some devices after the other")
	if v := change(record.PlanPause); !v.Paused || v.Release.NextAt != nil {
		t.Errorf("paused: %+v %+v", v, v.Release)
	}
	trace(1, "the sender has paused the message")
	if v := change(record.PlanResume); v.Paused || v.Release.NextAt == nil {
		t.Errorf("resumed: %+v %+v", v, v.Release)
	}
	w.released(a.ID, 2)
	v = change(record.PlanStop)
	if !v.Release.Stopped || v.Counts.States[herald.StateWithdrawn] != 2 || v.Counts.States[herald.StatePending] != 2 || v.State != herald.MessageSending {
		t.Errorf("stopped: %+v %+v %+v", v, v.Release, v.Counts)
	}
	trace(3, "The sender stopped the message before it was released to this device.")
	if _, err := w.s.Messages.ChangeRelease(t.Context(), w.masterA, a.ID, record.PlanPause); code(err) != herald.CodeConflict {
		t.Errorf("a pause after the stop: %v", err)
	}
	if _, err := w.s.Messages.ChangeRelease(t.Context(), w.masterB, a.ID, record.PlanPause); code(err) != herald.CodeNotFound {
		t.Errorf("a pause by another app: %v", err)
	}
	if _, err := w.s.Messages.ChangeRelease(t.Context(), devices[0], a.ID, record.PlanPause); code(err) != herald.CodeForbidden {
		t.Errorf("a pause by a device: %v", err)
	}
	plain := w.sent(w.masterA, `{"audience":"all","data":1}`)
	if _, err := w.s.Messages.ChangeRelease(t.Context(), w.masterA, plain.ID, record.PlanPause); code(err) != herald.CodeConflict {
		t.Errorf("a pause of what was released at once: %v", err)
	}
}

func TestLocalTimesAndQuietHours(t *testing.T) {
	w := newWorld(t)
	w.must(func() error {
		_, err := w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{QuietHours: &api.QuietHoursUpdate{From: "00:00", To: "23:59"}, TimeZone: ptr("Asia/Tokyo")})
		return err
	}())
	// In Tokyo it is 12:00, and 4:00 in Paris.
	now := time.Date(2027, 1, 15, 3, 0, 0, 0, time.UTC)
	w.pass(now.Sub(func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }()))
	view, err := w.s.Apps.Get(t.Context(), w.masterA)
	w.must(err)
	if view.TimeZone != "Asia/Tokyo" || view.QuietHours.To != "23:59" {
		t.Errorf("the app is %+v", view)
	}
	d := w.device(w.a, api.RegisterRequest{Profile: api.Profile{TimeZone: "Europe/Paris"}})
	w.device(w.a, api.RegisterRequest{})
	a, err := w.send(w.masterA, `{"audience":"all","data":1}`)
	w.must(err)
	tr, err := w.s.Messages.Trace(t.Context(), w.masterA, a.ID, d.Device)
	w.must(err)
	if want := "Waits for its release at 2027-01-15 22:59:00 UTC: the device is in quiet hours (00:00 to 23:59) until then."; tr.Summary != want {
		t.Errorf("the trace is %+v", tr)
	}
	a, err = w.send(w.masterA, `{"audience":"all","data":1,"send_at_local":"2027-01-15T11:00:00"}`)
	w.must(err)
	if a.Target == nil || *a.Target != 2 {
		t.Errorf("the answer is %+v", a)
	}
	v := w.released(a.ID, 1)
	if v.SendAtLocal != "2027-01-15T11:00:00" || v.SendAt != nil || !v.ExpiresAt.Equal(time.Date(2027, 1, 16, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("the message is %+v", v)
	}
	tr, err = w.s.Messages.Trace(t.Context(), w.masterA, a.ID, d.Device)
	w.must(err)
	if want := "Waits for its release at 2027-01-15 10:00:00 UTC, when its clock shows the time that the sender chose."; tr.Summary != want {
		t.Errorf("the trace is %+v", tr)
	}
	later, err := w.send(w.masterA, `{"audience":"all","data":1,"send_at_local":"2027-01-20T11:00:00"}`)
	w.must(err)
	if later.Target != nil || *later.Estimate != 2 {
		t.Errorf("the answer is %+v", later)
	}
	if _, err := w.s.Messages.ChangeRelease(t.Context(), w.masterA, later.ID, record.PlanPause); code(err) != herald.CodeConflict {
		t.Errorf("a pause before it has begun: %v", err)
	}
	_, err = w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{QuietHours: &api.QuietHoursUpdate{}, TimeZone: ptr("")})
	w.must(err)
	view, err = w.s.Apps.Get(t.Context(), w.masterA)
	w.must(err)
	if view.TimeZone != "UTC" || view.QuietHours != nil {
		t.Errorf("the app is %+v", view)
	}
}

func ptr[T any](v T) *T { return &v }

func TestWhenIsChecked(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	for _, tt := range []struct{ name, members, field string }{
		{"spread says nothing", `"spread":{}`, "spread"},
		{"spread says two things", `"spread":{"over":5,"per_second":5}`, "spread"},
		{"spread with ttl 0", `"spread":{"over":5},"ttl":0`, "ttl"},
		{"spread beyond the ttl", `"spread":{"over":60},"ttl":60`, "spread.over"},
		{"no local time", `"send_at_local":"2027-01-15T11:00:00Z"`, "send_at_local"},
		{"local time with send_at", `"send_at_local":"2099-01-15T11:00:00","send_at":"2099-01-15T11:00:00Z"`, "send_at"},
		{"local time with spread", `"send_at_local":"2027-01-15T11:00:00","spread":{"over":60}`, "send_at_local"},
		{"local time with ttl 0", `"send_at_local":"2027-01-15T11:00:00","ttl":0`, "ttl"},
		{"local time is past", `"send_at_local":"2001-01-15T11:00:00"`, "send_at_local"},
		{"local time is far", `"send_at_local":"2199-01-15T11:00:00"`, "send_at_local"},
		{"quiet hours are a word", `"quiet_hours":"loud"`, "quiet_hours"},
		{"there are no quiet hours", `"quiet_hours":"respect"`, "quiet_hours"},
		{"quiet hours with ttl 0", `"quiet_hours":"respect","ttl":0`, "ttl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.send(w.masterA, `{"audience":"all","data":1,`+tt.members+`}`)
			if code(err) != herald.CodeInvalidRequest || !strings.Contains(asJSON(t, err), `"`+tt.field+`"`) {
				t.Errorf("got %s", asJSON(t, err))
			}
		})
	}
	for _, u := range []api.AppUpdate{
		{TimeZone: ptr("Mars/Base")}, {TimeZone: ptr("Local")},
		{QuietHours: &api.QuietHoursUpdate{From: "22:00"}}, {QuietHours: &api.QuietHoursUpdate{From: "22:00", To: "22:00"}},
	} {
		if _, err := w.s.Apps.Update(t.Context(), w.masterA, u); code(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", asJSON(t, u), err)
		}
	}
}

// summarized waits until the trace of a message says something.
func (w *world) summarized(id herald.MessageID, d api.Principal, want string) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		tr, err := w.s.Messages.Trace(w.t.Context(), w.masterA, id, d.Device)
		w.must(err)
		if strings.Contains(tr.Summary, want) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the trace says %q, want %q", tr.Summary, want)
		}
	}
}

// TestKeptFromConnections: the trace of a delivery says why a message does not go
// to connections, and a message that is released at once is not shown as one that
// is on its way.
func TestKeptFromConnections(t *testing.T) {
	w := worldWith(t, noVendors{})
	send := func(body string) api.SendAnswer {
		t.Helper()
		a, err := w.send(w.masterA, body)
		w.must(err)
		return a
	}
	d, taken := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	later := send(`{"audience":"all","data":1,"route":{"steps":[{"channel":"live","after":"10s","unless":"sent"}]}}`)
	w.summarized(later.ID, d, "Not received yet. By its route it goes to connections at "+w.now.Add(10*time.Second).Format("2006-01-02 15:04:05")+" UTC, unless it was sent by then.")
	v, err := w.s.Messages.Get(t.Context(), w.masterA, later.ID)
	w.must(err)
	if v.Release != nil || v.Counts.States[herald.StatePending] != 2 {
		t.Errorf("the message is %+v", v)
	}
	if _, err := w.s.Messages.ChangeRelease(t.Context(), w.masterA, later.ID, record.PlanPause); code(err) != herald.CodeConflict {
		t.Errorf("a pause of what was released at once: %v", err)
	}
	w.must(w.ledger.Apply(t.Context(), w.a, record.Event{Msg: later.ID, State: herald.StateSent, Set: sets.New(taken.Ord), Time: w.now, Via: "apns"}))
	w.summarized(later.ID, taken, "it was handed to apns. By its route it goes to connections at ")
	w.pass(10 * time.Second)
	w.summarized(later.ID, taken, "it was handed to apns. By its route it does not go to connections of this device: it was sent before that had its turn.")
	w.summarized(later.ID, d, "Waiting: the device is not connected")

	shown := send(`{"audience":"all","data":1,"route":{"steps":[{"channel":"live","after":"10s","unless":"displayed"}]}}`)
	w.summarized(shown.ID, d, ", unless it was received by then.")
	never := send(`{"audience":"all","data":1,"route":{"steps":[{"channel":"sms"}]}}`)
	w.summarized(never.ID, d, "Not received yet. By its route it does not go to connections.")
	second := send(`{"audience":"all","data":1,"route":{"steps":[{"channel":"sms"},{"channel":"live","unless":"sent"}]}}`)
	w.summarized(second.ID, d, "Waiting: the device is not connected")
}
