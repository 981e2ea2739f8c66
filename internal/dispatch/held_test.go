package dispatch

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// kinds are how a target may be kept.
var kinds = []struct {
	name   string
	target func(...herald.Ordinal) Target
	dense  bool
}{{"direct", to, false}, {"group", toGroup, false}, {"dense group", toGroup, true}}

// eachKind runs a test with an app that can reach Apple's and Google's devices,
// for each way in which a target may be kept.
func eachKind(t *testing.T, f func(*bench, func(...herald.Ordinal) Target)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			b := routed(t, credential(herald.VendorAPNs, "", ""), credential(herald.VendorFCM, "", ""))
			b.dense = k.dense
			b.again()
			f(b, k.target)
		})
	}
}

// again restarts with whom there is online.
func (b *bench) again(online ...herald.Ordinal) {
	b.t.Helper()
	b.restart()
	b.follow()
	b.online(online...)
}

// turn plans what is due, and waits until what follows is handed over.
func (b *bench) turn() {
	b.t.Helper()
	ctx, stop := context.WithTimeout(b.t.Context(), time.Minute) // it may wait for ever
	defer stop()
	b.planned(ctx)
	b.must(ctx.Err())
	b.reach()
}

func (b *bench) wantLive(what string, m *record.Message, ords []herald.Ordinal, waiting, handed []herald.Ordinal) {
	b.t.Helper()
	if got := b.released(m, ords...); !slices.Equal(got, waiting) {
		b.t.Errorf("%s: it waits for %v, want %v", what, got, waiting)
	}
	got := b.handovers(m.ID)
	for _, o := range handed {
		if got[o] != 1 {
			b.t.Errorf("%s: device %d was handed it %d times", what, o, got[o])
		}
	}
	if len(got) != len(handed) {
		b.t.Errorf("%s: it was handed over for %v, want %v", what, got, handed)
	}
}

func live(after time.Duration, unless herald.DeliveryState) herald.RouteStep {
	return herald.RouteStep{Channel: herald.ChannelLive, After: herald.Duration(after), Unless: unless}
}

func vendor(v herald.Vendor, unless herald.DeliveryState) herald.RouteStep {
	return herald.RouteStep{Channel: herald.ChannelVendor, Vendor: v, Unless: unless}
}

// TestHeldBack: which routes keep a message from connections.
func TestHeldBack(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""))
	apns, fcm := vendor(herald.VendorAPNs, ""), vendor(herald.VendorFCM, "")
	for _, tt := range []struct {
		name  string
		facts *record.Facts
		ttl   time.Duration
		want  bool
	}{
		{"none", nil, time.Hour, false},
		{"live", &record.Facts{Route: route(live(0, ""))}, time.Hour, false},
		{"live first", &record.Facts{Route: route(live(0, ""), apns)}, time.Hour, false},
		{"live later", &record.Facts{Route: route(live(time.Second, ""))}, time.Hour, true},
		{"live beside a vendor", &record.Facts{Route: route(apns, live(0, ""))}, time.Hour, false},
		{"live behind a vendor", &record.Facts{Route: route(apns, live(0, herald.StateSent))}, time.Hour, true},
		{"behind a vendor without credential", &record.Facts{Route: route(fcm, live(0, herald.StateSent))}, time.Hour, true},
		{"the same by default", &record.Facts{RouteName: herald.DefaultRouteName, Route: route(fcm, live(0, herald.StateSent))}, time.Hour, false},
		{"a vendor by default", &record.Facts{RouteName: herald.DefaultRouteName, Route: route(apns, live(0, herald.StateSent))}, time.Hour, true},
		{"never live", &record.Facts{Route: route(apns)}, time.Hour, true},
		{"TTL 0", &record.Facts{Route: route(live(0, ""))}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request(to(b.devices(1)...), ttl(tt.ttl))
			r.Message.App, r.Facts = b.app, tt.facts
			m, _, err := b.d.Accept(t.Context(), r)
			b.must(err)
			if m.Held() != tt.want || m.Planned() != tt.want {
				t.Errorf("held: %v, planned: %v, want %v", m.Held(), m.Planned(), tt.want)
			}
		})
	}
}

// TestLiveLater: until live has its turn nobody gets the message by a connection,
// neither who is there when it is released nor who comes then.
func TestLiveLater(t *testing.T) {
	eachKind(t, func(b *bench, target func(...herald.Ordinal) Target) {
		ords := b.devices(4)
		b.online(ords[0], ords[1])
		m := b.sendBy(target(ords...), route(live(10*time.Second, "")))
		b.wantLive("at its release", m, ords, nil, nil)
		b.report(m.ID, herald.StateReceived, ords[1]) // somebody told it
		b.devices(1)                                  // which has a place in the log behind all releases
		b.pass(9 * time.Second)
		b.turn()
		b.again(ords[0], ords[1])
		b.turn()
		b.wantLive("before its turn", m, ords, nil, nil)
		b.pass(time.Second)
		b.turn()
		waits := []herald.Ordinal{ords[0], ords[2], ords[3]}
		if m.IsDirect() {
			waits = ords // the entries of those who have it stay
		}
		b.wantLive("in its turn", m, ords, waits, []herald.Ordinal{ords[0], ords[2], ords[3]})
		b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateSent, ords[1]: herald.StateReceived, ords[2]: herald.StatePending})
		later := b.sendBy(target(ords...), nil)
		if at := b.position(m, ords[2]); at <= m.Pos || at >= later.Pos {
			b.t.Errorf("it is at %d in the log, after %d and before %d", at, m.Pos, later.Pos)
		}
		b.turn()
		b.again()
		if got := b.released(m, ords...); !slices.Equal(got, waits) {
			b.t.Errorf("after a restart it waits for %v, want %v", got, waits)
		}
	})
}

// position is where in the log a message waits for a device.
func (b *bench) position(m *record.Message, o herald.Ordinal) herald.Pos {
	b.t.Helper()
	list, err := b.ledger.WaitingGroups(b.t.Context(), b.app, o, 0, b.ledger.Released(b.app), 100)
	if m.IsDirect() {
		list, err = b.db.Entries(b.t.Context(), b.app, o, 0, 100)
	}
	b.must(err)
	for _, e := range list {
		if e.Msg == m.ID {
			return e.Pos
		}
	}
	return 0
}

// answered finishes errands: the vendor has taken the message for some.
func (b *bench) answered(m *record.Message, ords ...herald.Ordinal) {
	b.t.Helper()
	b.drop()
	if len(ords) > 0 {
		b.must(b.ledger.Apply(b.t.Context(), b.app, record.Event{Msg: m.ID, State: herald.StateSent, Set: sets.New(ords...), Time: b.clock(), Via: "apns"}))
	}
}

// TestVendorFirst: live is for those whom no vendor before it has taken the message
// for, when they have answered, and the vendors behind it for the rest.
func TestVendorFirst(t *testing.T) {
	eachKind(t, func(b *bench, target func(...herald.Ordinal) Target) {
		ords := b.devices(5)
		for _, o := range ords[:3] {
			b.address(record.OwnerDevice, o, "apns", "")
		}
		for _, o := range ords {
			b.address(record.OwnerDevice, o, "fcm", "")
		}
		b.online(ords[:4]...)
		m := b.sendBy(target(ords...), route(vendor(herald.VendorAPNs, herald.StateSent), live(0, herald.StateSent), vendor(herald.VendorFCM, herald.StateSent)))
		// Who is connected is no reason to leave out a vendor that goes first, and
		// what comes behind it waits.
		b.wantErrands("at once", fmt.Sprintf("0 apns// device apns %v", ords[:3]))
		b.pass(2 * time.Second)
		b.turn()
		b.wantLive("while the vendor is asked", m, ords, nil, nil)
		b.answered(m, ords[0], ords[1])
		b.turn()
		b.pass(2 * time.Second)
		b.turn()
		b.wantLive("when it has answered", m, ords, ords[2:], ords[2:])
		b.pass(2 * time.Second)
		b.wantErrands("behind live", fmt.Sprintf("2 fcm// device fcm %v", ords[4:]))
		b.again(ords...)
		if got := b.released(m, ords...); !slices.Equal(got, ords[2:]) {
			b.t.Errorf("after a restart it waits for %v, want %v", got, ords[2:])
		}
	})
}

// TestImpatience: a vendor that does not answer keeps live back for a minute, one
// that has been asked in vain not at all.
func TestImpatience(t *testing.T) {
	for name, asked := range map[string]bool{"silent": false, "asked in vain": true} {
		t.Run(name, func(t *testing.T) {
			b := routed(t, credential(herald.VendorAPNs, "", ""))
			ords := b.devices(1)
			b.address(record.OwnerDevice, ords[0], "apns", "")
			b.online(ords...)
			m := b.sendBy(to(ords...), route(vendor(herald.VendorAPNs, ""), live(0, herald.StateSent)))
			b.turn()
			if asked {
				lane := record.Lane{App: b.app, Vendor: herald.VendorAPNs}
				list, err := b.db.LeaseErrands(t.Context(), lane, b.clock(), time.Minute, 1)
				b.must(err)
				list[0].Tries, list[0].At = 1, b.clock().Add(time.Hour)
				b.must(b.db.SaveErrand(t.Context(), record.ErrandSave{Errand: &list[0]}))
				b.pass(2 * time.Second)
				b.turn()
				b.wantLive("at once", m, ords, ords, ords)
				return
			}
			b.pass(time.Hour - 2*mostAsked*time.Second) // as if the server had been away
			for range mostAsked - 1 {
				b.turn()
				b.pass(askAgain)
			}
			b.wantLive("within a minute", m, ords, nil, nil)
			b.turn()
			b.wantLive("after a minute", m, ords, ords, ords)
		})
	}
}

// TestNeverLive: a route without live is kept to, and what devices say of the
// message counts.
func TestNeverLive(t *testing.T) {
	eachKind(t, func(b *bench, target func(...herald.Ordinal) Target) {
		ords := b.devices(2)
		for _, o := range ords {
			b.address(record.OwnerDevice, o, "apns", "")
		}
		b.online(ords...)
		m := b.sendBy(target(ords...), route(vendor(herald.VendorAPNs, herald.StateSent)))
		b.wantErrands("at once", fmt.Sprintf("0 apns// device apns %v", ords))
		b.answered(m, ords...)
		b.report(m.ID, herald.StateClicked, ords[0])
		b.pass(30 * time.Minute)
		b.turn()
		b.again(ords...)
		b.wantLive("at last", m, ords, nil, nil)
		b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateClicked, ords[1]: herald.StateSent})
		b.pass(time.Hour)
		b.tick()
		b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateClicked, ords[1]: herald.StateUnconfirmed})
	})
}

// TestSlowAndLater: of a message that is released in steps each goes live as long
// after its own release as the route says.
func TestSlowAndLater(t *testing.T) {
	eachKind(t, func(b *bench, target func(...herald.Ordinal) Target) {
		ords := b.devices(4)
		b.online(ords...)
		r := request(target(ords...))
		r.Message.App, r.Facts = b.app, &record.Facts{When: &record.When{Spread: &herald.Spread{Over: 4}}, Route: route(live(10*time.Second, ""))}
		m, _, err := b.d.Accept(b.t.Context(), r)
		b.must(err)
		for second := range 14 {
			b.tick()
			b.turn()
			n := max(0, min(second-9, 4))
			b.wantLive(fmt.Sprintf("after %d s", second), m, ords, ords[:n:n], ords[:n])
			b.pass(time.Second)
		}
	})
}

// TestLiveOnce: what went live is not released again by a step that is planned
// once more after a crash.
func TestLiveOnce(t *testing.T) {
	b := routed(t)
	ords := b.devices(1)
	b.online(ords...)
	m := b.sendBy(to(ords...), route(live(time.Second, "")))
	b.pass(time.Second)
	whole := b.d.c.Routes.Store
	b.d.c.Routes.Store = unfinished{whole}
	b.turn()
	b.d.c.Routes.Store = whole
	at := b.position(m, ords[0])
	b.pass(2 * routeLease)
	b.turn()
	b.wantLive("planned again", m, ords, ords, ords)
	if got := b.position(m, ords[0]); got != at {
		t.Errorf("it is at %d in the log, and was at %d", got, at)
	}
	if next, err := b.db.NextRouteStep(t.Context()); err != nil || !next.IsZero() {
		t.Errorf("a step is left at %s, %v", next, err)
	}
}

// TestHeldEnds: a message that is withdrawn, or expires, before its turn is given
// to nobody.
func TestHeldEnds(t *testing.T) {
	eachKind(t, func(b *bench, target func(...herald.Ordinal) Target) {
		ords := b.devices(2)
		b.online(ords...)
		gone := b.sendBy(target(ords...), route(live(10*time.Second, "")))
		_, err := b.d.Withdraw(b.t.Context(), b.app, gone.ID)
		b.must(err)
		short := b.sendBy(target(ords...), route(live(10*time.Second, "")), ttl(10*time.Second))
		older := b.sendBy(target(ords...), route(live(10*time.Second, "")), key("k"))
		newer := b.sendBy(target(ords...), route(live(10*time.Second, "")), key("k"))
		b.pass(10 * time.Second)
		b.tick()
		b.turn()
		for _, m := range []*record.Message{gone, short, older} {
			b.wantLive("ended", m, ords, nil, nil)
		}
		b.wantLive("newer", newer, ords, ords, ords)
		b.wantStates(gone.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateWithdrawn})
		b.wantStates(short.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateExpired})
		b.wantStates(older.ID, map[herald.Ordinal]herald.DeliveryState{ords[0]: herald.StateReplaced})
	})
}

// TestNoVendorBefore: where there is nobody whom the vendors before live could
// reach, live does not wait.
func TestNoVendorBefore(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""))
	ords := b.devices(2)
	b.online(ords...)
	first := route(vendor(herald.VendorAPNs, herald.StateSent), live(0, herald.StateSent))
	m, other := b.sendBy(to(ords...), first), b.sendBy(to(ords...), first)
	b.turn()
	b.wantLive("at once", m, ords, ords, ords)
	b.wantLive("at once, the other", other, ords, ords, ords)
}

// TestLiveOfDamaged: where it cannot be read any more whom a vendor has taken a
// message for, all of them get it live.
func TestLiveOfDamaged(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""))
	b.dense = true
	b.again()
	here := b.devices(2)
	ords := []herald.Ordinal{here[0], here[1], 70_000, 70_001} // in two slabs
	m := b.sendBy(toGroup(ords...), route(live(10*time.Second, herald.StateSent)))
	b.must(b.ledger.Apply(t.Context(), b.app, record.Event{Msg: m.ID, State: herald.StateSent, Set: sets.New(ords[0], ords[2]), Time: b.clock(), Via: "apns"}))
	b.must(b.ledger.Fold(t.Context(), true))
	b.close()
	db, err := sql.Open("sqlite", filepath.Join(b.dir, "herald.db"))
	b.must(err)
	hit, err := db.ExecContext(t.Context(), "UPDATE msg_chunk SET crc = crc + 1 WHERE state = 'sent' AND slab = 1")
	b.must(err)
	if n, err := hit.RowsAffected(); err != nil || n != 1 {
		t.Fatalf("%d chunks are damaged, %v", n, err)
	}
	b.must(db.Close())
	b.open()
	b.must(b.ledger.Load(t.Context(), b.app))
	b.follow()
	b.pass(10 * time.Second)
	b.turn()
	left, err := b.ledger.LeftOut(t.Context(), m, sets.New(ords...))
	b.must(err)
	if got := left.Ordinals(); !slices.Equal(got, ords[:1]) {
		t.Errorf("left out are %v, want %v", got, ords[:1])
	}
}

// TestErasedWhileHeld: of a message whose content was erased before its turn there
// is nothing to give, by any step.
func TestErasedWhileHeld(t *testing.T) {
	b := routed(t, credential(herald.VendorAPNs, "", ""))
	d, _, _, err := b.registry.Register(t.Context(), registry.RegisterRequest{App: b.app, Platform: herald.PlatformOther})
	b.must(err)
	b.address(record.OwnerDevice, d.Ord, "apns", "")
	ords := []herald.Ordinal{d.Ord}
	b.online(ords...)
	ten := herald.Duration(10 * time.Second)
	m := b.sendBy(to(ords...), route(herald.RouteStep{Channel: herald.ChannelVendor, After: ten}, live(10*time.Second, "")))
	changed, err := b.db.Erase(t.Context(), record.Erasure{App: b.app, ID: d.ID, Ord: d.Ord})
	b.must(err)
	if len(changed) != 1 {
		t.Fatalf("%d messages were emptied", len(changed))
	}
	b.pass(10 * time.Second)
	b.wantErrands("after the erasure")
	b.reach()
	b.wantLive("after the erasure", m, ords, nil, nil)
	if next, err := b.db.NextRouteStep(t.Context()); err != nil || !next.IsZero() {
		t.Errorf("a step is left at %s, %v", next, err)
	}
}
