// Package model_test holds a node to a model that fits on a page.
//
// Rapid draws what happens: devices register, get tags and aliases, connect,
// acknowledge, are removed; messages are pushed, withdrawn, replaced, expire;
// the node stops, crashes and starts again. After each step every count, and
// what each device would be sent, is what the model says.
//
// MODEL_CHECKS is how many runs are drawn (24 by default). Rapid prints the
// seed of one that fails.
package model_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is when every run begins.
var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// The names that are drawn from.
var (
	tagNames   = []string{"red", "blue", "crowd"}
	aliasNames = []string{"", "anna", "ben"}
)

// run is one drawn run: the node and the model of it.
type run struct {
	t *testing.T
	template
	n *node
	state
}

func TestModel(t *testing.T) {
	checks := os.Getenv("MODEL_CHECKS")
	if checks == "" {
		checks = "24"
	}
	check(t, files{t}, checks)
}

// On the other databases it is shorter: what differs is below the store.

func TestModelOnPostgres(t *testing.T) { check(t, inPostgres(t), "3") }

func TestModelOnMariaDB(t *testing.T) { check(t, inMariaDB(t), "3") }

func check(t *testing.T, in place, checks string) {
	t.Helper()
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	tp := newTemplate(t, in)
	rapid.Check(t, func(rt *rapid.T) {
		r := &run{t: t, template: tp}
		name, err := in.make(tp.record)
		r.must(rt, err)
		r.n, err = openNode(in, name, &clock{now: start.Add(time.Hour)}, newHub())
		r.must(rt, err)
		defer func() {
			if err := r.n.close(); err != nil {
				t.Error(err)
			}
		}()
		r.devices = []*device{{app: 0, many: crowd, tags: map[string]bool{"crowd": true}}}
		for app := range tp.apps {
			r.register(rt, app)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"register":    func(rt *rapid.T) { r.register(rt, r.drawApp(rt)) },
			"tag":         r.tag,
			"bind":        r.bind,
			"remove":      r.removeOne,
			"push":        r.push,
			"push more":   r.push,
			"connect":     r.connect,
			"leave":       r.leave,
			"acknowledge": r.acknowledge,
			"report":      r.acknowledge,
			"withdraw":    r.withdraw,
			"time passes": r.pass,
			"stop":        func(rt *rapid.T) { r.restart(rt, false) },
			"crash":       func(rt *rapid.T) { r.restart(rt, true) },
			"fold":        r.foldTwice,
			"":            r.check,
		})
		r.traces(rt)
	})
}

func (r *run) must(rt *rapid.T, err error) {
	rt.Helper()
	if err != nil {
		rt.Fatal(err)
	}
}

func (r *run) drawApp(rt *rapid.T) int { return rapid.IntRange(0, len(r.apps)-1).Draw(rt, "app") }

func (r *run) master(app int) api.Principal { return api.Principal{Kind: api.Master, App: r.apps[app]} }

func (r *run) principal(d *device) api.Principal {
	return api.Principal{Kind: api.Device, App: r.apps[d.app], Ord: d.ord, Device: d.id}
}

// one draws a device that is there and has a face; nil if there is none.
func (r *run) one(rt *rapid.T, app int) *device {
	var list []*device
	for _, d := range r.devices {
		if !d.gone && d.many == 1 && (app < 0 || d.app == app) {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return rapid.SampledFrom(list).Draw(rt, "device")
}

func (r *run) register(rt *rapid.T, app int) {
	if len(r.devices) > 8 {
		return
	}
	d := &device{app: app, many: 1, tags: map[string]bool{}}
	d.alias = rapid.SampledFrom(aliasNames).Draw(rt, "alias")
	var tags []herald.Tag
	if tag := rapid.SampledFrom(append([]string{""}, tagNames...)).Draw(rt, "tag"); tag != "" {
		d.tags[tag], tags = true, []herald.Tag{herald.Tag(tag)}
	}
	zone := rapid.SampledFrom([]string{"", "Asia/Tokyo", "America/Phoenix"}).Draw(rt, "zone")
	d.east = map[string]time.Duration{"Asia/Tokyo": 9 * time.Hour, "America/Phoenix": -7 * time.Hour}[zone]
	a, err := r.n.s.Devices.Register(context.Background(), r.master(app), api.RegisterRequest{Alias: herald.Alias(d.alias), Tags: tags, Profile: api.Profile{TimeZone: zone}})
	r.must(rt, err)
	p, err := r.n.s.Apps.Bearer(context.Background(), a.Token, netip.Addr{})
	r.must(rt, err)
	d.id, d.ord = p.Device, p.Ord
	r.devices = append(r.devices, d)
}

func (r *run) tag(rt *rapid.T) {
	d := r.one(rt, -1)
	if d == nil {
		return
	}
	name, add := rapid.SampledFrom(tagNames).Draw(rt, "tag"), rapid.Bool().Draw(rt, "add")
	m := api.Members{Add: []herald.RegistrationID{d.id}}
	if !add {
		m = api.Members{Remove: []herald.RegistrationID{d.id}}
	}
	_, err := r.n.s.Devices.ChangeTag(context.Background(), r.master(d.app), herald.Tag(name), api.TagMembers{Members: m})
	r.must(rt, err)
	d.tags[name] = add
}

func (r *run) bind(rt *rapid.T) {
	d := r.one(rt, -1)
	if d == nil {
		return
	}
	alias := herald.Alias(rapid.SampledFrom(aliasNames).Draw(rt, "alias"))
	_, err := r.n.s.Devices.Update(context.Background(), r.master(d.app), d.id, api.DeviceUpdate{Alias: &alias})
	r.must(rt, err)
	r.rebind(d, string(alias))
}

func (r *run) removeOne(rt *rapid.T) {
	d := r.one(rt, -1)
	if d == nil {
		return
	}
	r.must(rt, r.n.s.Devices.Remove(context.Background(), r.master(d.app), d.id))
	r.online(d, false)
	r.remove(d)
}

// audience draws an expression.
func (r *run) audience(rt *rapid.T, app, depth int) expression {
	kinds := []string{"all", "tag", "alias", "id"}
	if depth > 0 {
		kinds = append(kinds, "and", "or", "not")
	}
	switch rapid.SampledFrom(kinds).Draw(rt, "audience") {
	case "tag":
		return tagged(rapid.SampledFrom(tagNames).Draw(rt, "tag"))
	case "alias":
		return bound(rapid.SampledFrom(aliasNames[1:]).Draw(rt, "alias"))
	case "id":
		if d := r.one(rt, app); d != nil {
			return named(d)
		}
	case "and":
		return both(r.audience(rt, app, depth-1), r.audience(rt, app, depth-1))
	case "or":
		return either(r.audience(rt, app, depth-1), r.audience(rt, app, depth-1))
	case "not":
		return without(r.audience(rt, app, depth-1), r.audience(rt, app, depth-1))
	}
	return everybody()
}

func (r *run) push(rt *rapid.T) {
	app := r.drawApp(rt)
	e := r.audience(rt, app, 2)
	ttl := rapid.SampledFrom([]time.Duration{time.Hour, 24 * time.Hour, 72 * time.Hour}).Draw(rt, "ttl")
	m := &message{app: app, byAlias: e.byAlias, collapse: rapid.SampledFrom([]string{"", "", "k"}).Draw(rt, "collapse")}
	body := fmt.Sprintf(`{"audience":%s,"ttl":%d,"data":1`, e.json, ttl/time.Second)
	if m.collapse != "" {
		body += `,"collapse_key":"k"`
	}
	now, due := r.n.clock.Now(), r.n.clock.Now()
	if !e.byAlias && m.collapse == "" && rapid.IntRange(0, 2).Draw(rt, "local") == 0 {
		m.local = now.Truncate(time.Second).Add(rapid.SampledFrom([]time.Duration{-3 * time.Hour, time.Hour, 5 * time.Hour, 12 * time.Hour}).Draw(rt, "at"))
		due = m.local.Add(herald.LastZone)
		body += fmt.Sprintf(`,"send_at_local":%q`, m.local.Format(herald.LocalTime))
	}
	body += "}"
	req, err := r.n.s.Messages.Decode([]byte(body))
	r.must(rt, err)
	a, err := r.n.s.Messages.Send(context.Background(), r.master(app), req, "", []byte(body))
	r.must(rt, err)
	if want := r.target(app, e); a.Target == nil || *a.Target != want {
		rt.Fatalf("%s has %v devices, want %d", e.json, a.Target, want)
	}
	m.id, m.expires = a.ID, due.Add(ttl)
	r.accept(m, e, now)
}

func (r *run) online(d *device, here bool) {
	r.n.hub.mu.Lock()
	defer r.n.hub.mu.Unlock()
	r.n.hub.online[seat{r.apps[d.app], d.ord}] = here
	d.here = here
}

// connect reads what waits, page by page, as a session does.
func (r *run) connect(rt *rapid.T) {
	d := r.one(rt, -1)
	if d == nil {
		return
	}
	want := r.waiting(d)
	limit := rapid.IntRange(1, 4).Draw(rt, "page")
	var got, notices []herald.MessageID
	var events []record.Event
	after, more := herald.Pos(0), true
	for more {
		var list []offline.Waiting
		var err error
		list, after, more, err = r.n.backlog.Waiting(context.Background(), offline.Device{App: r.apps[d.app], Ord: d.ord, ID: d.id}, after, limit)
		r.must(rt, err)
		for _, x := range list {
			if x.Kind != record.ReleaseMessage {
				notices = append(notices, x.Msg.ID)
				continue
			}
			got = append(got, x.Msg.ID)
			events = append(events, r.event(d, x.Msg.ID, herald.StateSent))
		}
	}
	var ids []herald.MessageID
	for _, m := range want {
		ids = append(ids, m.id)
		m.of[d].reach(herald.StateSent, false)
	}
	if slices.ContainsFunc(want, func(m *message) bool { return !m.local.IsZero() }) {
		slices.Sort(got) // they are in the order of their releases
		slices.Sort(ids)
	}
	if !slices.Equal(got, ids) {
		rt.Fatalf("device %s is sent %v, want %v", d.id, got, ids)
	}
	r.notices(rt, d, notices)
	r.n.ledger.Report(r.apps[d.app], events...)
	r.online(d, true)
}

// notices checks who is told that a message was withdrawn: whoever it was sent
// to, for a week, until they say that they know.
func (r *run) notices(rt *rapid.T, d *device, got []herald.MessageID) {
	for _, m := range r.messages {
		x := m.of[d]
		told := slices.Contains(got, m.id)
		due := m.withdrawn && x != nil && x.level > 0 && !x.told
		if fresh := r.n.clock.Now().Sub(m.ended) < herald.LateReceipts-time.Hour; due && fresh && !told || told && !due {
			rt.Fatalf("device %s is told of the withdrawal of %s: %t, want %t", d.id, m.id, told, due)
		}
	}
}

func (r *run) event(d *device, id herald.MessageID, s herald.DeliveryState) record.Event {
	return record.Event{Msg: id, State: s, Set: sets.New(d.ord), Time: r.n.clock.Now(), Via: "websocket"}
}

// foldTwice folds twice at once.
func (r *run) foldTwice(rt *rapid.T) {
	other := make(chan error)
	n := r.n
	go func() { other <- n.ledger.Fold(context.Background(), true) }()
	r.must(rt, errors.Join(n.ledger.Fold(context.Background(), true), <-other))
}

func (r *run) leave(rt *rapid.T) {
	if d := r.one(rt, -1); d != nil {
		r.online(d, false)
	}
}

// acknowledge reports something of a message that may be another's.
func (r *run) acknowledge(rt *rapid.T) {
	d := r.one(rt, -1)
	if d == nil || len(r.messages) == 0 {
		return
	}
	m := rapid.SampledFrom(r.messages).Draw(rt, "message")
	s := rapid.SampledFrom([]herald.DeliveryState{
		herald.StateReceived, herald.StateReceived, herald.StateDisplayed, herald.StateClicked, herald.StateWithdrawn,
	}).Draw(rt, "event")
	since := r.n.clock.Now().Sub(m.expires)
	if !m.withdrawn && since > herald.LateReceipts-30*time.Hour && since < herald.LateReceipts+30*time.Hour {
		return // whether that is late depends on when the end was noticed
	}
	r.must(rt, r.n.ledger.Settled(context.Background(), r.apps[d.app]))
	a, err := r.n.s.Receipts.Report(context.Background(), r.principal(d), api.ReceiptsRequest{Receipts: []api.Receipt{{ID: m.id, Event: s}}})
	r.must(rt, err)
	x := m.of[d]
	if taken := a.Accepted == 1; taken != (x != nil && !x.held) {
		rt.Fatalf("a receipt of device %s for message %s is taken: %t", d.id, m.id, taken)
	}
	if x == nil || x.held {
		return
	}
	if s == herald.StateWithdrawn {
		x.told = x.told || m.withdrawn
		return
	}
	x.reach(s, !m.ended.IsZero() && r.n.clock.Now().Sub(m.ended) > herald.LateReceipts)
}

func (r *run) withdraw(rt *rapid.T) {
	var live []*message
	for _, m := range r.messages {
		if m.ended.IsZero() {
			live = append(live, m)
		}
	}
	if len(live) == 0 {
		return
	}
	m := rapid.SampledFrom(live).Draw(rt, "message")
	_, err := r.n.s.Messages.Withdraw(context.Background(), r.master(m.app), m.id)
	r.must(rt, err)
	m.withdraw(r.n.clock.Now())
}

// pass lets time pass while the node is down, so that what falls due is seen
// at its start.
func (r *run) pass(rt *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{2 * time.Hour, 25 * time.Hour, 100 * time.Hour}).Draw(rt, "time")
	if r.n.clock.Now().Add(d).Sub(start) > 28*24*time.Hour {
		return // messages would be purged
	}
	r.reopen(rt, false, d)
}

func (r *run) restart(rt *rapid.T, crash bool) { r.reopen(rt, crash, 0) }

func (r *run) reopen(rt *rapid.T, crash bool, d time.Duration) {
	old, name := r.n, r.n.record
	if crash {
		var err error
		name, err = r.place.crash(name)
		r.must(rt, err)
	}
	if err := old.close(); !crash { // what is dead ends anyhow
		r.must(rt, err)
	}
	r.place.over()
	for _, x := range r.devices {
		r.online(x, false)
	}
	old.clock.pass(d)
	next, err := openNode(r.place, name, old.clock, old.hub)
	r.must(rt, err)
	r.n = next
	now := next.clock.Now()
	for _, m := range r.messages {
		m.release(now, true)
	}
	r.must(rt, until("what is due has expired", func() bool {
		for _, m := range r.messages {
			if !m.ended.IsZero() || now.Before(m.expires) {
				continue
			}
			v, err := next.s.Messages.Get(context.Background(), r.master(m.app), m.id)
			if err != nil || v.Counts == nil || v.Counts.Open() || v.EndedAt == nil {
				return false
			}
		}
		return true
	}))
	r.expire(now)
}

// check compares every count, as soon as what was accepted is handed over and
// what was reported is counted.
func (r *run) check(rt *rapid.T) {
	wrong := ""
	if err := until("", func() bool { wrong = r.differs(rt); return wrong == "" }); err != nil {
		rt.Fatal(wrong)
	}
}

func (r *run) differs(rt *rapid.T) string {
	for _, app := range r.apps {
		list, err := r.n.db.Releases(context.Background(), app, 0, 10_000)
		r.must(rt, err)
		if len(list) > 0 && r.n.ledger.Released(app) < list[len(list)-1].Pos {
			return "the log is not followed"
		}
		r.must(rt, r.n.ledger.Settled(context.Background(), app))
	}
	for _, m := range r.messages {
		v, err := r.n.s.Messages.Get(context.Background(), r.master(m.app), m.id)
		r.must(rt, err)
		if v.Counts != nil {
			m.end(v.Counts.States[herald.StateDeviceGone])
		}
		if want := m.counts(); v.Counts == nil || fmt.Sprint(*v.Counts) != fmt.Sprint(want) {
			return fmt.Sprintf("message %s counts %+v, want %+v", m.id, v.Counts, want)
		}
		if m.ended.IsZero() && v.Release != nil && v.Release.Released != m.released() {
			return fmt.Sprintf("message %s is released to %d, want %d", m.id, v.Release.Released, m.released())
		}
		if (v.Release == nil) == !m.local.IsZero() && len(m.of) > 0 {
			return fmt.Sprintf("message %s has a plan: %t", m.id, v.Release != nil)
		}
		if ended := v.EndedAt != nil; ended == m.ended.IsZero() {
			return fmt.Sprintf("message %s is %s, and has ended: %t", m.id, v.State, !m.ended.IsZero())
		}
	}
	return ""
}

// traces compares the state of every message on every device, also of those
// that belong to another app.
func (r *run) traces(rt *rapid.T) {
	r.check(rt)
	for _, m := range r.messages {
		for _, d := range r.devices {
			if d.gone || d.many > 1 {
				continue
			}
			tr, err := r.n.s.Messages.Trace(context.Background(), r.master(m.app), m.id, d.id)
			if d.app != m.app {
				if herald.CodeOf(err) != herald.CodeNotFound {
					rt.Fatalf("app %d reads a device of another: %v", m.app, err)
				}
				continue
			}
			r.must(rt, err)
			want := herald.DeliveryState("")
			if x := m.of[d]; x != nil {
				want = x.state()
			}
			if tr.State != want {
				rt.Fatalf("message %s on device %s is %q, want %q", m.id, d.id, tr.State, want)
			}
		}
	}
}
