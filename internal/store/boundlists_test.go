package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
)

// Devices that were bound together are found by the position of that, with
// those that were bound one by one, until nobody can ask for it.
func TestManyBound(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	clock := time.UnixMilli(1_800_000_000_000)
	db, err := Open(ctx, Config{Driver: driver.New(driver.Config{Path: dir + "/herald.db"}), Now: func() time.Time { return clock }})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	must(t, db.CreateApp(ctx, record.App{Key: app, SecretHash: []byte("h"), Created: time.UnixMilli(1)}))
	const devices = 2 * manyBound
	for i := range devices {
		register(t, db, i, "") // positions 1 to devices
	}
	bind := func(alias string, from, to int) record.Bound {
		var list []record.Binding
		for i := from; i < to; i++ {
			list = append(list, record.Binding{ID: deviceID(i), Alias: herald.Alias(fmt.Sprint(alias, i))})
		}
		b, err := db.BindDevices(ctx, app, list, false)
		must(t, err)
		return b
	}
	want := func(name string, after herald.Pos, want *sets.Set) {
		t.Helper()
		got, err := db.BoundAfter(ctx, app, after)
		must(t, err)
		if !sets.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got.Ordinals(), want.Ordinals())
		}
	}
	first := bind("a", 0, devices)
	want("all at once", first.Pos-1, sets.Range(devices))
	want("nobody since", first.Pos, sets.New())
	few := bind("b", 0, 2)
	half := bind("c", 1, 1+manyBound)
	want("the last call", half.Pos-1, sets.Minus(sets.Range(1+manyBound), sets.New(0)))
	want("both", few.Pos-1, sets.Range(1+manyBound))
	if d, err := db.Device(ctx, app, deviceID(devices-1)); err != nil || d.BoundPos != first.Pos || d.Alias != herald.Alias(fmt.Sprint("a", devices-1)) {
		t.Errorf("%+v, %v; want it bound at %d", d, err, first.Pos)
	}
	// Another change of such a device leaves its position what it is.
	language := "de"
	if d, err := db.UpdateDevice(ctx, app, deviceID(devices-1), record.DevicePatch{Language: &language}); err != nil || d.BoundPos != first.Pos {
		t.Errorf("%+v, %v; want it bound at %d", d, err, first.Pos)
	}

	m := message(1, 3)
	m.EvalPos, m.ByAlias = first.Pos-1, true
	_, err = db.Accept(ctx, m)
	must(t, err)
	positions := func(limit int) (out []herald.Pos) {
		t.Helper()
		list, err := db.Rebindings(ctx, app, limit)
		must(t, err)
		for _, r := range list {
			out = append(out, r.Pos)
			if r.Pos == first.Pos && !sets.Equal(r.Ords, sets.Range(devices)) {
				t.Errorf("at %d: %v", r.Pos, r.Ords.Ordinals())
			}
		}
		return out
	}
	if got := positions(9); !slices.Equal(got, []herald.Pos{half.Pos, few.Pos, first.Pos}) {
		t.Errorf("the changes are at %v; want %d, %d, %d", got, half.Pos, few.Pos, first.Pos)
	}
	if got := positions(1); !slices.Equal(got, []herald.Pos{half.Pos}) {
		t.Errorf("the last change is at %v", got)
	}

	purge := func(name string, left int) {
		t.Helper()
		_, err := db.Purge(ctx, clock, time.UnixMilli(0), 10)
		must(t, err)
		wantCount(t, db, left, "SELECT COUNT(*) FROM bound_list")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	purge("young", 2)
	clock = clock.Add(boundKept + time.Second)
	purge("a message was evaluated before both", 2)
	_, err = db.EndMessage(ctx, app, 1, herald.MessageWithdrawn, time.UnixMilli(1))
	must(t, err)
	must(t, db.PutFile(ctx, app, record.File{ID: "f", Name: "f", Kind: record.FileOfAliases, Pos: first.Pos, Created: clock}, sets.New(1)))
	purge("a file came between the two", 1)
	want("for the file", first.Pos, sets.Range(1+manyBound))
	must(t, db.DeleteFile(ctx, app, "f"))
	purge("nobody can ask", 0)
}

// A set that is damaged is not passed over.
func TestManyBoundDamaged(t *testing.T) {
	db := newDB(t)
	var list []record.Binding
	for i := range manyBound {
		register(t, db, i, "")
		list = append(list, record.Binding{ID: deviceID(i), Alias: "a"})
	}
	_, err := db.BindDevices(t.Context(), app, list, true)
	must(t, err)
	must(t, db.write(t.Context(), func(x *tx) error { _, err := x.exec("UPDATE bound_list SET crc = crc + 1"); return err }))
	if got, err := db.BoundAfter(t.Context(), app, 0); err == nil {
		t.Errorf("%v", got.Ordinals())
	}
}
