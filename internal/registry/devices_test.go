package registry_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// named lists the sets of an app with their members.
func named(app *registry.App) map[string][]herald.Ordinal {
	out := map[string][]herald.Ordinal{}
	app.Index.View(func(v sets.View) {
		for _, n := range v.Names("") {
			out[n] = v.Set(n).Ordinals()
		}
	})
	return out
}

func wantSets(t *testing.T, app *registry.App, want map[string][]herald.Ordinal) {
	t.Helper()
	if d := cmp.Diff(want, named(app)); d != "" {
		t.Error(d)
	}
}

func TestRegister(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	q := registry.RegisterRequest{
		App: key, Installation: installation, Platform: herald.PlatformWeb, AppVersion: "1.0", Language: "zh-CN", TimeZone: "Asia/Shanghai",
		Alias: ptr(herald.Alias("anna")), Tags: []herald.Tag{"vip"}, Attributes: []byte(`{"a":"b"}`),
	}
	first, token, created, err := w.Register(t.Context(), q)
	must(t, err)
	if !created || first.Ord != 0 || !first.ID.Valid() || first.Alias != "anna" || !first.Created.Equal(w.clock()) || len(first.Installation) != 32 {
		t.Errorf("created %v: %+v", created, first)
	}
	w.pass(time.Hour)
	again, token2, created, err := w.Register(t.Context(), registry.RegisterRequest{App: key, Installation: installation, Platform: herald.PlatformWeb, AppVersion: "2.0", Tags: []herald.Tag{"new"}})
	must(t, err)
	if created || again.ID != first.ID || again.Ord != first.Ord || token2 != token || again.Alias != "anna" || !again.Created.Equal(first.Created) || !again.Seen.Equal(w.clock()) {
		t.Errorf("the same installation: created %v: %+v", created, again)
	}
	other, _ := w.register(registry.RegisterRequest{App: key})
	third, _ := w.register(registry.RegisterRequest{App: key})
	if other.Ord != 1 || third.Ord != 2 || other.ID == third.ID || other.Installation != nil {
		t.Errorf("without installation: %+v and %+v", other, third)
	}
	want := map[string][]herald.Ordinal{"platform:web": {0}, "version:2.0": {0}, "tag:vip": {0}, "tag:new": {0}}
	app := w.app(key)
	wantSets(t, app, want)
	if got := app.TagsOf(0); !slices.Equal(got, []herald.Tag{"new", "vip"}) {
		t.Errorf("tags %v", got)
	}
	if got := app.TagsOf(1); got == nil || len(got) != 0 {
		t.Errorf("tags %#v, want an empty list", got)
	}
	if got := app.JustSeen().Ordinals(); !slices.Equal(got, []herald.Ordinal{0, 1, 2}) {
		t.Errorf("just seen %v", got)
	}
	w.restart(serverKey)
	wantSets(t, w.app(key), want)
	_, _, _, err = w.Register(t.Context(), registry.RegisterRequest{App: herald.NewAppKey()})
	wantCode(t, err, herald.CodeUnauthorized)
}

// TestInstallationsOfTwoApps: the same installation in two apps is two devices.
func TestInstallationsOfTwoApps(t *testing.T) {
	w := newWorld(t)
	a, _ := w.newApp()
	b, _ := w.newApp()
	x, _ := w.register(registry.RegisterRequest{App: a, Installation: installation})
	_, err := w.Installation(t.Context(), b, installation)
	wantCode(t, err, herald.CodeNotFound)
	y, _ := w.register(registry.RegisterRequest{App: b, Installation: installation})
	if x.ID == y.ID {
		t.Error("two apps share a device")
	}
	_, err = w.Device(t.Context(), b, x.ID)
	wantCode(t, err, herald.CodeNotFound)
	got, err := w.Installation(t.Context(), a, installation)
	must(t, err)
	if got.ID != x.ID {
		t.Errorf("the installation is %s, want %s", got.ID, x.ID)
	}
}

func TestUnknownDevices(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	for _, id := range []herald.RegistrationID{"", "short", "ABCDEFGHIJKLMNOPQRST", herald.NewRegistrationID(w.clock())} {
		_, err := w.Device(t.Context(), key, id)
		wantCode(t, err, herald.CodeNotFound)
		_, err = w.Update(t.Context(), key, id, record.DevicePatch{Revoke: true})
		wantCode(t, err, herald.CodeNotFound)
		_, err = w.Remove(t.Context(), key, id)
		wantCode(t, err, herald.CodeNotFound)
	}
	_, err := w.Update(t.Context(), herald.NewAppKey(), herald.NewRegistrationID(w.clock()), record.DevicePatch{})
	wantCode(t, err, herald.CodeUnauthorized)
	wantSets(t, w.app(key), map[string][]herald.Ordinal{})
}

func tags(prefix string, n int) []herald.Tag {
	out := make([]herald.Tag, n)
	for i := range out {
		out[i] = herald.Tag(fmt.Sprint(prefix, i))
	}
	return out
}

func TestTagLimit(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	_, _, _, err := w.Register(t.Context(), registry.RegisterRequest{App: key, Tags: tags("a", 1001)})
	wantCode(t, err, herald.CodeLimitReached)
	d, _ := w.register(registry.RegisterRequest{App: key, Installation: installation, Tags: append(tags("a", 999), "a0", "a1")})
	register := func(add ...herald.Tag) error {
		_, _, _, err := w.Register(t.Context(), registry.RegisterRequest{App: key, Installation: installation, Tags: add})
		return err
	}
	update := func(add, remove []herald.Tag) error {
		_, err := w.Update(t.Context(), key, d.ID, record.DevicePatch{AddTags: add, RemoveTags: remove})
		return err
	}
	count := func(want int) {
		t.Helper()
		if got := len(w.app(key).TagsOf(d.Ord)); got != want {
			t.Fatalf("%d tags, want %d", got, want)
		}
	}
	count(999)
	wantCode(t, register("b0", "b1"), herald.CodeLimitReached)
	wantCode(t, update([]herald.Tag{"b0", "b1"}, nil), herald.CodeLimitReached)
	count(999)
	must(t, register("b0", "a5"))
	count(1000)
	wantCode(t, register("b1"), herald.CodeLimitReached)
	one := sets.New(d.Ord)
	wantCode(t, w.ChangeTag(t.Context(), key, "b1", one, nil), herald.CodeLimitReached)
	must(t, w.ChangeTag(t.Context(), key, "b0", one, nil)) // it has that one
	other, _ := w.register(registry.RegisterRequest{App: key})
	must(t, w.ChangeTag(t.Context(), key, "b1", sets.New(other.Ord), nil))
	count(1000)
	must(t, update([]herald.Tag{"b1"}, []herald.Tag{"b0"}))
	must(t, update(tags("c", 1000), append(tags("a", 999), "b1")))
	count(1000)
	must(t, w.ChangeTag(t.Context(), key, "c0", nil, one))
	must(t, w.ChangeTag(t.Context(), key, "b1", one, nil))
	count(1000)
}

func TestChangeTag(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	for range 4 {
		w.register(registry.RegisterRequest{App: key})
	}
	must(t, w.ChangeTag(t.Context(), key, "x", sets.New(0, 1), nil))
	must(t, w.ChangeTag(t.Context(), key, "x", sets.New(1, 2), sets.New(0, 2, 3)))
	want := map[string][]herald.Ordinal{"tag:x": {1, 2}}
	wantSets(t, w.app(key), want)
	before, err := w.Head(t.Context(), key)
	must(t, err)
	must(t, w.ChangeTag(t.Context(), key, "x", sets.New(), nil))
	if after, err := w.Head(t.Context(), key); err != nil || after.Pos != before.Pos {
		t.Errorf("no change moves the log from %d to %d: %v", before.Pos, after.Pos, err)
	}
	must(t, w.ChangeTag(t.Context(), key, "x", nil, sets.New(1, 2)))
	wantSets(t, w.app(key), map[string][]herald.Ordinal{})
	wantCode(t, w.ChangeTag(t.Context(), herald.NewAppKey(), "x", sets.New(1), nil), herald.CodeUnauthorized)
}

func TestLookUps(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	a, _ := w.register(registry.RegisterRequest{App: key, Alias: ptr(herald.Alias("anna"))})
	b, _ := w.register(registry.RegisterRequest{App: key, Alias: ptr(herald.Alias("anna")), Platform: "web"})
	ids, err := w.Ordinals(t.Context(), key, []herald.RegistrationID{a.ID, b.ID, herald.NewRegistrationID(w.clock())})
	must(t, err)
	if d := cmp.Diff(map[herald.RegistrationID]herald.Ordinal{a.ID: 0, b.ID: 1}, ids); d != "" {
		t.Error(d)
	}
	for range 2 { // from memory the answer is the same, and ends with the device
		c, _ := w.register(registry.RegisterRequest{App: key})
		some := []herald.RegistrationID{a.ID, a.ID, c.ID}
		want := map[herald.RegistrationID]herald.Ordinal{a.ID: a.Ord, c.ID: c.Ord}
		for range 2 {
			got, err := w.Ordinals(t.Context(), key, some)
			must(t, err)
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		}
		_, err := w.Remove(t.Context(), key, c.ID)
		must(t, err)
		delete(want, c.ID)
		got, err := w.Ordinals(t.Context(), key, some)
		must(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	_, err = w.Ordinals(t.Context(), herald.NewAppKey(), []herald.RegistrationID{a.ID})
	wantCode(t, err, herald.CodeUnauthorized)
	aliases, err := w.OrdinalsByAlias(t.Context(), key, []herald.Alias{"anna", "ben"})
	must(t, err)
	if d := cmp.Diff(map[herald.Alias][]herald.Ordinal{"anna": {0, 1}}, aliases); d != "" {
		t.Error(d)
	}
	list, err := w.Devices(t.Context(), key, record.DeviceFilter{Platform: "web"}, 0, 10)
	must(t, err)
	if len(list) != 1 || list[0].ID != b.ID {
		t.Errorf("devices %+v", list)
	}
	if m, err := w.Ordinals(t.Context(), key, nil); len(m) != 0 || err != nil {
		t.Errorf("of nobody: %v, %v", m, err)
	}
	if m, err := w.OrdinalsByAlias(t.Context(), key, nil); len(m) != 0 || err != nil {
		t.Errorf("of nobody: %v, %v", m, err)
	}
}

// TestBoundPos: a recent change of alias is told to a session that opens, for
// ten minutes.
func TestBoundPos(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	d, token := w.register(registry.RegisterRequest{App: key, Installation: installation, Alias: ptr(herald.Alias("anna"))})
	bound := func() herald.Pos {
		t.Helper()
		a, err := w.DeviceToken(t.Context(), token)
		must(t, err)
		return a.BoundPos
	}
	if got := bound(); got != 0 {
		t.Errorf("of a new device: %d", got)
	}
	u, err := w.Update(t.Context(), key, d.ID, record.DevicePatch{Alias: ptr(herald.Alias("ben"))})
	must(t, err)
	if got := bound(); got != u.BoundPos || got == 0 {
		t.Errorf("after Update: %d, want %d", got, u.BoundPos)
	}
	head, err := w.Head(t.Context(), key)
	must(t, err)
	w.app(key).Index.View(func(v sets.View) {
		if v.Pos() < u.BoundPos || v.Pos() != head.Pos {
			t.Errorf("the sets stand at %d, the binding is of %d", v.Pos(), u.BoundPos)
		}
	})
	r, _ := w.register(registry.RegisterRequest{App: key, Installation: installation, Alias: ptr(herald.Alias(""))})
	if got := bound(); got != r.BoundPos || got <= u.BoundPos || r.Alias != "" {
		t.Errorf("after Register: %d, want %d", got, r.BoundPos)
	}
	w.pass(10 * time.Minute)
	must(t, w.Flush(t.Context()))
	if got := bound(); got != r.BoundPos {
		t.Errorf("after ten minutes: %d, want %d", got, r.BoundPos)
	}
	w.pass(time.Second)
	must(t, w.Flush(t.Context()))
	if got := bound(); got != 0 {
		t.Errorf("after more than ten minutes: %d", got)
	}
}

// TestBoundSince: the devices whose alias changed after a position.
func TestBoundSince(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	var at []herald.Pos
	for range 3 {
		d, _ := w.register(registry.RegisterRequest{App: key, Alias: ptr(herald.Alias("anna"))})
		at = append(at, d.BoundPos)
		if len(at) == 3 {
			break // the last one keeps its first alias
		}
		d, err := w.Update(t.Context(), key, d.ID, record.DevicePatch{Alias: ptr(herald.Alias("ben"))})
		must(t, err)
		at[len(at)-1] = d.BoundPos
	}
	for _, c := range []struct {
		name  string
		pos   herald.Pos
		among []herald.Ordinal
		want  []herald.Ordinal
	}{
		{"all", 0, nil, []herald.Ordinal{0, 1}},
		{"among", 0, []herald.Ordinal{1, 2}, []herald.Ordinal{1}},
		{"after the first", at[0], nil, []herald.Ordinal{1}},
		{"among, after the first", at[0], []herald.Ordinal{0, 2}, nil},
		{"after the last", at[1], nil, nil},
	} {
		if got, known := w.app(key).BoundSince(c.pos, c.among); !slices.Equal(got.Ordinals(), c.want) || !known {
			t.Errorf("%s: %v (%t), want %v", c.name, got.Ordinals(), known, c.want)
		}
	}
}

// TestBoundSinceOfMany: those of a large commit are found, too.
func TestBoundSinceOfMany(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	first, _ := w.register(registry.RegisterRequest{App: key})
	var list []record.Binding
	for i := range 150 {
		d, _ := w.register(registry.RegisterRequest{App: key})
		list = append(list, record.Binding{ID: d.ID, Alias: herald.Alias(fmt.Sprint("user-", i))})
	}
	b, err := w.Bind(t.Context(), key, list, true)
	must(t, err)
	since := func(pos herald.Pos, among ...herald.Ordinal) *sets.Set {
		out, _ := w.app(key).BoundSince(pos, among)
		return out
	}
	if n := since(b.Pos - 1).Len(); n != 150 {
		t.Errorf("%d devices, want 150", n)
	}
	if got := since(b.Pos-1, first.Ord, first.Ord+7).Ordinals(); !slices.Equal(got, []herald.Ordinal{first.Ord + 7}) {
		t.Errorf("among two devices it is %v", got)
	}
	if !since(b.Pos).Empty() {
		t.Error("somebody was bound after it")
	}
}

// TestRebindAtOnce: of changes that are made at once the last one of the log
// is remembered, also if its caller is not the last one to be answered.
func TestRebindAtOnce(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	d, token := w.register(registry.RegisterRequest{App: key})
	for round := range 10 {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				alias := herald.Alias(fmt.Sprint(round, "-", i))
				if _, err := w.Update(t.Context(), key, d.ID, record.DevicePatch{Alias: &alias}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		row, err := w.Device(t.Context(), key, d.ID)
		must(t, err)
		a, err := w.DeviceToken(t.Context(), token)
		must(t, err)
		if a.BoundPos != row.BoundPos {
			t.Fatalf("bound at %d in memory and %d in the record", a.BoundPos, row.BoundPos)
		}
	}
}

// TestRegisterAtOnce: calls of one installation make one device.
func TestRegisterAtOnce(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	ids := make([]herald.RegistrationID, 8)
	var made atomic.Int64
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			d, _, created, err := w.Register(t.Context(), registry.RegisterRequest{App: key, Installation: installation})
			if err != nil {
				t.Error(err)
			}
			if ids[i] = d.ID; created {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] || made.Load() != 1 || w.app(key).Devices() != 1 {
		t.Errorf("%d were made: %v", made.Load(), ids)
	}
}

func TestRemovals(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	var ids []herald.RegistrationID
	for range 4 {
		d, _ := w.register(registry.RegisterRequest{App: key, Tags: []herald.Tag{"x"}})
		ids = append(ids, d.ID)
	}
	at := map[herald.Ordinal]herald.Pos{}
	for _, o := range []herald.Ordinal{2, 0} {
		d, err := w.Remove(t.Context(), key, ids[o])
		must(t, err)
		at[o] = d.BoundPos
		must(t, w.ChangeTag(t.Context(), key, "y", sets.New(1), nil))
	}
	check := func() {
		t.Helper()
		app := w.app(key)
		for pos := range at[0] + 3 {
			var dead []herald.Ordinal
			var since []registry.Removal
			for _, o := range []herald.Ordinal{0, 2} {
				if at[o] <= pos {
					dead = append(dead, o)
				}
			}
			for _, o := range []herald.Ordinal{2, 0} {
				if at[o] > pos {
					since = append(since, registry.Removal{Pos: at[o], Ord: o})
				}
			}
			if got := w.DeadAt(key, pos).Ordinals(); !slices.Equal(got, dead) {
				t.Errorf("dead at %d: %v, want %v", pos, got, dead)
			}
			if got := app.RemovedSince(pos); !slices.Equal(got, since) {
				t.Errorf("removed since %d: %v, want %v", pos, got, since)
			}
		}
		if app.Devices() != 2 {
			t.Errorf("%d devices, want 2", app.Devices())
		}
		wantSets(t, app, map[string][]herald.Ordinal{"dead": {0, 2}, "tag:x": {0, 1, 2, 3}, "tag:y": {1}})
	}
	check()
	list := w.app(key).RemovedSince(0)
	_, err := w.Remove(t.Context(), key, ids[3])
	must(t, err)
	if len(list) != 2 || len(w.app(key).RemovedSince(0)) != 3 {
		t.Error("a later removal changes a list that was given out")
	}
	_, err = w.Remove(t.Context(), key, ids[0])
	wantCode(t, err, herald.CodeNotFound)
	if !w.DeadAt(herald.NewAppKey(), 1).Empty() {
		t.Error("an unknown app has dead devices")
	}
}

// TestRemovalsAfterRestart reads removals from the record, folded or not.
func TestRemovalsAfterRestart(t *testing.T) {
	for _, folded := range []bool{false, true} {
		w := newWorld(t)
		key, _ := w.newApp()
		a, _ := w.register(registry.RegisterRequest{App: key})
		b, _ := w.register(registry.RegisterRequest{App: key})
		da, err := w.Remove(t.Context(), key, a.ID)
		must(t, err)
		db, err := w.Remove(t.Context(), key, b.ID)
		must(t, err)
		if folded {
			must(t, w.Flush(t.Context()))
		}
		w.restart(serverKey)
		if got := w.DeadAt(key, da.BoundPos).Ordinals(); !slices.Equal(got, []herald.Ordinal{a.Ord}) {
			t.Errorf("folded %v: dead at %d: %v", folded, da.BoundPos, got)
		}
		if got := w.app(key).RemovedSince(da.BoundPos); !slices.Equal(got, []registry.Removal{{Pos: db.BoundPos, Ord: b.Ord}}) {
			t.Errorf("folded %v: removed since %d: %v", folded, da.BoundPos, got)
		}
		if w.app(key).Devices() != 0 {
			t.Errorf("folded %v: %d devices", folded, w.app(key).Devices())
		}
	}
}
