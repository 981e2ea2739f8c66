package api_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

func TestIdempotency(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	first, err := w.sendKey(w.masterA, `{"audience":"all","data":1}`, "k")
	w.must(err)
	w.device(w.a, api.RegisterRequest{}) // the audience is larger now
	again, err := w.sendKey(w.masterA, `{"audience":"all","data":1}`, "k")
	if err != nil || asJSON(t, again) != asJSON(t, first) {
		t.Errorf("again: %s, %v; first %s", asJSON(t, again), err, asJSON(t, first))
	}
	if _, err := w.sendKey(w.masterA, `{"audience":"all","data":2}`, "k"); code(err) != herald.CodeIdempotencyConflict {
		t.Errorf("another body: %v", err)
	}
	other, err := w.sendKey(w.masterB, `{"audience":"all","data":1}`, "k")
	if err != nil || other.ID == first.ID {
		t.Errorf("another app: %+v, %v", other, err)
	}
	w.settle() // before the TTL of the first one ends too
	w.pass(herald.IdempotencyTTL + time.Second)
	later, err := w.sendKey(w.masterA, `{"audience":"all","data":1}`, "k")
	if err != nil || later.ID == first.ID {
		t.Errorf("a day later: %+v, %v", later, err)
	}
	for _, ttl := range []int{0, 60} {
		t.Run(fmt.Sprintf("at once, ttl %d", ttl), func(t *testing.T) {
			body := fmt.Sprintf(`{"audience":{"registration_ids":["%s"]},"data":1,"ttl":%d}`, d.Device, ttl)
			answers := make([]string, 8)
			var wg sync.WaitGroup
			for i := range answers {
				wg.Go(func() {
					r, err := w.s.Messages.Decode([]byte(body))
					if err != nil {
						t.Error(err)
					}
					a, err := w.s.Messages.Send(context.Background(), w.masterA, r, fmt.Sprint("at once ", ttl), []byte(body))
					if err != nil {
						t.Error(err)
					}
					answers[i] = asJSON(t, a)
				})
			}
			wg.Wait()
			for _, a := range answers {
				if a != answers[0] {
					t.Errorf("answers %s and %s", a, answers[0])
				}
			}
		})
	}
	w.settle()
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	for id, n := range w.hub.handed {
		if n != 1 {
			t.Errorf("message %s was handed over %d times", id, n)
		}
	}
	if n := len(w.hub.handed); n != 4 { // first, later, and one for each TTL; B has no devices
		t.Errorf("%d messages were handed over", n)
	}
}

// A page may push to its own device and to nobody else, however it says so.
func TestPagePushesToItself(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{Alias: "anna"})
	token, err := w.registry.PageToken(w.a, "0123456789abcdef")
	w.must(err)
	page, err := w.s.Apps.Bearer(t.Context(), token, netip.Addr{})
	w.must(err)
	if _, err := w.send(page, `{"audience":"all","data":1}`); code(err) != herald.CodeForbidden {
		t.Errorf("before it is a device: %v", err)
	}
	if _, err := w.s.Devices.Register(t.Context(), page, api.RegisterRequest{Installation: "another-installation"}); code(err) != herald.CodeForbidden {
		t.Errorf("another installation: %v", err)
	}
	_, err = w.s.Devices.Register(t.Context(), page, api.RegisterRequest{})
	w.must(err)
	if page, err = w.s.Apps.Bearer(t.Context(), token, netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	for _, audience := range []string{
		`"all"`, `{"registration_ids":["` + string(d.Device) + `"]}`, `{"aliases":["anna"]}`, `{"not":{"tags":["x"]}}`,
		`{"registration_ids":["` + string(page.Device) + `","` + string(d.Device) + `"]}`,
		`{"or":[{"registration_ids":["` + string(page.Device) + `"]},{"aliases":["anna"]}]}`,
	} {
		if _, err := w.send(page, `{"audience":`+audience+`,"data":1}`); code(err) != herald.CodeForbidden {
			t.Errorf("%s: %v", audience, err)
		}
	}
	a, err := w.send(page, toDevice(page))
	if err != nil || *a.Target != 1 {
		t.Errorf("to itself: %+v, %v", a, err)
	}
	if _, err := w.s.Messages.Trace(t.Context(), page, a.ID, page.Device); err != nil {
		t.Errorf("its own trace: %v", err)
	}
}

func TestTagsAndAliasesInBulk(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	a, b, foreign := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{Alias: "ben"}), w.device(w.b, api.RegisterRequest{})
	got, err := w.s.Devices.ChangeTag(ctx, w.masterA, "vip", api.TagMembers{Members: api.Members{Add: []herald.RegistrationID{a.Device, b.Device, foreign.Device}}})
	if err != nil || got.Added != 2 || got.Removed != 0 || len(got.Unknown) != 1 || got.Unknown[0] != foreign.Device {
		t.Errorf("add: %+v, %v", got, err)
	}
	got, err = w.s.Devices.ChangeTag(ctx, w.masterA, "vip", api.TagMembers{Members: api.Members{Add: []herald.RegistrationID{a.Device}, Remove: []herald.RegistrationID{b.Device}}})
	if err != nil || got.Added != 0 || got.Removed != 1 || len(got.Unknown) != 0 {
		t.Errorf("again and remove: %+v, %v", got, err)
	}
	if v, err := w.s.Devices.Tag(ctx, w.masterA, "vip"); err != nil || v.Devices != 1 {
		t.Errorf("tag: %+v, %v", v, err)
	}
	w.must(w.s.Devices.DeleteTag(ctx, w.masterA, "vip"))
	if err := w.s.Devices.DeleteTag(ctx, w.masterA, "vip"); code(err) != herald.CodeNotFound {
		t.Errorf("deleted twice: %v", err)
	}
	got, err = w.s.Devices.ChangeAlias(ctx, w.masterA, "anna", api.Members{Add: []herald.RegistrationID{a.Device, b.Device, foreign.Device}})
	if err != nil || got.Added != 2 || len(got.Unknown) != 1 {
		t.Errorf("bind: %+v, %v", got, err)
	}
	got, err = w.s.Devices.ChangeAlias(ctx, w.masterA, "ben", api.Members{Remove: []herald.RegistrationID{a.Device, b.Device}})
	if err != nil || got.Removed != 0 {
		t.Errorf("unbinding who is bound to another: %+v, %v", got, err)
	}
	if v, err := w.s.Devices.Alias(ctx, w.masterA, "anna"); err != nil || len(v.Devices) != 2 {
		t.Errorf("alias: %+v, %v", v, err)
	}
	s := w.sent(w.masterA, `{"audience":{"aliases":["anna","nobody"],"registration_ids":["`+string(a.Device)+`","00000000000000000000"]},"data":1}`)
	if *s.Target != 1 || s.Unknown != 2 {
		t.Errorf("answer %s", asJSON(t, s))
	}
	e, err := w.s.Audience.Estimate(ctx, w.masterA, herald.Audience{Aliases: []herald.Alias{"anna", "ben", "nobody"}})
	if err != nil || e.Devices != 2 || e.Unknown != 1 || e.Online != 0 {
		t.Errorf("estimate %+v, %v", e, err)
	}
	w.online(a, true)
	if e, err = w.s.Audience.Estimate(ctx, w.masterA, herald.Audience{All: true}); err != nil || e.Devices != 2 || e.Online != 1 {
		t.Errorf("estimate %+v, %v", e, err)
	}
	w.must(w.s.Devices.DeleteAlias(ctx, w.masterA, "anna"))
	if _, err := w.s.Devices.Alias(ctx, w.masterA, "anna"); code(err) != herald.CodeNotFound {
		t.Errorf("deleted alias: %v", err)
	}
	tr, err := w.s.Messages.Trace(ctx, w.masterA, s.ID, a.Device)
	if err != nil || tr.State != herald.StateUnconfirmed && tr.State != herald.StateRebound {
		t.Errorf("what waited by the alias: %+v, %v", tr, err)
	}
}

// Pages of a list: everything once, in order.
func TestLists(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.device(w.a, api.RegisterRequest{Tags: []herald.Tag{herald.Tag(fmt.Sprint("t", i)), "all"}})
		w.sent(w.masterA, `{"audience":"all","data":1}`)
	}
	var devices, messages, tags []string
	for cursor := ""; ; {
		p, err := w.s.Devices.List(t.Context(), w.masterA, api.DeviceQuery{Cursor: cursor, Limit: 2, Tag: "all"})
		w.must(err)
		for _, d := range p.Devices {
			devices = append(devices, string(d.Tags[1]))
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	for cursor := ""; ; {
		p, err := w.s.Messages.List(t.Context(), w.masterA, "", cursor, 2)
		w.must(err)
		for _, m := range p.Messages {
			messages = append(messages, m.ID.String())
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	for cursor := ""; ; {
		p, err := w.s.Devices.Tags(t.Context(), w.masterA, "t", cursor, 2)
		w.must(err)
		for _, v := range p.Tags {
			tags = append(tags, string(v.Tag))
		}
		if cursor = p.NextCursor; cursor == "" {
			break
		}
	}
	if got := strings.Join(devices, " "); got != "t0 t1 t2 t3 t4" {
		t.Errorf("devices %s", got)
	}
	if got := strings.Join(tags, " "); got != "t0 t1 t2 t3 t4" {
		t.Errorf("tags %s", got)
	}
	if len(messages) != 5 || messages[0] <= messages[4] {
		t.Errorf("messages %v", messages)
	}
}

// A trace says in words where a delivery stands, and why.
func TestTraceInWords(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d, away := w.device(w.a, api.RegisterRequest{Alias: "anna"}), w.device(w.a, api.RegisterRequest{})
	w.online(d, true)
	report := func(p api.Principal, id herald.MessageID, e herald.DeliveryState) {
		t.Helper()
		_, err := w.s.Receipts.Report(ctx, p, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: id, Event: e}}})
		w.must(err)
	}
	want := func(p api.Principal, id herald.MessageID, state herald.DeliveryState, summary string, steps string) {
		t.Helper()
		tr, err := w.s.Messages.Trace(ctx, w.masterA, id, p.Device)
		if err != nil {
			t.Error(err)
			return
		}
		var got []string
		for _, s := range tr.Steps {
			got = append(got, s.Event)
			if s.Text == "" || s.Time.IsZero() {
				t.Errorf("step %+v says nothing", s)
			}
		}
		if tr.State != state || !strings.HasPrefix(tr.Summary, summary) || !strings.HasSuffix(tr.Summary, ".") || strings.Join(got, " ") != steps {
			t.Errorf("got %s: %q %v, want %s: %q %s", tr.State, tr.Summary, got, state, summary, steps)
		}
	}
	m := w.sent(w.masterA, toDevice(d)).ID
	want(d, m, herald.StateSent, "Sent, not acknowledged yet", "accepted released sent")
	report(d, m, herald.StateReceived)
	want(d, m, herald.StateReceived, "Received", "accepted released sent received")
	report(d, m, herald.StateDisplayed)
	want(d, m, herald.StateDisplayed, "Displayed", "accepted released sent received displayed")
	report(d, m, herald.StateClicked)
	want(d, m, herald.StateClicked, "Clicked", "accepted released sent received displayed clicked")
	want(away, m, "", "Not for this device", "accepted")
	if _, err := w.s.Messages.Trace(ctx, away, m, away.Device); code(err) != herald.CodeNotFound {
		t.Errorf("a device asks about what is not for it: %v", err)
	}

	m = w.sent(w.masterA, toDevice(away)).ID
	want(away, m, herald.StatePending, "Waiting: the device is not connected (last seen ", "accepted released")
	w.online(away, true)
	want(away, m, herald.StatePending, "Waiting: the device is connected", "accepted released")
	w.online(away, false)
	_, err := w.s.Messages.Withdraw(ctx, w.masterA, m)
	w.must(err)
	want(away, m, herald.StateWithdrawn, "Not delivered. The sender withdrew it", "accepted released withdrawn")

	m = w.sent(w.masterA, toDevice(d)).ID
	_, err = w.s.Messages.Withdraw(ctx, w.masterA, m)
	w.must(err)
	want(d, m, herald.StateUnconfirmed, "Unconfirmed", "accepted released sent unconfirmed")
	report(d, m, herald.StateWithdrawn)
	want(d, m, herald.StateUnconfirmed, "Unconfirmed", "accepted released sent unconfirmed told")

	all := `{"audience":"all","data":1,"collapse_key":"k"}`
	m = w.sent(w.masterA, all).ID
	newer := w.sent(w.masterA, all).ID
	want(away, m, herald.StateReplaced, "Not delivered. A newer message", "accepted released replaced")
	w.must(w.s.Devices.Remove(ctx, w.masterA, w.device(w.a, api.RegisterRequest{}).Device))
	want(away, newer, herald.StatePending, "Waiting", "accepted released")

	none := herald.Alias("")
	w.online(d, false)
	m = w.sent(w.masterA, `{"audience":{"aliases":["anna"]},"data":1}`).ID
	_, err = w.s.Devices.Update(ctx, d, d.Device, api.DeviceUpdate{Alias: &none})
	w.must(err)
	want(d, m, herald.StateRebound, "Not delivered. It was sent to an alias", "accepted released rebound")

	w.online(d, true)
	m = w.sent(w.masterA, strings.Replace(toDevice(d), `{`, `{"ttl":0,`, 1)).ID
	want(d, m, herald.StateSent, "Sent, not acknowledged yet: it was written to the device's connection; with TTL 0", "accepted released")
	m = w.sent(w.masterA, strings.Replace(toDevice(away), `{`, `{"ttl":0,`, 1)).ID
	want(away, m, herald.StatePending, "Not delivered: the device was not connected", "accepted released")
	if v, err := w.s.Messages.Get(ctx, w.masterA, m); err != nil || v.State != herald.MessageDone || v.Stored {
		t.Errorf("TTL 0: %+v, %v", v, err)
	}
	if _, err := w.s.Messages.Withdraw(ctx, w.masterA, m); code(err) != herald.CodeConflict {
		t.Errorf("withdrawing TTL 0: %v", err)
	}

	at := w.now.Add(time.Hour).Format(time.RFC3339)
	later := w.sent(w.masterA, strings.Replace(toDevice(away), `{`, `{"send_at":"`+at+`",`, 1))
	if later.Target != nil || later.Estimate == nil || *later.Estimate != 1 {
		t.Errorf("scheduled: %s", asJSON(t, later))
	}
	want(away, later.ID, "", "Not sent yet: it is scheduled", "scheduled")
	if _, err := w.s.Messages.Trace(ctx, d, later.ID, d.Device); code(err) != herald.CodeNotFound {
		t.Errorf("a device learns of what is scheduled for another: %v", err)
	}
	if _, err := w.s.Messages.Trace(ctx, away, later.ID, away.Device); err != nil {
		t.Errorf("the device that it names: %v", err)
	}
	_, err = w.s.Messages.Withdraw(ctx, w.masterA, later.ID)
	w.must(err)
	want(away, later.ID, "", "Never sent: it was withdrawn", "scheduled")

	m = w.sent(w.masterA, strings.Replace(toDevice(away), `{`, `{"ttl":60,`, 1)).ID
	w.pass(time.Minute)
	deadline := time.Now().Add(10 * time.Second)
	for {
		if v, err := w.s.Messages.Get(ctx, w.masterA, m); err != nil || v.State == herald.MessageExpired {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the message does not expire")
		}
	}
	want(away, m, herald.StateExpired, "Not delivered. Its TTL ended", "accepted released expired")
}

// Nothing of an app is seen or changed with the credentials of another.
func TestIsolation(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	mine, theirs := w.device(w.a, api.RegisterRequest{}), w.device(w.b, api.RegisterRequest{Alias: "anna", Tags: []herald.Tag{"vip"}, Installation: "0123456789abcdef"})
	m := w.sent(w.masterB, `{"audience":"all","data":"secret"}`).ID
	k, err := w.s.Apps.CreateKey(ctx, w.masterB, api.KeyRequest{Name: "n", Scopes: []string{"messages:read"}})
	w.must(err)
	key, err := w.s.Apps.CreateKey(ctx, w.masterA, api.KeyRequest{Name: "all", Scopes: []string{"messages:send", "messages:read", "devices:read", "devices:write", "receipts:write"}})
	w.must(err)
	keyA, err := w.s.Apps.Bearer(ctx, key.Key, netip.Addr{})
	w.must(err)
	before, err := w.db.Head(ctx, w.b)
	w.must(err)
	language := "xx"
	for name, p := range map[string]api.Principal{"master": w.masterA, "key": keyA, "device": mine} {
		for method, call := range map[string]func() error{
			"show":          func() error { _, err := w.s.Messages.Get(ctx, p, m); return err },
			"withdraw":      func() error { _, err := w.s.Messages.Withdraw(ctx, p, m); return err },
			"trace":         func() error { _, err := w.s.Messages.Trace(ctx, p, m, theirs.Device); return err },
			"trace of mine": func() error { _, err := w.s.Messages.Trace(ctx, p, m, mine.Device); return err },
			"device":        func() error { _, err := w.s.Devices.Get(ctx, p, theirs.Device); return err },
			"update": func() error {
				_, err := w.s.Devices.Update(ctx, p, theirs.Device, api.DeviceUpdate{Language: &language})
				return err
			},
			"remove":       func() error { return w.s.Devices.Remove(ctx, p, theirs.Device) },
			"tag":          func() error { _, err := w.s.Devices.Tag(ctx, p, "vip"); return err },
			"delete tag":   func() error { return w.s.Devices.DeleteTag(ctx, p, "vip") },
			"alias":        func() error { _, err := w.s.Devices.Alias(ctx, p, "anna"); return err },
			"delete alias": func() error { return w.s.Devices.DeleteAlias(ctx, p, "anna") },
			"delete key":   func() error { return w.s.Apps.DeleteKey(ctx, p, k.ID) },
			"register": func() error {
				_, err := w.s.Devices.Register(ctx, p, api.RegisterRequest{AppKey: w.b, Installation: "0123456789abcdef"})
				return err
			},
		} {
			if got := code(call()); got != herald.CodeNotFound && got != herald.CodeForbidden {
				t.Errorf("%s with the %s of another app: %q", method, name, got)
			}
		}
		if p.Kind == api.Device {
			continue
		}
		s, err := w.send(p, toDevice(theirs))
		if err != nil || *s.Target != 0 || s.Unknown != 1 {
			t.Errorf("to a device of another app: %s, %v", asJSON(t, s), err)
		}
		got, err := w.s.Devices.ChangeTag(ctx, p, "mine", api.TagMembers{Members: api.Members{Add: []herald.RegistrationID{theirs.Device}}})
		if err != nil || got.Added != 0 || len(got.Unknown) != 1 {
			t.Errorf("tagging it: %+v, %v", got, err)
		}
		r, err := w.s.Receipts.Report(ctx, p, api.ReceiptsRequest{Receipts: []api.Receipt{
			{ID: m, Event: herald.StateReceived, RegistrationID: theirs.Device}, {ID: m, Event: herald.StateReceived, RegistrationID: mine.Device},
		}})
		if err != nil || r.Accepted != 0 || r.Unknown != 2 {
			t.Errorf("receipts: %+v, %v", r, err)
		}
		page, err := w.s.Messages.List(ctx, p, "", "", 0)
		if err != nil || strings.Contains(asJSON(t, page), "secret") {
			t.Errorf("list: %v, %v", page, err)
		}
		devices, err := w.s.Devices.List(ctx, p, api.DeviceQuery{})
		if err != nil || strings.Contains(asJSON(t, devices), string(theirs.Device)) {
			t.Errorf("devices: %v, %v", devices, err)
		}
	}
	// A cursor of one app says nothing in another.
	_, err = w.s.Receipts.Report(ctx, theirs, api.ReceiptsRequest{Cursor: w.registry.Cursor(w.a, 1000)})
	w.must(err)
	if after, err := w.db.Head(ctx, w.b); err != nil || after != before {
		t.Errorf("the other app's log moved: %+v to %+v, %v", before, after, err)
	}
	tr, err := w.s.Messages.Trace(ctx, w.masterB, m, theirs.Device)
	if err != nil || tr.State != herald.StatePending {
		t.Errorf("the other app's message: %+v, %v", tr, err)
	}
	if _, err := w.s.Apps.Bearer(ctx, strings.Replace(key.Key, string(w.a), string(w.b), 1), netip.Addr{}); code(err) != herald.CodeUnauthorized {
		t.Errorf("a key that names another app: %v", err)
	}
}

// What a call about a device does to its sessions.
func TestSessionsAreTold(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{Installation: "0123456789abcdef", Alias: "anna"})
	ben, ctx := herald.Alias("ben"), t.Context()
	_, err := w.s.Devices.Update(ctx, w.masterA, d.Device, api.DeviceUpdate{Alias: &ben})
	w.must(err)
	w.device(w.a, api.RegisterRequest{Installation: "0123456789abcdef", Alias: "carl"})
	_, err = w.s.Devices.Update(ctx, w.masterA, d.Device, api.DeviceUpdate{Revoke: true})
	w.must(err)
	w.must(w.s.Devices.Remove(ctx, w.masterA, d.Device))
	if got := strings.Join(w.hub.told, "; "); got != "rebind 0; rebind 0; disconnect 0 4001; disconnect 0 4001" {
		t.Errorf("told: %s", got)
	}
	var row record.Device
	if row, err = w.registry.Device(ctx, w.a, d.Device); code(err) != herald.CodeNotFound {
		t.Errorf("the removed device is found: %+v, %v", row, err)
	}
}

// A repetition gets the first answer although the same call would be refused by
// now: its device is gone, and it asked for a target.
func TestRepetitionOutlivesItsConditions(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	body := strings.Replace(toDevice(d), `"data":1`, `"data":1,"require_target":true`, 1)
	first, err := w.sendKey(w.masterA, body, "order-1")
	w.must(err)
	w.must(w.s.Devices.Remove(t.Context(), w.masterA, d.Device))
	again, err := w.sendKey(w.masterA, body, "order-1")
	if err != nil || asJSON(t, again) != asJSON(t, first) {
		t.Errorf("the repetition got %s, %v, want %s", asJSON(t, again), err, asJSON(t, first))
	}
	if _, err := w.sendKey(w.masterA, body, "order-2"); code(err) != herald.CodeInvalidRequest {
		t.Errorf("a new call: %v", err)
	}
}
