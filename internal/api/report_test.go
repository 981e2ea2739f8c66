package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// report reports an event of some devices.
func (w *world) report(id herald.MessageID, e herald.DeliveryState, who ...api.Principal) {
	w.t.Helper()
	for _, p := range who {
		_, err := w.s.Receipts.Report(w.t.Context(), p, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: id, Event: e}}})
		w.must(err)
	}
}

// crowd is five devices on two platforms, of which four are connected, and a
// message to all of them: received by two, displayed by one.
func crowd(w *world) (id herald.MessageID, all []api.Principal) {
	w.t.Helper()
	for i, platform := range []herald.Platform{"android", "ios", "android", "ios", "android"} {
		d := w.device(w.a, api.RegisterRequest{Profile: api.Profile{Platform: platform}, Alias: herald.Alias(fmt.Sprint("user-", i))})
		w.online(d, i < 4)
		all = append(all, d)
	}
	id = w.sent(w.masterA, `{"audience":"all","notification":{"title":"Hello"}}`).ID
	w.pass(90 * time.Minute)
	w.report(id, herald.StateReceived, all[0])
	w.report(id, herald.StateDisplayed, all[1])
	return id, all
}

func TestReport(t *testing.T) {
	w := newWorld(t)
	id, _ := crowd(w)
	for _, folded := range []bool{false, true} {
		if folded {
			w.must(w.ledger.Fold(t.Context(), true))
		}
		r, err := w.s.Messages.Report(t.Context(), w.masterA, id, "")
		w.must(err)
		rates := func(sent, received, displayed, clicked string) string {
			return `"rates":{"sent":` + sent + `,"received":` + received + `,"displayed":` + displayed + `,"clicked":` + clicked + `}`
		}
		want := `{"target":5,"sent":4,"received":2,"displayed":1,"clicked":0,"unknown":{"received":2,"displayed":3,"clicked":3},` + rates("0.8", "0.4", "0.2", "null") + `}`
		if got := asJSON(t, r.Funnel); got != want {
			t.Errorf("funnel\n%s, want\n%s", got, want)
		}
		want = `[{"platform":"android","target":3,"sent":2,"received":1,"displayed":0,"clicked":0,"unknown":{"received":1,"displayed":2,"clicked":2},` + rates("0.6666666666666666", "0.3333333333333333", "null", "null") + `},` +
			`{"platform":"ios","target":2,"sent":2,"received":1,"displayed":1,"clicked":0,"unknown":{"received":1,"displayed":1,"clicked":1},` + rates("1", "0.5", "0.5", "null") + `}]`
		if got := asJSON(t, r.Platforms); got != want {
			t.Errorf("platforms\n%s, want\n%s", got, want)
		}
		if len(r.Channels) != 2 || r.Channels[0].Channel != "live" || r.Channels[0].Devices != 4 || r.Channels[0].Transports["websocket"] != 4 ||
			r.Channels[1].Channel != "none" || r.Channels[1].Devices != 1 || r.Channels[1].Funnel != nil {
			t.Errorf("channels %s", asJSON(t, r.Channels))
		}
		line := r.Timeline
		if line.Bucket != api.BucketMinute || len(line.Buckets) != 91 || line.Unknown != (api.Steps{}) {
			t.Fatalf("timeline %s", asJSON(t, line))
		}
		if first, last := line.Buckets[0].Steps, line.Buckets[90].Steps; first != (api.Steps{Sent: 4}) || last != (api.Steps{Received: 2, Displayed: 1}) {
			t.Errorf("the first minute %+v, the last %+v", first, last)
		}
	}
}

func TestReportBuckets(t *testing.T) {
	w := newWorld(t)
	id, all := crowd(w)
	w.pass(48 * time.Hour)
	w.report(id, herald.StateClicked, all[2])
	for bucket, want := range map[api.Bucket]api.Bucket{"": api.BucketHour, "hour": api.BucketHour, "day": api.BucketDay} {
		r, err := w.s.Messages.Report(t.Context(), w.masterA, id, bucket)
		w.must(err)
		var sum api.Steps
		for i, b := range r.Timeline.Buckets {
			sum = api.Steps{Sent: sum.Sent + b.Sent, Received: sum.Received + b.Received, Displayed: sum.Displayed + b.Displayed, Clicked: sum.Clicked + b.Clicked}
			if i > 0 && b.Time.Sub(r.Timeline.Buckets[i-1].Time) != map[api.Bucket]time.Duration{"hour": time.Hour, "day": 24 * time.Hour}[want] {
				t.Errorf("%s: bucket %d begins at %s", want, i, b.Time)
			}
		}
		if r.Timeline.Bucket != want || sum != (api.Steps{Sent: 4, Received: 3, Displayed: 2, Clicked: 1}) {
			t.Errorf("%q: buckets of a %s sum to %+v", bucket, r.Timeline.Bucket, sum)
		}
	}
	for _, bucket := range []api.Bucket{"minute", "week"} { // too many; none
		if _, err := w.s.Messages.Report(t.Context(), w.masterA, id, bucket); code(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", bucket, err)
		}
	}
}

// What cannot be known is absent, never 0.
func TestReportOfWhatIsNotKnown(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	later := w.sent(w.masterA, fmt.Sprintf(`{"audience":"all","data":1,"send_at":%q}`, w.now.Add(time.Hour).Format(time.RFC3339))).ID
	r, err := w.s.Messages.Report(t.Context(), w.masterA, later, "")
	w.must(err)
	if r.State != herald.MessageScheduled || r.Funnel != nil || r.Timeline != nil || asJSON(t, r.Platforms) != "[]" {
		t.Errorf("scheduled: %s", asJSON(t, r))
	}
	page, err := w.s.Messages.Deliveries(t.Context(), w.masterA, later, api.DeliveryQuery{})
	if err != nil || len(page.Deliveries) != 0 {
		t.Errorf("scheduled: %+v, %v", page, err)
	}
	w.online(d, true)
	never := w.sent(w.masterA, `{"audience":"all","data":1,"ttl":0}`).ID
	r, err = w.s.Messages.Report(t.Context(), w.masterA, never, "")
	w.must(err)
	if r.Funnel == nil || r.Funnel.Sent != 1 || r.Funnel.Rates.Received != nil || r.Timeline != nil || r.Channels[0].Transports != nil {
		t.Errorf("TTL 0: %s", asJSON(t, r))
	}
	nobody := w.sent(w.masterA, `{"audience":{"tags":["nobody"]},"data":1}`).ID
	r, err = w.s.Messages.Report(t.Context(), w.masterA, nobody, "")
	w.must(err)
	if r.Funnel.Rates.Sent != nil || r.Funnel.Target != 0 || len(r.Timeline.Buckets) != 0 {
		t.Errorf("for nobody: %s", asJSON(t, r))
	}
}

// listed gives deliveries in short, page by page and as a stream, which must
// be the same.
func (w *world) listed(id herald.MessageID, q api.DeliveryQuery) string {
	w.t.Helper()
	var paged, streamed []string
	short := func(list []api.DeliveryView) (out []string) {
		for _, v := range list {
			out = append(out, fmt.Sprintf("%s/%s/%s/%s", v.Alias, v.Platform, v.State, v.Via))
			if !strings.HasSuffix(v.Reason, ".") {
				w.t.Errorf("the reason %q is no sentence", v.Reason)
			}
		}
		return out
	}
	all, err := w.s.Messages.EachDelivery(w.t.Context(), w.masterA, id, q)
	w.must(err)
	for some, err := range all {
		w.must(err)
		streamed = append(streamed, short(some)...)
	}
	for q.Limit = 1; ; {
		page, err := w.s.Messages.Deliveries(w.t.Context(), w.masterA, id, q)
		w.must(err)
		paged = append(paged, short(page.Deliveries)...)
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			break
		}
	}
	if !slices.Equal(paged, streamed) {
		w.t.Errorf("pages give %q, a stream %q", paged, streamed)
	}
	return strings.Join(paged, " ")
}

func TestDeliveries(t *testing.T) {
	w := newWorld(t)
	id, all := crowd(w)
	w.must(w.s.Devices.Remove(t.Context(), w.masterA, all[3].Device))
	for name, tt := range map[string]struct {
		q    api.DeliveryQuery
		want string
	}{
		"all": {api.DeliveryQuery{}, "user-0/android/received/websocket user-1/ios/displayed/websocket user-2/android/sent/websocket " +
			"/ios/device_gone/websocket user-4/android/pending/"},
		"state":    {api.DeliveryQuery{State: herald.StatePending}, "user-4/android/pending/"},
		"platform": {api.DeliveryQuery{Platform: "ios"}, "user-1/ios/displayed/websocket /ios/device_gone/websocket"},
		"both":     {api.DeliveryQuery{State: herald.StateReceived, Platform: "android"}, "user-0/android/received/websocket"},
		"nobody":   {api.DeliveryQuery{Platform: "web"}, ""},
		"unknown":  {api.DeliveryQuery{Platform: "unknown"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.listed(id, tt.q); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	page, err := w.s.Messages.Deliveries(t.Context(), w.masterA, id, api.DeliveryQuery{})
	w.must(err)
	if v := page.Deliveries[1]; v.SentAt == nil || v.DisplayedAt == nil || v.ReceivedAt != nil || v.DisplayedAt.Sub(*v.SentAt) != 90*time.Minute {
		t.Errorf("times %s: it was displayed, and nobody said when it was received", asJSON(t, v))
	}
	if v := page.Deliveries[3]; v.RegistrationID != "" || v.EndedAt == nil {
		t.Errorf("of a removed device: %s", asJSON(t, v))
	}
	for name, q := range map[string]api.DeliveryQuery{
		"state": {State: "lost"}, "platform": {Platform: "toaster"}, "cursor": {Cursor: "x"}, "limit": {Limit: 1001},
	} {
		if _, err := w.s.Messages.Deliveries(t.Context(), w.masterA, id, q); code(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing of one app is seen by another.
func TestReportsStayApart(t *testing.T) {
	w := newWorld(t)
	id, all := crowd(w)
	ctx := t.Context()
	_, report := w.s.Messages.Report(ctx, w.masterB, id, "")
	_, deliveries := w.s.Messages.Deliveries(ctx, w.masterB, id, api.DeliveryQuery{})
	_, timeline := w.s.Devices.Timeline(ctx, w.masterB, all[0].Device, "", 0)
	for name, err := range map[string]error{"report": report, "deliveries": deliveries, "timeline": timeline} {
		if code(err) != herald.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	messages, err := w.s.Messages.EachMessage(ctx, w.masterB, "", "")
	w.must(err)
	for some := range messages {
		if len(some) > 0 {
			t.Errorf("messages: %+v", some)
		}
	}
	if _, err := w.s.Devices.Timeline(ctx, all[1], all[0].Device, "", 0); code(err) != herald.CodeForbidden {
		t.Errorf("another device's timeline: %v", err)
	}
}

// A list that was begun and cannot be whole says so.
func TestPurgeDuringAnExport(t *testing.T) {
	w := newWorld(t)
	id, _ := crowd(w)
	_, err := w.s.Messages.Withdraw(t.Context(), w.masterA, id)
	w.must(err)
	w.settle()
	all, err := w.s.Messages.EachDelivery(t.Context(), w.masterA, id, api.DeliveryQuery{})
	w.must(err)
	_, err = w.db.Purge(t.Context(), w.now, w.now.Add(time.Hour), 10)
	w.must(err)
	var last error
	for _, err := range all {
		last = err
	}
	if code(last) != herald.CodeNotFound {
		t.Errorf("the list ends with %v", last)
	}
}

func TestExportEndsWithItsCaller(t *testing.T) {
	w := newWorld(t)
	id, _ := crowd(w)
	ctx, cancel := context.WithCancel(t.Context())
	all, err := w.s.Messages.EachDelivery(ctx, w.masterA, id, api.DeliveryQuery{})
	w.must(err)
	cancel()
	var last error
	for _, err := range all {
		last = err
	}
	if last == nil {
		t.Error("the list goes on for nobody")
	}
}

func TestDeviceTimeline(t *testing.T) {
	w := newWorld(t)
	id, all := crowd(w)
	other := w.sent(w.masterA, toDevice(all[1])).ID
	own := w.sent(w.masterA, toDevice(all[0])).ID
	_, err := w.s.Messages.Withdraw(t.Context(), w.masterA, own)
	w.must(err)
	for limit := 1; limit <= 4; limit++ {
		var got []string
		for cursor := ""; ; {
			page, err := w.s.Devices.Timeline(t.Context(), all[0], all[0].Device, cursor, limit)
			w.must(err)
			for _, item := range page.Items {
				got = append(got, fmt.Sprint(item.Kind, " ", item.MessageID, " ", item.State, " ", item.Title, " ", len(item.Steps)))
			}
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
		want := []string{
			fmt.Sprintf("message %s unconfirmed  2", own), fmt.Sprintf("message %s received Hello 2", id), "registered 0   0",
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %d: %q, want %q without %s", limit, got, want, other)
		}
	}
	for _, cursor := range []string{"x", "0"} {
		if _, err := w.s.Devices.Timeline(t.Context(), w.masterA, all[0].Device, cursor, 0); code(err) != herald.CodeInvalidRequest {
			t.Errorf("cursor %s: %v", cursor, err)
		}
	}
}

func TestExports(t *testing.T) {
	w := newWorld(t)
	id, all := crowd(w)
	messages, err := w.s.Messages.EachMessage(t.Context(), w.masterA, "", "")
	w.must(err)
	var m []api.MessageView
	for some, err := range messages {
		w.must(err)
		m = append(m, some...)
	}
	if len(m) != 1 || m[0].ID != id || m[0].Counts == nil || m[0].Counts.Received != 2 {
		t.Errorf("messages %s", asJSON(t, m))
	}
	devices, err := w.s.Devices.Each(t.Context(), w.masterA, api.DeviceQuery{Platform: "ios"})
	w.must(err)
	var d []herald.RegistrationID
	for some, err := range devices {
		w.must(err)
		for _, v := range some {
			d = append(d, v.RegistrationID)
		}
	}
	if !slices.Equal(d, []herald.RegistrationID{all[1].Device, all[3].Device}) {
		t.Errorf("devices %v", d)
	}
	if _, err := w.s.Messages.EachMessage(t.Context(), w.masterA, "finished", ""); code(err) != herald.CodeInvalidRequest {
		t.Errorf("a state that cannot be listed: %v", err)
	}
}
