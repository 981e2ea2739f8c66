package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func webhookRow(app herald.AppKey, id string) record.Webhook {
	return record.Webhook{App: app, ID: id, URL: "https://example.com/" + id, Events: []string{"*"}, Created: start, Updated: start,
		Secrets: []record.WebhookSecret{{Sealed: []byte("sealed")}}}
}

func (f *fixture) webhook(app herald.AppKey, id string) record.Webhook {
	f.t.Helper()
	list, err := f.Webhooks(f.ctx, app)
	f.must(err)
	for _, w := range list {
		if w.ID == id {
			return w
		}
	}
	f.t.Fatalf("there is no webhook %s among %d", id, len(list))
	return record.Webhook{}
}

func (f *fixture) webhookLog(app herald.AppKey, after uint64, limit int) (out []record.WebhookEntry) {
	f.t.Helper()
	f.must(f.WebhookLog(f.ctx, app, after, limit, func(e record.WebhookEntry) error { out = append(out, e); return nil }))
	return out
}

func (f *fixture) addDelivery(d record.WebhookDelivery, fence int64) (record.WebhookDelivery, error) {
	list, err := f.AddDeliveries(f.ctx, []record.WebhookDelivery{d}, fence)
	if err != nil {
		return d, err
	}
	return list[0], nil
}

// markDelivery marks a delivery, or only the webhook if it has no number.
func (f *fixture) markDelivery(d record.WebhookDelivery, fence int64, change func(*record.Webhook)) error {
	list := []record.WebhookDelivery{d}
	if d.Seq == 0 {
		list = nil
	}
	return f.MarkDeliveries(f.ctx, d.App, d.Hook, list, fence, change)
}

func (f *fixture) openDelivery(app herald.AppKey, hook string) (record.WebhookDelivery, error) {
	list, err := f.OpenDeliveries(f.ctx, app, hook, 1)
	if err != nil || len(list) == 0 {
		return record.WebhookDelivery{}, errors.Join(err, herald.Errorf(herald.CodeNotFound, "Add one.", "none is open"))
	}
	return list[0], nil
}

func testWebhooks(t *testing.T, f *fixture) {
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "b"), 2))
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "a"), 2))
	f.must(f.CreateWebhook(f.ctx, webhookRow(appB, "b"), 2))
	refused(t, f.CreateWebhook(f.ctx, webhookRow(appA, "c"), 2), herald.CodeLimitReached)
	got, err := f.UpdateWebhook(f.ctx, appA, "a", func(w *record.Webhook) error {
		w.URL, w.Disabled, w.Reason, w.Failing = "https://example.net/", true, "why", start
		return nil
	})
	f.must(err)
	no := herald.Invalid("x", "Do not.", "is refused")
	if _, err := f.UpdateWebhook(f.ctx, appA, "a", func(*record.Webhook) error { return no }); !errors.Is(err, no) {
		t.Errorf("a change that refuses: %v", err)
	}
	_, err = f.UpdateWebhook(f.ctx, appA, "c", func(*record.Webhook) error { return nil })
	refused(t, err, herald.CodeNotFound)
	f.restart()
	same(t, "updated", f.webhook(appA, "a"), got)
	b := webhookRow(appA, "b")
	same(t, "created", f.webhook(appA, "b"), b)
	all, err := f.Webhooks(f.ctx, "")
	f.must(err)
	if len(all) != 3 || all[0].ID != "a" || all[1].ID != "b" || all[2].App != appB {
		t.Errorf("all webhooks: %+v", all)
	}
	_, err = f.addDelivery(record.WebhookDelivery{App: appA, Hook: "b", ID: "d", Open: true, At: start}, 0)
	f.must(err)
	f.must(f.DeleteWebhook(f.ctx, appA, "b"))
	refused(t, f.DeleteWebhook(f.ctx, appA, "b"), herald.CodeNotFound)
	list, err := f.Deliveries(f.ctx, appA, "b", 0, 10)
	f.must(err)
	same(t, "deliveries of a deleted webhook", len(list), 0)
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "c"), 2))
}

func testWebhookLease(t *testing.T, f *fixture) {
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "a"), 9))
	one, err := f.LeaseWebhook(f.ctx, appA, "a", "one", f.clock(), time.Minute)
	f.must(err)
	_, err = f.LeaseWebhook(f.ctx, appA, "a", "two", f.clock(), time.Minute)
	refused(t, err, herald.CodeConflict)
	again, err := f.LeaseWebhook(f.ctx, appA, "a", "one", f.clock(), time.Minute)
	f.must(err)
	d := record.WebhookDelivery{App: appA, Hook: "a", ID: "d", Open: true, Events: 1, At: start}
	_, err = f.addDelivery(d, one.Fence)
	refused(t, err, herald.CodeConflict)
	d, err = f.addDelivery(d, again.Fence)
	f.must(err)
	f.sleep(2 * time.Minute)
	two, err := f.LeaseWebhook(f.ctx, appA, "a", "two", f.clock(), time.Minute)
	f.must(err)
	refused(t, f.markDelivery(d, again.Fence, func(w *record.Webhook) { w.Failures = 9 }), herald.CodeConflict)
	same(t, "after a late mark", f.webhook(appA, "a").Failures, 0)
	_, err = f.UpdateWebhook(f.ctx, appA, "a", func(*record.Webhook) error { return nil })
	f.must(err)
	refused(t, f.markDelivery(d, two.Fence, func(*record.Webhook) {}), herald.CodeConflict)
	_, err = f.LeaseWebhook(f.ctx, appA, "b", "two", f.clock(), time.Minute)
	refused(t, err, herald.CodeNotFound)
}

// testWebhookLog does everything that webhooks are told of, in an app with one
// and in one without.
func testWebhookLog(t *testing.T, f *fixture) {
	f.register(appA, 1)
	f.append(event(1, 0))
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "a"), 9))
	same(t, "the log of an app that had no webhook", len(f.webhookLog(appA, 0, 100)), 0)

	alice := f.register(appA, 2, withAlias("alice"))
	f.register(appA, 2) // it shows up again, which is nothing to tell
	bob := herald.Alias("bob")
	_, err := f.UpdateDevice(f.ctx, appA, alice.ID, record.DevicePatch{Alias: &bob, AddTags: []herald.Tag{"t"}})
	f.must(err)
	_, err = f.UpdateDevice(f.ctx, appA, alice.ID, record.DevicePatch{AddTags: []herald.Tag{"u"}})
	f.must(err)
	_, err = f.BindDevices(f.ctx, appA, []record.Binding{{ID: regID(1), Alias: "carol"}, {ID: alice.ID}}, true)
	f.must(err)
	f.sleep(time.Second)
	events := []record.Event{event(7, 0, 1), event(8, 1)}
	f.append(events...)
	m := f.message(0)
	f.accept(m)
	_, err = f.EndMessage(f.ctx, appA, m.ID, herald.MessageWithdrawn, f.clock())
	f.must(err)
	_, err = f.RemoveDevice(f.ctx, appA, alice.ID)
	f.must(err)
	f.register(appB, 1)
	same(t, "the log of an app without webhooks", len(f.webhookLog(appB, 0, 100)), 0)

	f.restart()
	later := start.Add(time.Second)
	want := []record.WebhookEntry{
		{N: 1, Epoch: 1, At: start, Devices: []record.WebhookDevice{{Kind: "registered", Ord: 1, Alias: "alice"}}},
		{N: 2, Epoch: 1, At: start, Devices: []record.WebhookDevice{{Kind: "bound", Ord: 1, Alias: "bob"}}},
		{N: 3, Epoch: 1, At: start, Devices: []record.WebhookDevice{{Kind: "bound", Ord: 0, Alias: "carol"}, {Kind: "unbound", Ord: 1}}},
		{N: 4, Epoch: 1, At: later, Events: events},
		{N: 5, Epoch: 1, At: later, Ends: []record.WebhookEnd{{Msg: m.ID, State: herald.MessageWithdrawn}}},
		{N: 6, Epoch: 1, At: later, Devices: []record.WebhookDevice{{Kind: "removed", Ord: 1, ID: alice.ID}}},
	}
	same(t, "log", f.webhookLog(appA, 0, 100), want)
	same(t, "a part of the log", f.webhookLog(appA, 2, 2), want[2:4])
	same(t, "end of the log", f.webhook(appA, "a").LogEnd, uint64(6))
	for at, n := range map[time.Time]uint64{start: 0, later: 3, later.Add(time.Millisecond): 6, later.Add(time.Hour): 6} {
		got, err := f.WebhookLogAt(f.ctx, appA, at)
		f.must(err)
		same(t, "the log at "+at.String(), got, n)
	}
	names, err := f.DeviceNames(f.ctx, appA, []herald.Ordinal{0, 1, 9})
	f.must(err)
	same(t, "names", names, map[herald.Ordinal]record.DeviceName{0: {ID: regID(1), Alias: "carol", Platform: herald.PlatformWeb}})

	// One that comes later is not told of what was before.
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "b"), 9))
	same(t, "where a new webhook begins", f.webhook(appA, "b").Sent, record.WebhookPos{N: 6})
}

func testWebhookDeliveries(t *testing.T, f *fixture) {
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "a"), 9))
	w, err := f.LeaseWebhook(f.ctx, appA, "a", "one", f.clock(), time.Minute)
	f.must(err)
	_, err = f.openDelivery(appA, "a")
	refused(t, err, herald.CodeNotFound)
	var list []record.WebhookDelivery
	for i := range 3 {
		d := record.WebhookDelivery{App: appA, Hook: "a", ID: string(rune('x' + i)), Open: true, From: record.WebhookPos{N: uint64(i)}, To: record.WebhookPos{N: uint64(i) + 1}, Events: 1, At: start}
		d, err := f.addDelivery(d, w.Fence)
		f.must(err)
		list = append(list, d)
	}
	same(t, "waiting", f.webhook(appA, "a").Waiting, 3)
	got, err := f.openDelivery(appA, "a")
	f.must(err)
	same(t, "the oldest open one", got, list[0])
	got.Open, got.Attempts, got.Tried, got.Status, got.Took, got.Error, got.Excerpt = false, 2, start.Add(time.Minute), 200, time.Second, "e", "x"
	f.must(f.markDelivery(got, w.Fence, func(w *record.Webhook) { w.Sent, w.LastGood = got.To, start }))
	list[0] = got
	f.must(f.markDelivery(record.WebhookDelivery{App: appA, Hook: "a"}, w.Fence, func(w *record.Webhook) { w.Failures = 3 }))
	f.restart()
	now := f.webhook(appA, "a")
	if now.Sent != got.To || !now.LastGood.Equal(start) || now.Failures != 3 || now.Waiting != 2 {
		t.Errorf("the webhook is %+v", now)
	}
	got, err = f.Delivery(f.ctx, appA, "a", "x")
	f.must(err)
	same(t, "by ID", got, list[0])
	_, err = f.Delivery(f.ctx, appA, "a", "w")
	refused(t, err, herald.CodeNotFound)
	page, err := f.Deliveries(f.ctx, appA, "a", 0, 2)
	f.must(err)
	same(t, "newest", page, []record.WebhookDelivery{list[2], list[1]})
	page, err = f.Deliveries(f.ctx, appA, "a", 2, 2)
	f.must(err)
	same(t, "before", page, list[:1])
	_, err = f.addDelivery(record.WebhookDelivery{App: appA, Hook: "b"}, 0)
	refused(t, err, herald.CodeNotFound)

	// Several are written and marked together.
	var several []record.WebhookDelivery
	for i := range 3 {
		several = append(several, record.WebhookDelivery{App: appA, Hook: "a", ID: "several" + string(rune('0'+i)), Open: true, To: record.WebhookPos{N: 9}, Shard: i, Shards: 3, At: start})
	}
	_, err = f.AddDeliveries(f.ctx, several, w.Fence+1)
	refused(t, err, herald.CodeConflict)
	several, err = f.AddDeliveries(f.ctx, several, w.Fence)
	f.must(err)
	if several[0].Seq != 4 || several[2].Seq != 6 {
		t.Errorf("the numbers of several are %d to %d", several[0].Seq, several[2].Seq)
	}
	open, err := f.OpenDeliveries(f.ctx, appA, "a", 4)
	f.must(err)
	same(t, "open ones", open, []record.WebhookDelivery{list[1], list[2], several[0], several[1]})
	several[0].Open, several[2].Open, several[1].Attempts = false, false, 1
	refused(t, f.MarkDeliveries(f.ctx, appA, "a", several, w.Fence+1, func(*record.Webhook) {}), herald.CodeConflict)
	f.must(f.MarkDeliveries(f.ctx, appA, "a", several, w.Fence, func(w *record.Webhook) { w.Failures = 4 }))
	f.restart()
	open, err = f.OpenDeliveries(f.ctx, appA, "a", 9)
	f.must(err)
	same(t, "open ones then", open, []record.WebhookDelivery{list[1], list[2], several[1]})
	same(t, "failures", f.webhook(appA, "a").Failures, 4)
	none, err := f.AddDeliveries(f.ctx, nil, 0)
	f.must(err)
	same(t, "none", len(none), 0)
}

func testWebhookDone(t *testing.T, f *fixture) {
	done, last, err := f.WebhookDone(f.ctx, appA)
	f.must(err)
	same(t, "without webhooks", []uint64{done, last}, []uint64{0, 0})
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "a"), 9))
	f.append(event(7, 0))
	f.append(event(8, 0))
	f.must(f.TellDone(f.ctx, appA, 1, []herald.MessageID{7}))
	f.must(f.TellDone(f.ctx, appA, 2, []herald.MessageID{7, 8}))
	f.must(f.TellDone(f.ctx, appA, 1, nil))
	f.restart()
	done, last, err = f.WebhookDone(f.ctx, appA)
	f.must(err)
	same(t, "looked for and last", []uint64{done, last}, []uint64{2, 4})
	list := f.webhookLog(appA, 2, 9)
	if len(list) != 2 || len(list[0].Ends) != 1 || list[0].Ends[0] != (record.WebhookEnd{Msg: 7, State: herald.MessageDone}) || len(list[1].Ends) != 1 || list[1].Ends[0].Msg != 8 {
		t.Errorf("told %+v", list)
	}
}

func testWebhookPurge(t *testing.T, f *fixture) {
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "a"), 9))
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "b"), 9))
	for range 10 {
		f.append(record.Event{Msg: 1, State: herald.StateSent, Set: sets.New(1, 2, 3), Time: start})
		f.sleep(time.Minute)
	}
	_, err := f.UpdateWebhook(f.ctx, appA, "b", func(w *record.Webhook) error { w.Sent = record.WebhookPos{N: 2, I: 1}; return nil })
	f.must(err)
	for i := range 4 {
		_, err := f.addDelivery(record.WebhookDelivery{App: appA, Hook: "a", ID: "d", Open: i == 0, At: start}, 0)
		f.must(err)
	}
	f.must(f.PurgeWebhooks(f.ctx, start.Add(3*time.Minute), 1<<30, 2))
	log := f.webhookLog(appA, 0, 100)
	if len(log) != 7 || log[0].N != 4 {
		t.Errorf("%d rows are left, from %+v", len(log), log)
	}
	a, b := f.webhook(appA, "a"), f.webhook(appA, "b")
	if a.Dropped != 9 || a.Sent != (record.WebhookPos{N: 3}) || b.Dropped != 2 || b.Sent != (record.WebhookPos{N: 3}) {
		t.Errorf("dropped %d to %v and %d to %v", a.Dropped, a.Sent, b.Dropped, b.Sent)
	}
	list, err := f.Deliveries(f.ctx, appA, "a", 0, 10)
	f.must(err)
	if len(list) != 2 || list[0].Seq != 4 || !list[1].Open {
		t.Errorf("the deliveries that are left: %+v", list)
	}
	f.must(f.PurgeWebhooks(f.ctx, start, 1, 2))
	same(t, "rows over the limit of bytes", len(f.webhookLog(appA, 0, 100)), 0)
	same(t, "dropped", f.webhook(appA, "b").Dropped, int64(23))
	f.append(event(2, 1))
	same(t, "the next row", f.webhookLog(appA, 0, 100)[0].N, uint64(11))
	f.must(f.DeleteWebhook(f.ctx, appA, "a"))
	f.must(f.DeleteWebhook(f.ctx, appA, "b"))
	f.append(event(3, 1))
	f.must(f.PurgeWebhooks(f.ctx, start, 1<<30, 2))
	same(t, "rows of an app without webhooks", len(f.webhookLog(appA, 0, 100)), 0)
}

func testWebhookErase(t *testing.T, f *fixture) {
	f.must(f.CreateWebhook(f.ctx, webhookRow(appA, "a"), 9))
	d := f.register(appA, 1, withAlias("anna"))
	f.register(appA, 2)
	_, err := f.RemoveDevice(f.ctx, appA, d.ID)
	f.must(err)
	e := record.Erasure{App: appA, ID: d.ID, Ord: d.Ord, Alias: "anna", Gone: true}
	f.must(f.BeginErasure(f.ctx, e))
	_, err = f.Erase(f.ctx, e)
	f.must(err)
	log := f.webhookLog(appA, 0, 100)
	if len(log) != 2 || log[0].Devices[0].Ord == d.Ord || log[1].Devices[0].Kind != "removed" {
		t.Errorf("the log holds %+v", log)
	}
}
