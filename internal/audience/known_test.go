package audience_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

func toAlias(a herald.Alias) herald.Audience { return herald.Audience{Aliases: []herald.Alias{a}} }

func toID(d record.Device) herald.Audience {
	return herald.Audience{RegistrationIDs: []herald.RegistrationID{d.ID}}
}

// alike evaluates an audience twice, so that what can be known is, and compares
// what is known with the general answer.
func (w *world) alike(when string, a herald.Audience, known bool) {
	w.t.Helper()
	want := w.evaluate(a)
	got, ok := w.Known(w.key, &a)
	if ok != known {
		w.t.Errorf("%s: known is %v", when, ok)
	}
	if !ok {
		return
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(audience.Target{}, "Image")); d != "" {
		w.t.Errorf("%s: %s", when, d)
	}
}

// TestKnown changes who has an alias in every way there is, and asks each time.
func TestKnown(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	anna, ben := herald.Alias("anna"), herald.Alias("ben")
	a := w.register(registry.RegisterRequest{Alias: &anna, Installation: "0123456789abcdef"})
	b := w.register(registry.RegisterRequest{Alias: &anna})
	c := w.register(registry.RegisterRequest{})
	both := func(when string, annas, bens int) {
		t.Helper()
		for alias, n := range map[herald.Alias]int{anna: annas, ben: bens} {
			w.alike(when+", "+string(alias), toAlias(alias), n > 0)
			if got := w.evaluate(toAlias(alias)); len(got.Direct) != n {
				t.Errorf("%s: %s has %d devices, want %d", when, alias, len(got.Direct), n)
			}
		}
	}
	both("at the start", 2, 0)
	w.alike("an ID", toID(a), true)
	w.register(registry.RegisterRequest{Alias: &ben, Installation: "0123456789abcdef"})
	both("registered again with another alias", 1, 1)
	_, err := w.reg.Update(ctx, w.key, c.ID, record.DevicePatch{Alias: &anna})
	must(t, err)
	both("an alias was given", 2, 1)
	_, err = w.reg.Update(ctx, w.key, c.ID, record.DevicePatch{Alias: ptr(herald.Alias(""))})
	must(t, err)
	both("an alias was taken", 1, 1)
	_, err = w.reg.Bind(ctx, w.key, []record.Binding{{ID: c.ID, Alias: ben}, {ID: b.ID, Alias: ben}}, true)
	must(t, err)
	both("many were bound", 0, 3)
	w.remove(b)
	both("a device was removed", 0, 2)
	w.alike("the ID of a device that was removed", toID(b), false)
	w.register(registry.RegisterRequest{Alias: &ben})
	both("a new device", 0, 3)
	w.register(registry.RegisterRequest{Tags: []herald.Tag{"x"}})
	if _, ok := w.Known(w.key, ptr(toAlias(ben))); !ok {
		t.Error("an alias is forgotten because of a device that has none")
	}
}

// TestKnownIsAlone asks what Known leaves to Evaluate.
func TestKnownIsAlone(t *testing.T) {
	w := newWorld(t)
	d := w.register(registry.RegisterRequest{Alias: ptr(herald.Alias("anna")), Tags: []herald.Tag{"vip"}})
	w.evaluate(toAlias("anna"))
	w.evaluate(toID(d))
	for name, a := range map[string]herald.Audience{
		"all": {All: true}, "two aliases": {Aliases: []herald.Alias{"anna", "ben"}}, "an alias and an ID": {Aliases: []herald.Alias{"anna"}, RegistrationIDs: []herald.RegistrationID{d.ID}},
		"an alias and a tag": {Aliases: []herald.Alias{"anna"}, Tags: []herald.Tag{"vip"}}, "an alias and not": {Aliases: []herald.Alias{"anna"}, Not: ptr(toID(d))},
		"no alias": {Aliases: []herald.Alias{}}, "nobody's alias": toAlias("ben"), "an ID, online": {RegistrationIDs: []herald.RegistrationID{d.ID}, Online: ptr(true)},
	} {
		if got, ok := w.Known(w.key, &a); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, ok := w.Known("nobody", ptr(toAlias("anna"))); ok {
		t.Error("the alias of another app is known")
	}
}

// TestPrepare reads for many audiences at once.
func TestPrepare(t *testing.T) {
	w := newWorld(t)
	looked := 0
	w.looked = func() { looked++ }
	var list []*herald.Audience
	for i := range 50 {
		d := w.register(registry.RegisterRequest{Alias: ptr(herald.Alias("user-" + string(rune('A'+i))))})
		list = append(list, ptr(toID(d)), ptr(toAlias(herald.Alias("user-"+string(rune('A'+i))))))
	}
	w.Prepare(t.Context(), w.key, append(slices.Clone(list), ptr(toAlias("nobody")), &herald.Audience{All: true}))
	w.Prepare(t.Context(), "nobody", list)
	for i, a := range list {
		if _, ok := w.Known(w.key, a); !ok {
			t.Errorf("audience %d is not known", i)
		}
	}
	if looked != 1 {
		t.Errorf("aliases were looked up %d times", looked)
	}
}

// TestKnownIsNeverBehind moves a device between aliases, and asks after each
// change that was answered, while others ask all the time.
func TestKnownIsNeverBehind(t *testing.T) {
	w := newWorld(t)
	names := []herald.Alias{"anna", "ben"}
	d := w.register(registry.RegisterRequest{Alias: &names[0]})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := w.Evaluate(context.Background(), w.key, toAlias(names[i%2])); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 100 {
		now, before := names[(i+1)%2], names[i%2]
		changed, err := w.reg.Update(t.Context(), w.key, d.ID, record.DevicePatch{Alias: &now})
		must(t, err)
		if got, ok := w.Known(w.key, ptr(toAlias(before))); ok {
			t.Fatalf("%s still has %v", before, got.Direct)
		}
		if got, ok := w.Known(w.key, ptr(toAlias(now))); ok && (len(got.Direct) != 1 || got.Pos < changed.BoundPos) {
			t.Fatalf("%s has %+v, bound at %d", now, got, changed.BoundPos)
		}
	}
	close(stop)
	wg.Wait()
}
