package storetest

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

const none herald.AppKey = "nnnnnnnnnnnnnnnnnnnnnnnn"

var options = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(sets.Equal), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.AllowUnexported(record.Image{})}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, options); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

func testApps(t *testing.T, f *fixture) {
	refused(t, f.CreateApp(f.ctx, record.App{Key: appA}), herald.CodeConflict)
	refused(t, f.UpdateApp(f.ctx, record.App{Key: none}), herald.CodeNotFound)
	_, err := f.Head(f.ctx, none)
	refused(t, err, herald.CodeNotFound)
	changed := record.App{Key: appA, Name: "new name", SecretHash: []byte("new hash"), Created: start, OldHash: []byte("hash"), OldUntil: start.Add(time.Hour),
		Settings: record.Settings{DeviceTags: true, Origins: []string{"https://example.com"}}}
	f.must(f.UpdateApp(f.ctx, changed))
	want := []record.App{changed, {Key: appB, Name: "app b", SecretHash: []byte("hash"), Created: start}}
	for range 2 {
		got, err := f.Apps(f.ctx)
		f.must(err)
		same(t, "Apps", got, want)
		f.restart()
	}
	h, err := f.Head(f.ctx, appA)
	f.must(err)
	same(t, "Head", h, record.Head{Epoch: 1})
	var mu sync.Mutex
	won := 0
	together(8, func(int) {
		if f.CreateApp(f.ctx, record.App{Key: none, SecretHash: []byte("h"), Created: start}) == nil {
			mu.Lock()
			defer mu.Unlock()
			won++
		}
	})
	if won != 1 {
		t.Errorf("%d of 8 callers made the same app", won)
	}
}

func testKeys(t *testing.T, f *fixture) {
	k := record.APIKey{App: appA, ID: "abcdefgh", Name: "ci", Hash: []byte("h"), Scopes: []string{"push", "read"}, Created: start}
	other := record.APIKey{App: appB, ID: "abcdefgh", Name: "other", Hash: []byte("o"), Created: start}
	f.must(f.PutKey(f.ctx, k))
	f.must(f.PutKey(f.ctx, other))
	k.LastUsed, k.OldHash, k.OldUntil, k.Expires = start.Add(time.Minute), []byte("old"), start.Add(time.Hour), start.Add(2*time.Hour)
	k.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	f.must(f.PutKey(f.ctx, k))
	f.restart()
	got, err := f.Keys(f.ctx)
	f.must(err)
	same(t, "Keys", got, []record.APIKey{k, other})
	k.OldHash, k.OldUntil, k.Expires, k.Networks = nil, time.Time{}, time.Time{}, nil
	f.must(f.PutKey(f.ctx, k))
	got, err = f.Keys(f.ctx)
	f.must(err)
	same(t, "Keys after a change", got, []record.APIKey{k, other})
	f.must(f.DeleteKey(f.ctx, appA, k.ID))
	refused(t, f.DeleteKey(f.ctx, appA, k.ID), herald.CodeNotFound)
	refused(t, f.DeleteKey(f.ctx, none, k.ID), herald.CodeNotFound)
	refused(t, f.PutKey(f.ctx, record.APIKey{App: none, ID: "x"}), herald.CodeNotFound)
	got, err = f.Keys(f.ctx)
	f.must(err)
	same(t, "Keys after one is deleted", got, []record.APIKey{other})
}

func testJWTKeys(t *testing.T, f *fixture) {
	secret := record.JWTKey{App: appA, ID: "b", KeyID: "2026", Issuer: "https://id.example.com/", Algorithm: "HS256", Sealed: []byte("s"), Created: start, Expires: start.Add(time.Hour)}
	public := record.JWTKey{App: appA, ID: "a", KeyID: "2027", Issuer: "https://id.example.com/", Algorithm: "RS256", PublicKey: "pem", Created: start}
	other := record.JWTKey{App: appB, ID: "b", KeyID: "2026", Issuer: "x", Algorithm: "EdDSA", PublicKey: "pem", Created: start}
	for _, k := range []record.JWTKey{secret, public, other} {
		f.must(f.CreateJWTKey(f.ctx, k))
	}
	f.restart()
	got, err := f.JWTKeys(f.ctx)
	f.must(err)
	same(t, "JWTKeys", got, []record.JWTKey{public, secret, other})
	f.must(f.DeleteJWTKey(f.ctx, appA, "b"))
	refused(t, f.DeleteJWTKey(f.ctx, appA, "b"), herald.CodeNotFound)
	refused(t, f.DeleteJWTKey(f.ctx, none, "b"), herald.CodeNotFound)
	refused(t, f.CreateJWTKey(f.ctx, record.JWTKey{App: none, ID: "x"}), herald.CodeNotFound)
	got, err = f.JWTKeys(f.ctx)
	f.must(err)
	same(t, "JWTKeys after one is deleted", got, []record.JWTKey{public, other})
}

func testRegister(t *testing.T, f *fixture) {
	r := registration(appA, 1, withAlias("ann"), func(r *record.Registration) {
		r.Attributes, r.AddTags = []byte(`{"city":"Paris"}`), []herald.Tag{"vip"}
	})
	d, isNew, err := f.Register(f.ctx, r)
	f.must(err)
	want := r.Device
	want.BoundPos = 1
	same(t, "device", d, want)
	if !isNew {
		t.Error("a new installation was not new")
	}
	got, err := f.Device(f.ctx, appA, d.ID)
	f.must(err)
	same(t, "Device", got, want)
	got, err = f.DeviceByInstallation(f.ctx, appA, r.Installation)
	f.must(err)
	same(t, "DeviceByInstallation", got, want)
	for _, hash := range [][]byte{nil, []byte("other")} {
		_, err = f.DeviceByInstallation(f.ctx, appA, hash)
		refused(t, err, herald.CodeNotFound)
	}
	_, err = f.DeviceByInstallation(f.ctx, appB, r.Installation)
	refused(t, err, herald.CodeNotFound)
	names := map[string]bool{}
	for _, c := range f.sets[appA][0].Changes {
		if c.Remove || !c.Ords.Contains(0) || c.Ords.Len() != 1 {
			t.Errorf("change %+v is not an addition of the device", c)
		}
		names[c.Set] = true
	}
	same(t, "sets", names, map[string]bool{"tag:vip": true, "platform:web": true, "version:1.0": true, "language:en": true, "language:en-gb": true, "zone:Europe/London": true})

	bare := record.Registration{Device: record.Device{App: appA, ID: regID(2), Created: start, Seen: start, Alias: "ann"}}
	d, isNew, err = f.Register(f.ctx, bare)
	f.must(err)
	if !isNew || d.Ord != 1 || d.Alias != "" || d.BoundPos != 0 {
		t.Errorf("a device with nothing: %+v, new %v", d, isNew)
	}
	if e := f.sets[appA]; len(e) != 2 || e[1].NextOrd != 2 || len(e[1].Changes) != 0 {
		t.Errorf("OnSets was told %+v", e)
	}
	f.wantHead(appA, 2)
	bare.App = none
	_, _, err = f.Register(f.ctx, bare)
	refused(t, err, herald.CodeNotFound)
	bare.App = appA
	_, isNew, err = f.Register(f.ctx, bare)
	refused(t, err, herald.CodeConflict)
	if isNew {
		t.Error("a refused device is called new")
	}
	f.wantHead(appA, 2)
}

func testRegisterKnown(t *testing.T, f *fixture) {
	first := f.register(appA, 1, withAlias("ann"), func(r *record.Registration) { r.Attributes = []byte(`{"a":"b"}`) })
	again := registration(appA, 1, func(r *record.Registration) {
		r.ID, r.AppVersion, r.Seen = regID(99), "2.0", start.Add(time.Hour)
	})
	d, isNew, err := f.Register(f.ctx, again)
	f.must(err)
	want := first
	want.AppVersion, want.Seen = "2.0", start.Add(time.Hour)
	same(t, "known device", d, want)
	if isNew {
		t.Error("a known installation is new")
	}
	f.wantHead(appA, 2)
	// Nothing but the time differs: no position is taken.
	again.Seen = start.Add(2 * time.Hour)
	d, _, err = f.Register(f.ctx, again)
	f.must(err)
	want.Seen = again.Seen
	same(t, "device seen again", d, want)
	f.wantHead(appA, 2)
	again.Alias, again.SetAlias = "bob", true
	d, _, err = f.Register(f.ctx, again)
	f.must(err)
	if d.Alias != "bob" || d.BoundPos != 3 || d.Ord != first.Ord || d.ID != first.ID {
		t.Errorf("bound anew: %+v", d)
	}
	got, err := f.Device(f.ctx, appA, first.ID)
	f.must(err)
	same(t, "Device", got, d)
}

func testRegisterConcurrently(t *testing.T, f *fixture) {
	const n = 64
	ords := make([]herald.Ordinal, n)
	fresh := make([]bool, n)
	together(n, func(i int) {
		// Two callers share each installation.
		r := registration(appA, i/2)
		r.ID = regID(i)
		d, isNew, err := f.Register(f.ctx, r)
		if err != nil {
			t.Error(err)
		}
		ords[i], fresh[i] = d.Ord, isNew
	})
	seen := map[herald.Ordinal]bool{}
	for i := 0; i < n; i += 2 {
		if ords[i] != ords[i+1] || fresh[i] == fresh[i+1] || seen[ords[i]] {
			t.Errorf("installation %d: ordinals %d and %d, new %v and %v", i/2, ords[i], ords[i+1], fresh[i], fresh[i+1])
		}
		seen[ords[i]] = true
	}
	h, err := f.Head(f.ctx, appA)
	f.must(err)
	if h.NextOrd != n/2 {
		t.Errorf("%d ordinals are taken, want %d", h.NextOrd, n/2)
	}
	f.wantHead(appA, h.Pos)
}

func testUpdateDevice(t *testing.T, f *fixture) {
	d := f.register(appA, 1)
	zones := map[herald.Ordinal]string{}
	f.must(f.DeviceZones(f.ctx, appA, func(o herald.Ordinal, zone string) { zones[o] = zone }))
	same(t, "zones", zones, map[herald.Ordinal]string{d.Ord: "Europe/London"})
	version, lang, zone, alias := "2.0", "de", "Europe/Berlin", herald.Alias("ann")
	got, err := f.UpdateDevice(f.ctx, appA, d.ID, record.DevicePatch{AppVersion: &version, Language: &lang, TimeZone: &zone,
		Alias: &alias, Attributes: []byte(`{"x":"y"}`), AddTags: []herald.Tag{"in"}, RemoveTags: []herald.Tag{"out"}, Revoke: true})
	f.must(err)
	want := d
	want.AppVersion, want.Language, want.TimeZone, want.Alias, want.BoundPos = version, lang, zone, alias, 2
	want.Attributes, want.Generation = []byte(`{"x":"y"}`), 1
	same(t, "updated device", got, want)
	var log []string
	for _, c := range f.sets[appA][1].Changes {
		log = append(log, fmt.Sprint(c.Set, " ", c.Remove))
	}
	slices.Sort(log)
	same(t, "changes", log, []string{"language:de false", "language:en true", "language:en-gb true",
		"tag:in false", "tag:out true", "version:1.0 true", "version:2.0 false",
		"zone:Europe/Berlin false", "zone:Europe/London true"})
	// A patch of nothing takes no position; unbinding takes one.
	got, err = f.UpdateDevice(f.ctx, appA, d.ID, record.DevicePatch{})
	f.must(err)
	same(t, "device after an empty patch", got, want)
	f.wantHead(appA, 2)
	nobody := herald.Alias("")
	got, err = f.UpdateDevice(f.ctx, appA, d.ID, record.DevicePatch{Alias: &nobody})
	f.must(err)
	if got.Alias != "" || got.BoundPos != 3 {
		t.Errorf("unbound: %+v", got)
	}
	f.wantHead(appA, 3)
	for _, id := range []herald.RegistrationID{regID(7), ""} {
		_, err = f.UpdateDevice(f.ctx, appA, id, record.DevicePatch{Revoke: true})
		refused(t, err, herald.CodeNotFound)
	}
	_, err = f.UpdateDevice(f.ctx, none, d.ID, record.DevicePatch{})
	refused(t, err, herald.CodeNotFound)
}

func testRemoveDevice(t *testing.T, f *fixture) {
	d := f.register(appA, 1, withAlias("ann"))
	gone, err := f.RemoveDevice(f.ctx, appA, d.ID)
	f.must(err)
	wantGone := d
	wantGone.BoundPos = 2
	same(t, "removed device", gone, wantGone)
	e := f.sets[appA][1]
	same(t, "changes", e.Changes, []record.SetChange{{Set: record.DeadSet, Ords: sets.New(d.Ord)}})
	_, err = f.RemoveDevice(f.ctx, appA, d.ID)
	refused(t, err, herald.CodeNotFound)
	_, err = f.Device(f.ctx, appA, d.ID)
	refused(t, err, herald.CodeNotFound)
	_, err = f.UpdateDevice(f.ctx, appA, d.ID, record.DevicePatch{Revoke: true})
	refused(t, err, herald.CodeNotFound)
	_, err = f.RemoveDevice(f.ctx, none, d.ID)
	refused(t, err, herald.CodeNotFound)
	bound, err := f.OrdinalsByAlias(f.ctx, appA, []herald.Alias{"ann"})
	f.must(err)
	same(t, "alias of a removed device", bound, map[herald.Alias][]herald.Ordinal{})
	f.restart()
	// The same installation comes back as another device.
	again := f.register(appA, 1)
	if again.Ord != 1 || again.Alias != "" {
		t.Errorf("after removal: ordinal %d, alias %q", again.Ord, again.Alias)
	}
	f.wantHead(appA, 3)
	_, err = f.RemoveDevice(f.ctx, appA, again.ID)
	f.must(err)
	f.must(f.FoldSets(f.ctx, appA, 4, nil))
	f.restart()
	got := map[herald.Ordinal]herald.Pos{}
	f.must(f.Removed(f.ctx, appA, func(o herald.Ordinal, p herald.Pos) error { got[o] = p; return nil }))
	same(t, "Removed", got, map[herald.Ordinal]herald.Pos{0: 2, 1: 4})
	refused(t, f.Removed(f.ctx, none, nil), herald.CodeNotFound)
}

func testTouch(t *testing.T, f *fixture) {
	var all []record.Device
	for i := range 3 {
		all = append(all, f.register(appA, i))
	}
	_, err := f.RemoveDevice(f.ctx, appA, all[2].ID)
	f.must(err)
	at := start.Add(30 * time.Hour)
	touched := sets.Range(2000)
	touched.Remove(1)
	f.must(f.Touch(f.ctx, appA, touched, at))
	e := f.sets[appA][len(f.sets[appA])-1]
	same(t, "entry", e, record.SetLogEntry{Pos: 5, NextOrd: 3, Changes: []record.SetChange{{Set: "seen:20260103", Ords: touched}}})
	all[0].Seen = at
	for _, when := range []time.Time{at, start.Add(time.Hour)} { // a late call does not turn the time back
		f.must(f.Touch(f.ctx, appA, sets.New(0), when))
		got, err := f.Devices(f.ctx, appA, record.DeviceFilter{}, 0, 10)
		f.must(err)
		same(t, "devices", got, all[:2])
	}
	f.must(f.Touch(f.ctx, appA, sets.New(), at))
	f.wantHead(appA, 7)
	refused(t, f.Touch(f.ctx, none, sets.New(1), at), herald.CodeNotFound)
}

func testAliasLimit(t *testing.T, f *fixture) {
	together(herald.MaxDevicesByAlias, func(i int) {
		if _, _, err := f.Register(f.ctx, registration(appA, i, withAlias("ann"))); err != nil {
			t.Error(err)
		}
	})
	_, _, err := f.Register(f.ctx, registration(appA, 100, withAlias("ann")))
	refused(t, err, herald.CodeLimitReached)
	d := f.register(appA, 101)
	alias := herald.Alias("ann")
	_, err = f.UpdateDevice(f.ctx, appA, d.ID, record.DevicePatch{Alias: &alias, Revoke: true})
	refused(t, err, herald.CodeLimitReached)
	got, err := f.Device(f.ctx, appA, d.ID)
	f.must(err)
	same(t, "device after the refusal", got, d)
	f.wantHead(appA, 101)
	// One that is bound already may say so again, and another app has its own.
	f.register(appA, 5, withAlias("ann"))
	f.register(appB, 1, withAlias("ann"))
	f.wantHead(appA, 101)
}

func testAliasMoves(t *testing.T, f *fixture) {
	a, b := f.register(appA, 1, withAlias("ann")), f.register(appA, 2, withAlias("ann"))
	bob := herald.Alias("bob")
	moved, err := f.UpdateDevice(f.ctx, appA, a.ID, record.DevicePatch{Alias: &bob})
	f.must(err)
	if moved.BoundPos != 3 || b.BoundPos != 2 {
		t.Errorf("bound at %d and %d, want 3 and 2", moved.BoundPos, b.BoundPos)
	}
	f.restart()
	got, err := f.OrdinalsByAlias(f.ctx, appA, []herald.Alias{"ann", "bob", "nobody", "ann"})
	f.must(err)
	same(t, "OrdinalsByAlias", got, map[herald.Alias][]herald.Ordinal{"ann": {b.Ord}, "bob": {a.Ord}})
}

func testDevices(t *testing.T, f *fixture) {
	var all []record.Device
	for i := range 12 {
		all = append(all, f.register(appA, i, func(r *record.Registration) {
			if i%3 == 0 {
				r.Platform = herald.PlatformIOS
			}
			if i%4 == 0 {
				r.Alias, r.SetAlias = "ann", true
			}
		}))
	}
	f.register(appB, 50)
	_, err := f.RemoveDevice(f.ctx, appA, all[6].ID)
	f.must(err)
	for _, c := range []struct {
		name   string
		filter record.DeviceFilter
		from   herald.Ordinal
		limit  int
		want   []herald.Ordinal
	}{
		{"all", record.DeviceFilter{}, 0, 100, []herald.Ordinal{0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11}},
		{"page", record.DeviceFilter{}, 3, 2, []herald.Ordinal{3, 4}},
		{"past the end", record.DeviceFilter{}, 12, 2, nil},
		{"platform", record.DeviceFilter{Platform: herald.PlatformIOS}, 0, 100, []herald.Ordinal{0, 3, 9}},
		{"alias", record.DeviceFilter{Alias: "ann"}, 1, 100, []herald.Ordinal{4, 8}},
		{"unknown alias", record.DeviceFilter{Alias: "eve"}, 0, 100, nil},
		{"both", record.DeviceFilter{Alias: "ann", Platform: herald.PlatformWeb}, 0, 1, []herald.Ordinal{4}},
		{"within", record.DeviceFilter{Within: []herald.Ordinal{1, 3, 6, 9, 500}}, 2, 100, []herald.Ordinal{3, 9}},
		{"within nothing", record.DeviceFilter{Within: []herald.Ordinal{}}, 0, 100, nil},
		{"within, platform, page", record.DeviceFilter{Within: sets.Range(1000).Ordinals(), Platform: herald.PlatformIOS}, 1, 1, []herald.Ordinal{3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := f.Devices(f.ctx, appA, c.filter, c.from, c.limit)
			if err != nil {
				t.Fatal(err)
			}
			var ords []herald.Ordinal
			for _, d := range got {
				ords = append(ords, d.Ord)
				same(t, "device", d, all[d.Ord])
			}
			same(t, "ordinals", ords, c.want)
		})
	}
	_, err = f.Devices(f.ctx, none, record.DeviceFilter{}, 0, 1)
	refused(t, err, herald.CodeNotFound)
}

func testOrdinalsByName(t *testing.T, f *fixture) {
	want := map[herald.RegistrationID]herald.Ordinal{}
	var ids []herald.RegistrationID
	for i := range herald.MaxIDsPerCall {
		ids = append(ids, regID(i))
	}
	together(8, func(k int) {
		for i := k; i < 600; i += 8 {
			if _, _, err := f.Register(f.ctx, registration(appA, i)); err != nil {
				t.Error(err)
			}
		}
	})
	all, err := f.Devices(f.ctx, appA, record.DeviceFilter{}, 0, 1000)
	f.must(err)
	for _, d := range all {
		want[d.ID] = d.Ord
	}
	got, err := f.OrdinalsByID(f.ctx, appA, ids)
	f.must(err)
	same(t, "OrdinalsByID", got, want)
	if len(got) != 600 {
		t.Errorf("%d of 600 devices were found", len(got))
	}
	got, err = f.OrdinalsByID(f.ctx, appB, ids)
	f.must(err)
	same(t, "OrdinalsByID of another app", got, map[herald.RegistrationID]herald.Ordinal{})
	_, err = f.OrdinalsByID(f.ctx, none, ids)
	refused(t, err, herald.CodeNotFound)
	_, err = f.OrdinalsByAlias(f.ctx, none, []herald.Alias{"a"})
	refused(t, err, herald.CodeNotFound)
}

func testAppsApart(t *testing.T, f *fixture) {
	a, b := f.register(appA, 1, withAlias("x")), f.register(appB, 1, withAlias("x"))
	if a.Ord != 0 || b.Ord != 0 {
		t.Errorf("ordinals %d and %d, want 0 in each app", a.Ord, b.Ord)
	}
	_, err := f.RemoveDevice(f.ctx, appA, a.ID)
	f.must(err)
	got, err := f.Device(f.ctx, appB, b.ID)
	f.must(err)
	same(t, "device of the other app", got, b)
	m := f.message(0)
	f.accept(m)
	_, err = f.Message(f.ctx, appB, m.ID)
	refused(t, err, herald.CodeNotFound)
	_, err = f.EndMessage(f.ctx, appB, m.ID, herald.MessageWithdrawn, start)
	refused(t, err, herald.CodeNotFound)
	entries, err := f.Entries(f.ctx, appB, 0, 0, 10)
	f.must(err)
	same(t, "entries of the other app", entries, []record.Entry{})
	f.wantHead(appA, 3)
	f.wantHead(appB, 1)
}
