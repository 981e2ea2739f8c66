package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// holdings is what an app has of vendors.
type holdings []record.Credential

func (h holdings) Credentials(herald.AppKey) []record.Credential { return h }

// routed is a bench whose app has credentials, and of which the steps that are
// due are planned by hand.
func routed(t *testing.T, have ...record.Credential) *bench {
	t.Helper()
	b := newBench(t)
	b.routes = func(b *bench) RouteConfig {
		return RouteConfig{Store: b.db, Live: b.db, Addresses: b.db, Vendors: holdings(have)}
	}
	b.restart()
	b.must(b.ledger.Load(t.Context(), b.app))
	b.follow()
	return b
}

func (b *bench) address(owner record.Owner, o herald.Ordinal, kind, env string) {
	b.t.Helper()
	b.must(b.db.SetAddress(b.t.Context(), record.Address{App: b.app, Owner: owner, Ord: o, Kind: kind, Environment: env, Token: fmt.Sprintf("%s-%s-%d", owner, kind, o)}))
}

func (b *bench) sendBy(t Target, route *herald.Route, change ...func(*herald.Message)) *record.Message {
	b.t.Helper()
	r := request(t, change...)
	r.Message.App = b.app
	if route != nil {
		r.Facts = &record.Facts{Route: route}
	}
	m, _, err := b.d.Accept(b.t.Context(), r)
	b.must(err)
	b.reach()
	return m
}

// planned plans what is due of routes.
func (b *bench) planned(ctx context.Context) {
	b.t.Helper()
	b.must(b.d.planDue(ctx))
	b.d.turns.wait()
}

// errands plans what is due, and gives the errands in words.
func (b *bench) errands() (out []string) {
	b.t.Helper()
	b.planned(b.t.Context())
	lanes, _, err := b.db.ErrandLanes(b.t.Context(), b.clock().Add(time.Hour))
	b.must(err)
	for _, l := range lanes {
		list, err := b.db.LeaseErrands(b.t.Context(), l, b.clock().Add(time.Hour), 0, 100)
		b.must(err)
		for _, e := range list {
			out = append(out, fmt.Sprintf("%d %s/%s/%s %s %s %v", e.Step, l.Vendor, l.Env, l.Credential, e.Owner, e.Kind, e.Left.Ordinals()))
		}
	}
	slices.Sort(out)
	return out
}

func (b *bench) wantErrands(what string, want ...string) {
	b.t.Helper()
	if got := b.errands(); !slices.Equal(got, want) {
		b.t.Errorf("%s: errands\n%q, want\n%q", what, got, want)
	}
}

func credential(v herald.Vendor, env, name string) record.Credential {
	return record.Credential{Vendor: v, Environment: env, Name: name}
}

func route(steps ...herald.RouteStep) *herald.Route { return &herald.Route{Steps: steps} }

// TestDefaultRoute: who is connected gets a message live, all others by the vendor
// of their device that there is a credential for.
func TestDefaultRoute(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""), credential(herald.VendorFCM, "", ""))
	ords := b.devices(6)
	for i, o := range ords {
		switch i {
		case 0, 1:
			b.address(record.OwnerDevice, o, "apns", "sandbox")
		case 2:
			b.address(record.OwnerDevice, o, "apns", "production")
		case 3:
			b.address(record.OwnerDevice, o, "fcm", "")
			b.address(record.OwnerDevice, o, "huawei", "") // nobody has a credential for it
		case 4:
			b.address(record.OwnerDevice, o, "huawei", "")
		}
	}
	b.online(ords[0])
	b.sendBy(to(ords...), nil)
	want := []string{
		fmt.Sprintf("1 apns/production/ device apns [%d]", ords[2]), fmt.Sprintf("1 apns/sandbox/ device apns [%d]", ords[1]),
		fmt.Sprintf("1 fcm// device fcm [%d]", ords[3]),
	}
	b.wantErrands("at once", want...)
	b.wantErrands("planned again", want...)

	b.online()
	group := b.sendBy(toGroup(ords...), nil)
	tried, err := b.db.Tried(t.Context(), b.app, group.ID, 1, record.OwnerDevice, 0)
	b.must(err)
	if !tried.Empty() {
		t.Error("it is planned before it is due")
	}
	if n := len(b.errands()); n != 6 {
		t.Errorf("%d errands after a message to a group, want 6", n)
	}
	if m := b.sendBy(to(ords...), nil, ttl(0)); m.Later != nil {
		t.Errorf("a message with TTL 0 has the steps %v", m.Later)
	}
}

func TestNoVendors(t *testing.T) {
	b := routed(t)
	ords := b.devices(1)
	b.address(record.OwnerDevice, ords[0], "apns", "")
	if m := b.sendBy(to(ords...), nil); m.Later != nil {
		t.Errorf("without a credential there are the steps %v", m.Later)
	}
	// What is asked for has to be seen to fail.
	b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelVendor, Vendor: herald.VendorAPNs}))
	b.wantErrands("a vendor that was named", fmt.Sprintf("0 apns// device apns [%d]", ords[0]))
}

// TestVendorsOfStep: a step goes by the vendors that it does not except.
func TestVendorsOfStep(t *testing.T) {
	b := routed(t, credential(herald.VendorFCM, "", ""), credential(herald.VendorXiaomi, "", ""), credential(herald.VendorTwilio, "", ""))
	ords := b.devices(3)
	b.address(record.OwnerDevice, ords[0], "fcm", "")
	b.address(record.OwnerDevice, ords[1], "xiaomi", "")
	b.address(record.OwnerDevice, ords[2], "fcm", "")
	b.address(record.OwnerDevice, ords[2], "xiaomi", "")
	b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelVendor, Except: []herald.Vendor{herald.VendorXiaomi}}))
	b.wantErrands("all but one", fmt.Sprintf("0 fcm// device fcm %v", []herald.Ordinal{ords[0], ords[2]}))
	b.drop()
	b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelVendor, Vendor: herald.VendorXiaomi}))
	b.wantErrands("one", fmt.Sprintf("0 xiaomi// device xiaomi %v", []herald.Ordinal{ords[1], ords[2]}))
}

// TestNamedDefault: what an app has by default is taken as far as it has
// credentials, as where nothing is said.
func TestNamedDefault(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""))
	ords := b.devices(1)
	for name, want := range map[string]int{herald.DefaultRouteName: 1, "urgent": 2, "": 2} {
		r := request(to(ords...))
		r.Message.App = b.app
		r.Facts = &record.Facts{RouteName: name, Route: route(herald.RouteStep{Channel: herald.ChannelLive}, herald.RouteStep{Channel: herald.ChannelVendor}, herald.RouteStep{Channel: herald.ChannelSMS})}
		m, _, err := b.d.Accept(t.Context(), r)
		b.must(err)
		if len(m.Later) != want {
			t.Errorf("the route %q has %v later, want %d", name, m.Later, want)
		}
	}
}

// TestDelayedStep is taken when its time has come, by those who have not come as
// far as it says, and survives a restart.
func TestDelayedStep(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""))
	ords := b.devices(4)
	for _, o := range ords {
		b.address(record.OwnerDevice, o, "apns", "")
	}
	b.online(ords...)
	for _, until := range []herald.DeliveryState{herald.StateReceived, herald.StateDisplayed} {
		m := b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelLive},
			herald.RouteStep{Channel: herald.ChannelVendor, Unless: until, After: herald.Duration(10 * time.Second)}))
		b.report(m.ID, herald.StateReceived, ords[1], ords[2])
		b.report(m.ID, herald.StateDisplayed, ords[2])
		b.pass(9 * time.Second)
		b.wantErrands("before its time")
		b.restart()
		b.must(b.ledger.Load(t.Context(), b.app))
		b.follow()
		b.pass(time.Second)
		left := sets.New(ords[0], ords[1], ords[3])
		if until == herald.StateReceived {
			left = sets.New(ords[0], ords[3])
		}
		b.wantErrands("in time, unless "+string(until), fmt.Sprintf("1 apns// device apns %v", left.Ordinals()))
		b.drop()
	}
	// What has ended or expired before is for nobody.
	m := b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelVendor, After: herald.Duration(time.Second)}))
	_, err := b.d.Withdraw(t.Context(), b.app, m.ID)
	b.must(err)
	b.pass(time.Second)
	b.wantErrands("withdrawn")
}

// drop finishes all errands.
func (b *bench) drop() {
	b.t.Helper()
	lanes, _, err := b.db.ErrandLanes(b.t.Context(), b.clock().Add(time.Hour))
	b.must(err)
	for _, l := range lanes {
		list, err := b.db.LeaseErrands(b.t.Context(), l, b.clock().Add(time.Hour), 0, 100)
		b.must(err)
		for i := range list {
			list[i].Left = sets.New()
			b.must(b.db.SaveErrand(b.t.Context(), record.ErrandSave{Errand: &list[i]}))
		}
	}
}

// wantSkipped plans the only step of a message, which reaches nobody.
func (b *bench) wantSkipped(m *record.Message, code string, devices int) {
	b.t.Helper()
	b.wantErrands(code)
	counts, err := b.db.AttemptCounts(b.t.Context(), b.app, m.ID)
	b.must(err)
	if len(counts) != 1 || counts[0].Fate != record.FateSkipped || counts[0].Code != code || counts[0].Count != int64(devices) {
		b.t.Errorf("outcomes %+v, want %d %s", counts, devices, code)
	}
}

// TestPeople: a channel of people acts once for each, unless one of the devices
// has the message, and also for people without a device.
func TestPeople(t *testing.T) {
	b := routed(t, credential(herald.VendorTwilio, "", ""), credential(herald.VendorDingTalk, "", "ops"))
	var ords []herald.Ordinal
	for _, alias := range []herald.Alias{"ann", "ann", "bob", "bob", ""} {
		q := registry.RegisterRequest{App: b.app, Platform: herald.PlatformOther}
		if alias != "" {
			q.Alias = &alias
		}
		d, _, _, err := b.registry.Register(t.Context(), q)
		b.must(err)
		ords = append(ords, d.Ord)
	}
	_, err := b.registry.PutRecipient(t.Context(), b.app, "eve")
	b.must(err)
	people, err := b.db.Recipients(t.Context(), b.app, []herald.Alias{"ann", "bob", "eve"})
	b.must(err)
	for _, r := range people {
		b.address(record.OwnerRecipient, herald.Ordinal(r.Ord), record.KindPhone, "")
	}
	named := func(m *herald.Message) { m.Audience = herald.Audience{Aliases: []herald.Alias{"ann", "bob", "eve"}} }
	m := b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelSMS, After: herald.Duration(time.Minute)}), named)
	b.report(m.ID, herald.StateReceived, ords[2])
	b.pass(time.Minute)
	b.wantErrands("a text message", fmt.Sprintf("0 twilio// recipient phone %v", sets.New(herald.Ordinal(people["ann"].Ord), herald.Ordinal(people["eve"].Ord)).Ordinals()))
	b.drop()
	b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelChat, Credential: "ops"}))
	b.wantErrands("a room", "0 dingtalk//ops app  [0]")
	b.drop()
	b.wantSkipped(b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelEmail})), "no_credential", len(ords))
	alone := b.devices(1)
	b.wantSkipped(b.sendBy(to(alone...), route(herald.RouteStep{Channel: herald.ChannelSMS})), "no_address", 1)
}

// unfinished is a record in which steps are planned and never finished, as after
// a crash between the two.
type unfinished struct{ RouteStore }

var errCrash = errors.New("the process has ended")

func (u unfinished) PlanStep(ctx context.Context, s record.RouteStep, list []record.Errand, done bool) error {
	if done {
		return errCrash
	}
	return u.RouteStore.PlanStep(ctx, s, list, done)
}

// TestPlannedAgain: what was planned before a crash is planned for nobody else
// after it, and nobody is said to be left out.
func TestPlannedAgain(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""), credential(herald.VendorDingTalk, "", "ops"), credential(herald.VendorTwilio, "", ""))
	ann := herald.Alias("ann")
	d, _, _, err := b.registry.Register(t.Context(), registry.RegisterRequest{App: b.app, Platform: herald.PlatformOther, Alias: &ann})
	b.must(err)
	people, err := b.db.Recipients(t.Context(), b.app, []herald.Alias{ann})
	b.must(err)
	b.address(record.OwnerDevice, d.Ord, "apns", "")
	b.address(record.OwnerRecipient, herald.Ordinal(people[ann].Ord), record.KindPhone, "")
	b.address(record.OwnerRecipient, herald.Ordinal(people[ann].Ord), record.KindChat, "ops")
	alone := b.devices(1)[0] // which has nothing
	for _, step := range []herald.RouteStep{
		{Channel: herald.ChannelVendor}, {Channel: herald.ChannelSMS}, {Channel: herald.ChannelChat, Credential: "ops"}, {Channel: herald.ChannelWebhook, Vendor: herald.VendorWebhook},
	} {
		t.Run(string(step.Channel), func(t *testing.T) {
			m := b.sendBy(to(d.Ord, alone), route(step))
			whole := b.d.c.Routes.Store
			b.d.c.Routes.Store = unfinished{whole}
			b.planned(t.Context())
			b.d.c.Routes.Store = whole
			b.pass(2 * routeLease)
			if list := b.errands(); len(list) != 1 {
				t.Errorf("errands %q, want one", list)
			}
			counts, err := b.db.AttemptCounts(t.Context(), b.app, m.ID)
			b.must(err)
			if len(counts) != 0 {
				t.Errorf("outcomes %+v", counts)
			}
			b.drop()
		})
	}
}
