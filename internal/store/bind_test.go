package store

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// register makes a device, with an alias unless it is empty.
func register(t *testing.T, db *DB, n int, alias herald.Alias) record.Device {
	t.Helper()
	d, _, err := db.Register(t.Context(), record.Registration{SetAlias: alias != "", Device: record.Device{
		App: app, ID: deviceID(n), Installation: fmt.Append(nil, n), Alias: alias, Created: time.UnixMilli(1), Seen: time.UnixMilli(1)}})
	must(t, err)
	return d
}

// What changes between the look-up of names and the commit is looked up again.
func TestBindStaleNames(t *testing.T) {
	eve, none := herald.Alias("eve"), herald.Alias("")
	for name, c := range map[string]struct {
		change  func(db *DB) error
		outcome record.BindOutcome
		alias   herald.Alias // of the device in the end
	}{
		"bound by a change": {func(db *DB) error {
			_, err := db.UpdateDevice(t.Context(), app, deviceID(1), record.DevicePatch{Alias: &eve})
			return err
		}, record.BindUnchanged, eve},
		"unbound by a change": {func(db *DB) error {
			_, err := db.UpdateDevice(t.Context(), app, deviceID(1), record.DevicePatch{Alias: &none})
			return err
		}, record.BindDone, eve},
		"bound by registering": {func(db *DB) error { register(t, db, 1, eve); return nil }, record.BindUnchanged, eve},
		"bound by a list": {func(db *DB) error {
			_, err := db.BindDevices(t.Context(), app, []record.Binding{{ID: deviceID(1), Alias: eve}}, true)
			return err
		}, record.BindUnchanged, eve},
		"another device by a list": {func(db *DB) error {
			_, err := db.BindDevices(t.Context(), app, []record.Binding{{ID: deviceID(2), Alias: eve}}, true)
			return err
		}, record.BindDone, eve},
		"the alias is made": {func(db *DB) error { _, err := db.PutRecipient(t.Context(), app, eve); return err }, record.BindDone, eve},
		"the alias goes and comes": {func(db *DB) error {
			must(t, db.DeleteRecipient(t.Context(), app, "idle"))
			_, err := db.PutRecipient(t.Context(), app, eve)
			return err
		}, record.BindDone, eve},
		"the device is removed": {func(db *DB) error { _, err := db.RemoveDevice(t.Context(), app, deviceID(1)); return err }, record.BindUnknown, none},
		"a group that is rolled back": {func(db *DB) error {
			err := db.write(t.Context(), func(x *tx) error {
				h, err := x.head(1)
				if err != nil {
					return err
				}
				if _, _, err := x.recipient(1, h, eve); err != nil {
					return err
				}
				_, err = x.exec("INSERT INTO meta (name, value) VALUES ('probe', '')")
				return err
			})
			if herald.CodeOf(err) != herald.CodeConflict {
				t.Errorf("the second row with a key: %v", err)
			}
			return nil
		}, record.BindDone, eve},
	} {
		t.Run(name, func(t *testing.T) {
			db := newDB(t)
			register(t, db, 1, "anna")
			register(t, db, 2, "")
			_, err := db.PutRecipient(t.Context(), app, "idle")
			must(t, err)
			list := []record.Binding{{ID: deviceID(1), Alias: eve}}
			found, err := db.bindNames(t.Context(), 1, list)
			must(t, err)
			defer found.forget()
			must(t, c.change(db))
			got, err := db.bindFound(t.Context(), 1, list, found, true)
			if err != nil || got.Outcomes[0] != c.outcome {
				t.Fatalf("%v, %v; want %v", got.Outcomes, err, c.outcome)
			}
			if c.outcome == record.BindUnknown {
				return
			}
			d, err := db.Device(t.Context(), app, deviceID(1))
			must(t, err)
			of, err := db.OrdinalsByAlias(t.Context(), app, []herald.Alias{"anna", eve})
			must(t, err)
			if d.Alias != c.alias || !slices.Contains(of[c.alias], d.Ord) || len(of["anna"]) > 0 {
				t.Errorf("the device has %q, and the aliases %v", d.Alias, of)
			}
		})
	}
}

// A group that is not committed yet is not seen by readers, and so what it
// changes counts as changed after the look-up.
func TestBindWhileCommitting(t *testing.T) {
	db := newDB(t)
	register(t, db, 1, "")
	list := []record.Binding{{ID: deviceID(1), Alias: "eve"}}
	var found *bindNames
	must(t, db.write(t.Context(), func(x *tx) error {
		h, err := x.head(1)
		if err != nil {
			return err
		}
		if _, _, err := x.recipient(1, h, "eve"); err != nil {
			return err
		}
		found, err = db.bindNames(t.Context(), 1, list)
		return err
	}))
	defer found.forget()
	if got, err := db.bindFound(t.Context(), 1, list, found, true); err != nil || got.Outcomes[0] != record.BindDone {
		t.Errorf("%+v, %v", got, err)
	}
}

// Bindings of many at once leave each device with one alias, and no alias with
// too many devices.
func TestBindAtOnce(t *testing.T) {
	const devices, callers, rounds = herald.MaxDevicesByAlias + 20, 4, 15
	db := newDB(t)
	for i := range devices {
		register(t, db, i, "")
	}
	aliases := []herald.Alias{"", "a", "b"}
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for r := range rounds {
				var list []record.Binding
				for i := range devices {
					list = append(list, record.Binding{ID: deviceID((i*7 + c) % devices), Alias: aliases[(i*c+r)%len(aliases)]})
				}
				if _, err := db.BindDevices(t.Context(), app, list, false); err != nil {
					t.Error(err)
				}
				if _, err := db.PutRecipient(t.Context(), app, "a"); err != nil {
					t.Error(err)
				}
				if err := db.DeleteRecipient(t.Context(), app, "b"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	of, err := db.OrdinalsByAlias(t.Context(), app, aliases[1:])
	must(t, err)
	seen := map[herald.Ordinal]bool{}
	for alias, list := range of {
		if len(list) > herald.MaxDevicesByAlias {
			t.Errorf("%q has %d devices", alias, len(list))
		}
		for _, o := range list {
			if seen[o] {
				t.Errorf("device %d has two aliases", o)
			}
			seen[o] = true
		}
	}
}

// The last changes of aliases are of interest as far as a message by alias waits
// that was evaluated before them.
func TestRebindings(t *testing.T) {
	db := newDB(t)
	for i := range 4 {
		register(t, db, i, "") // positions 1 to 4
	}
	bind := func(alias herald.Alias, n ...int) {
		var list []record.Binding
		for _, i := range n {
			list = append(list, record.Binding{ID: deviceID(i), Alias: alias})
		}
		_, err := db.BindDevices(t.Context(), app, list, true)
		must(t, err)
	}
	bind("a", 0)    // 5
	bind("b", 1, 2) // 6
	want := func(name string, limit int, want string) {
		t.Helper()
		list, err := db.Rebindings(t.Context(), app, limit)
		must(t, err)
		got := ""
		for _, r := range list {
			got += fmt.Sprint(r.Pos, r.Ords.Ordinals(), " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	want("nothing waits", 9, "")
	m := message(1, 3)
	m.EvalPos = 2
	_, err := db.Accept(t.Context(), m) // 7
	must(t, err)
	want("nothing by alias waits", 9, "")
	m = message(2, 3)
	m.EvalPos, m.ByAlias = 5, true
	_, err = db.Accept(t.Context(), m) // 8
	must(t, err)
	want("one waits", 9, "6 [1 2] ")
	bind("c", 3) // 9
	want("two changes", 9, "9 [3] 6 [1 2] ")
	want("no more than asked for", 1, "9 [3] ")
	_, err = db.EndMessage(t.Context(), app, 2, herald.MessageWithdrawn, time.UnixMilli(1))
	must(t, err)
	want("it has ended", 9, "")
	_, err = db.Rebindings(t.Context(), "none", 1)
	wantCode(t, err, herald.CodeNotFound)
}

// Devices get their recipients by few statements: those between them, those
// that have the alias already, and those that lose theirs are left out.
func TestBindStretches(t *testing.T) {
	const devices = 1400
	for name, to := range map[string]func(i int) (alias string, named bool){
		"all":                     func(i int) (string, bool) { return fmt.Sprint("new-", i), true },
		"every second":            func(i int) (string, bool) { return fmt.Sprint("new-", i), i%2 == 0 },
		"the widest gap":          func(i int) (string, bool) { return fmt.Sprint("new-", i), i%stretchGap == 0 },
		"too wide gaps":           func(i int) (string, bool) { return fmt.Sprint("new-", i), i%(stretchGap+1) == 0 },
		"few together":            func(i int) (string, bool) { return fmt.Sprint("new-", i), i%100 < stretchLeast },
		"two to an alias":         func(i int) (string, bool) { return fmt.Sprint("new-", i/2), true },
		"aliases of others":       func(i int) (string, bool) { return fmt.Sprint("old-", (i+1)%devices), true },
		"some have it":            func(i int) (string, bool) { return fmt.Sprint([]string{"old-", "new-"}[i%3/2], i), true },
		"some lose theirs":        func(i int) (string, bool) { return []string{"", fmt.Sprint("new-", i)}[min(i%5, 1)], true },
		"all lose theirs":         func(int) (string, bool) { return "", true },
		"numbers of ten digits":   func(i int) (string, bool) { return fmt.Sprint("big-", i), i < 200 },
		"the last of the devices": func(i int) (string, bool) { return "last", i > devices-50 },
	} {
		t.Run(name, func(t *testing.T) {
			db := newDB(t)
			var want []herald.Alias
			var list []record.Binding
			must(t, db.write(t.Context(), func(x *tx) error {
				h, err := x.head(1)
				if err != nil {
					return err
				}
				for i := range devices {
					d := record.Device{App: app, ID: deviceID(i), Alias: herald.Alias(fmt.Sprint("old-", i)), Created: time.UnixMilli(1), Seen: time.UnixMilli(1)}
					if _, err := x.newDevice(1, record.Registration{Device: d, SetAlias: true}); err != nil {
						return err
					}
				}
				if name == "numbers of ten digits" {
					h.nextRecipient = maxOrdinals - devices
				}
				return nil
			}))
			for i := range devices {
				want = append(want, herald.Alias(fmt.Sprint("old-", i)))
				if alias, named := to(i); named {
					want[i] = herald.Alias(alias)
					list = append(list, record.Binding{ID: deviceID(i), Alias: want[i]})
				}
			}
			slices.Reverse(list)
			if len(list) > 0 {
				_, err := db.BindDevices(t.Context(), app, append(list, list[0]), false)
				must(t, err)
			}
			got, err := db.Devices(t.Context(), app, record.DeviceFilter{}, 0, devices)
			must(t, err)
			for i, d := range got {
				if d.Alias != want[i] {
					t.Fatalf("device %d of %d has the alias %q, want %q", i, len(got), d.Alias, want[i])
				}
			}
		})
	}
}

// What two lists have in common is found whichever begins first.
func TestCommonNames(t *testing.T) {
	for _, c := range []struct {
		list, other []string
		want        []int
	}{
		{nil, []string{"a"}, nil}, {[]string{"a"}, nil, nil}, {[]string{"a", "b"}, []string{"c"}, nil}, {[]string{"c"}, []string{"a", "b"}, nil},
		{[]string{"a", "c", "e"}, []string{"b", "c", "e", "f"}, []int{1, 2}}, {[]string{"c", "e"}, []string{"a", "b", "e"}, []int{1}},
	} {
		if got := common(c.list, c.other); !slices.Equal(got, c.want) {
			t.Errorf("%q and %q: %v, want %v", c.list, c.other, got, c.want)
		}
	}
}
