package registry_test

import (
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// The sets of time zones of an older record are made at the first start, once.
func TestZonesOfAnOlderRecord(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	var devices []record.Device
	for _, zone := range []string{"Asia/Tokyo", "", "Europe/Paris", "Asia/Tokyo"} {
		d, _ := w.register(registry.RegisterRequest{App: key, TimeZone: zone})
		devices = append(devices, d)
	}
	set := func(zone string) *sets.Set {
		name := record.ZoneSet(zone)
		return w.app(key).Index.Snapshot([]string{name}).Set(name)
	}
	tokyo, paris := sets.New(devices[0].Ord, devices[3].Ord), sets.New(devices[2].Ord)
	want := func(what string) {
		t.Helper()
		if !sets.Equal(set("Asia/Tokyo"), tokyo) || !sets.Equal(set("Europe/Paris"), paris) {
			t.Errorf("%s: in Tokyo are %v, in Paris %v", what, set("Asia/Tokyo").Ordinals(), set("Europe/Paris").Ordinals())
		}
	}
	want("as they registered")
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	row := w.app(key).Row()
	if !row.Settings.Zoned {
		t.Error("a new app has no sets of time zones")
	}
	row.Settings.Zoned = false
	if err := w.db.UpdateApp(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.sql("DELETE FROM set_chunk WHERE name LIKE 'zone:%'")
	w.start(serverKey)
	want("after the first start")
	if !w.app(key).Row().Settings.Zoned {
		t.Error("the next start makes them again")
	}
	w.restart(serverKey)
	want("after the next")
	moved := "Europe/Paris"
	if _, err := w.Update(t.Context(), key, devices[0].ID, record.DevicePatch{TimeZone: &moved}); err != nil {
		t.Fatal(err)
	}
	tokyo, paris = sets.New(devices[3].Ord), sets.New(devices[0].Ord, devices[2].Ord)
	want("after one has moved")
	var none herald.AppKey = "none"
	if err := w.db.DeviceZones(t.Context(), none, func(herald.Ordinal, string) {}); err == nil {
		t.Error("an app that is not there has zones")
	}
}
