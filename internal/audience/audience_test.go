package audience_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// TestMembers evaluates every member over five devices, of which number 4 was
// removed.
func TestMembers(t *testing.T) {
	w := newWorld(t)
	devices := make([]record.Device, 5)
	for i, q := range []registry.RegisterRequest{
		{Platform: "web", Language: "zh-CN", AppVersion: "1.0", Alias: ptr(herald.Alias("anna")), Tags: []herald.Tag{"a", "b"}},
		{Platform: "ios", Language: "zh-Hant-TW", AppVersion: "1.1", Alias: ptr(herald.Alias("anna")), Tags: []herald.Tag{"a"}},
		{Platform: "ios", Language: "en-GB", AppVersion: "1.0", Alias: ptr(herald.Alias("ben")), Tags: []herald.Tag{"b", "c"}},
		{},
		{Platform: "web", Language: "zh", AppVersion: "1.0", Alias: ptr(herald.Alias("anna")), Tags: []herald.Tag{"a", "b", "c"}},
	} {
		devices[i] = w.register(q)
	}
	w.remove(devices[4])
	w.online = sets.New(1, 3)
	w.topics = map[herald.Topic]*sets.Set{"chat/7": sets.New(0, 1, 4), "chat": sets.New(3)}
	ids := func(i ...int) string {
		var out []string
		for _, n := range i {
			out = append(out, `"`+string(devices[n].ID)+`"`)
		}
		return strings.Join(out, ",")
	}
	nobody := string(herald.NewRegistrationID(w.clock()))
	type ords = []herald.Ordinal
	tests := []struct {
		in      string
		want    ords
		unknown int64
	}{
		{`"all"`, ords{0, 1, 2, 3}, 0},
		{`{"registration_ids":[` + ids(0, 2, 2) + `]}`, ords{0, 2}, 0},
		{`{"registration_ids":[` + ids(0, 4) + `,"` + nobody + `"]}`, ords{0}, 2},
		{`{"registration_ids":[]}`, nil, 0},
		{`{"aliases":["anna"]}`, ords{0, 1}, 0},
		{`{"aliases":["anna","ben","carl","carl"]}`, ords{0, 1, 2}, 1},
		{`{"aliases":["Anna"]}`, nil, 1},
		{`{"aliases":[]}`, nil, 0},
		{`{"tags":["a"]}`, ords{0, 1}, 0},
		{`{"tags":["a","c","z"]}`, ords{0, 1, 2}, 0},
		{`{"tags":["z"]}`, nil, 0},
		{`{"tags":[]}`, nil, 0},
		{`{"tags":[],"platforms":["web"]}`, nil, 0},
		{`{"tags_and":["a","b"]}`, ords{0}, 0},
		{`{"tags_and":["a","z"]}`, nil, 0},
		{`{"tags_not":["a"]}`, ords{2, 3}, 0},
		{`{"tags_not":["a","c"]}`, ords{3}, 0},
		{`{"tags_not":["z"]}`, ords{0, 1, 2, 3}, 0},
		{`{"tags":["a","b"],"tags_not":["c"]}`, ords{0, 1}, 0},
		{`{"platforms":["web"]}`, ords{0}, 0},
		{`{"platforms":["web","ios"]}`, ords{0, 1, 2}, 0},
		{`{"platforms":["linux"]}`, nil, 0},
		{`{"languages":["zh"]}`, ords{0, 1}, 0},
		{`{"languages":["ZH-hant"]}`, ords{1}, 0},
		{`{"languages":["zh-CN"]}`, ords{0}, 0},
		{`{"languages":["z"]}`, nil, 0},
		{`{"languages":["zh-C"]}`, nil, 0},
		{`{"languages":["en","zh-cn"]}`, ords{0, 2}, 0},
		{`{"app_versions":["1.0"]}`, ords{0, 2}, 0},
		{`{"app_versions":["1"]}`, nil, 0},
		{`{"online":true}`, ords{1, 3}, 0},
		{`{"online":false}`, ords{0, 2}, 0},
		{`{"online":false,"tags":["b"]}`, ords{0, 2}, 0},
		{`{"active_within_days":1}`, ords{0, 1, 2, 3}, 0},
		{`{"topic":"chat/7"}`, ords{0, 1}, 0},
		{`{"topic":"chat"}`, ords{3}, 0},
		{`{"topic":"chat/8"}`, nil, 0},
		{`{"topic":"chat/7","online":true}`, ords{1}, 0},
		{`{"topic":"chat/7","tags_not":["b"]}`, ords{1}, 0},
		{`{"or":[{"topic":"chat/7"},{"topic":"chat"}]}`, ords{0, 1, 3}, 0},
		{`{"and":[{"topic":"chat/7"},{"topic":"chat"}]}`, nil, 0},
		{`{"not":{"topic":"chat/7"}}`, ords{2, 3}, 0},
		{`{"not":{"topic":"chat/8"}}`, ords{0, 1, 2, 3}, 0},
		{`{"tags":["b"],"platforms":["ios"],"languages":["en"],"app_versions":["1.0"]}`, ords{2}, 0},
		{`{"tags":["b"],"aliases":["anna"]}`, ords{0}, 0},
		{`{"and":[{"tags":["a"]},{"platforms":["ios"]}]}`, ords{1}, 0},
		{`{"and":["all"]}`, ords{0, 1, 2, 3}, 0},
		{`{"or":[{"tags":["c"]},{"online":true}]}`, ords{1, 2, 3}, 0},
		{`{"or":[]}`, nil, 0},
		{`{"or":[{"tags":["a"]}],"tags":["b"]}`, ords{0}, 0},
		{`{"not":"all"}`, nil, 0},
		{`{"not":{"tags":["a"]}}`, ords{2, 3}, 0},
		{`{"not":{"aliases":["anna","carl"]}}`, ords{2, 3}, 1},
		{`{"not":{"or":[]}}`, ords{0, 1, 2, 3}, 0},
		{`{"not":{"not":{"tags":["a"]}}}`, ords{0, 1}, 0},
		{`{"tags":["b"],"not":{"platforms":["web"]}}`, ords{2}, 0},
		{`{"not":{"registration_ids":[` + ids(0) + `]},"tags_not":["c"],"online":false}`, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			var a herald.Audience
			must(t, json.Unmarshal([]byte(tt.in), &a))
			got := w.evaluate(a)
			if !slices.Equal(got.Direct, tt.want) || got.Direct == nil || got.Devices != int64(len(tt.want)) || got.Unknown != tt.unknown {
				t.Errorf("%v (%d), %d unknown; want %v, %d unknown", got.Direct, got.Devices, got.Unknown, tt.want, tt.unknown)
			}
			if !slices.Equal(got.Image.Ordinals(), got.Direct) {
				t.Errorf("the image is %v, the list %v", got.Image.Ordinals(), got.Direct)
			}
		})
	}
	if got := w.online.Ordinals(); !slices.Equal(got, ords{1, 3}) {
		t.Errorf("evaluating changed who is online to %v", got)
	}
	if got := w.topics["chat/7"].Ordinals(); !slices.Equal(got, ords{0, 1, 4}) {
		t.Errorf("evaluating changed who is subscribed to %v", got)
	}
}

// TestNoMemberIsNobody: what Validate refuses must not reach everybody if it
// comes here all the same.
func TestNoMemberIsNobody(t *testing.T) {
	w := newWorld(t)
	w.register(registry.RegisterRequest{})
	for _, a := range []herald.Audience{{}, {And: []herald.Audience{}}, {Topic: "nobody's"}, {TagsNot: []herald.Tag{}}, {Or: []herald.Audience{{}}}} {
		got, err := w.Evaluate(t.Context(), w.key, a)
		must(t, err)
		if got.Devices != 0 {
			t.Errorf("%+v is for %d devices", a, got.Devices)
		}
	}
}

func TestUnknownApp(t *testing.T) {
	w := newWorld(t)
	_, err := w.Evaluate(t.Context(), herald.NewAppKey(), herald.Audience{All: true})
	if herald.CodeOf(err) != herald.CodeUnauthorized {
		t.Errorf("got %v", err)
	}
}

// TestActiveWithinDays: a tier holds who was here in its last N × 24 hours, at
// once, and for up to a day more.
func TestActiveWithinDays(t *testing.T) {
	w := newWorld(t) // at noon, UTC
	w.register(registry.RegisterRequest{})
	w.register(registry.RegisterRequest{})
	active := func(days int) int64 { return w.evaluate(herald.Audience{ActiveWithinDays: days}).Devices }
	if got := active(1); got != 2 {
		t.Errorf("before anything was written: %d, want 2", got)
	}
	must(t, w.reg.Flush(t.Context()))
	for _, tt := range []struct {
		after time.Duration // since noon of the first day
		want  [3]int64      // active within 1, 7 and 30 days
	}{
		{0, [3]int64{2, 2, 2}},
		{24 * time.Hour, [3]int64{2, 2, 2}},
		{36 * time.Hour, [3]int64{0, 2, 2}},
		{7 * 24 * time.Hour, [3]int64{0, 2, 2}},
		{7*24*time.Hour + 12*time.Hour, [3]int64{0, 0, 2}},
		{30 * 24 * time.Hour, [3]int64{0, 0, 2}},
		{30*24*time.Hour + 12*time.Hour, [3]int64{0, 0, 0}},
	} {
		w.pass(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).Add(tt.after).Sub(w.clock()))
		must(t, w.reg.Flush(t.Context()))
		if got := [3]int64{active(1), active(7), active(30)}; got != tt.want {
			t.Errorf("%v later: %v, want %v", tt.after, got, tt.want)
		}
	}
	w.reg.Seen(w.key, 1)
	got := w.evaluate(herald.Audience{ActiveWithinDays: 1})
	if !slices.Equal(got.Direct, []herald.Ordinal{1}) {
		t.Errorf("seen a moment ago: %v, want 1", got.Direct)
	}
	if got := w.evaluate(herald.Audience{Not: &herald.Audience{ActiveWithinDays: 1}}).Direct; !slices.Equal(got, []herald.Ordinal{0}) {
		t.Errorf("not seen: %v, want 0", got)
	}
}

// TestDaysAreUTC: the days of a clock in a zone with summer time are those of
// the sets.
func TestDaysAreUTC(t *testing.T) {
	w := newWorld(t)
	w.register(registry.RegisterRequest{})
	// Half past midnight after the clocks went forward, by a zone that differs
	// from UTC by more than that: a day earlier by its wall clock is only 23
	// hours earlier.
	london, err := time.LoadLocation("Europe/London")
	must(t, err)
	now := time.Date(2026, 3, 30, 0, 30, 0, 0, london) // 23:30 on the 29th, UTC
	w.now = time.Date(2026, 3, 28, 23, 45, 0, 0, time.UTC)
	must(t, w.reg.Flush(t.Context()))
	e := audience.New(audience.Config{Registry: w.reg, Online: func(herald.AppKey) *sets.Set { return nil }, Now: func() time.Time { return now }})
	got, err := e.Evaluate(t.Context(), w.key, herald.Audience{ActiveWithinDays: 1})
	must(t, err)
	if got.Devices != 1 {
		t.Error("who was here 24 hours ago is not active within a day")
	}
	if got, err = e.Evaluate(t.Context(), w.key, herald.Audience{Online: ptr(true)}); err != nil || got.Devices != 0 {
		t.Errorf("with nobody online: %d, %v", got.Devices, err)
	}
}

// TestGroup: above 1,000 living devices the target is an image, in which dead
// bits stay.
func TestGroup(t *testing.T) {
	w := newWorld(t)
	devices := make([]record.Device, herald.MaxDirect+2)
	var wg sync.WaitGroup
	for part := range slices.Chunk(devices, 21) {
		wg.Go(func() {
			for i := range part {
				d, _, _, err := w.reg.Register(t.Context(), registry.RegisterRequest{App: w.key, Tags: []herald.Tag{"x"}})
				if err != nil {
					t.Error(err)
				}
				part[i] = d
			}
		})
	}
	wg.Wait()
	for _, removed := range []int{0, 1, 2} {
		if removed > 0 {
			w.remove(devices[removed*7])
		}
		for _, a := range []herald.Audience{{All: true}, {Tags: []herald.Tag{"x"}}, {TagsNot: []herald.Tag{"y"}}} {
			got := w.evaluate(a)
			living := int64(len(devices) - removed)
			if got.Devices != living {
				t.Fatalf("%d removed: %d devices, want %d", removed, got.Devices, living)
			}
			if living > herald.MaxDirect {
				if got.Direct != nil || got.Image.Len() != int64(len(devices)) {
					t.Errorf("%d removed: a list of %d, an image of %d; want an image of %d", removed, len(got.Direct), got.Image.Len(), len(devices))
				}
			} else if len(got.Direct) != herald.MaxDirect || got.Image.Len() != herald.MaxDirect || got.Image.Contains(devices[7].Ord) {
				t.Errorf("%d removed: a list of %d, an image of %d; want a list of the living", removed, len(got.Direct), got.Image.Len())
			}
		}
	}
	// More names than one look-up takes.
	var a herald.Audience
	for part := range slices.Chunk(devices, 600) {
		var ids []herald.RegistrationID
		for _, d := range part {
			ids = append(ids, d.ID)
		}
		a.Or = append(a.Or, herald.Audience{RegistrationIDs: ids})
	}
	if got := w.evaluate(a); got.Devices != herald.MaxDirect || got.Unknown != 2 {
		t.Errorf("%d devices and %d unknown, want 1000 and 2", got.Devices, got.Unknown)
	}
}

// TestImageIsItsOwn: who gets a target may keep it while the sets go on.
func TestImageIsItsOwn(t *testing.T) {
	w := newWorld(t)
	w.register(registry.RegisterRequest{Tags: []herald.Tag{"x"}})
	w.online = sets.New(0)
	w.topics = map[herald.Topic]*sets.Set{"a": sets.New(0)}
	for _, a := range []herald.Audience{{All: true}, {Topic: "a"}, {Tags: []herald.Tag{"x"}}, {TagsAnd: []herald.Tag{"x"}}, {Online: ptr(true)}, {ActiveWithinDays: 1}} {
		got := w.evaluate(a)
		got.Image.Add(99)
		if again := w.evaluate(a); again.Devices != 1 {
			t.Errorf("%+v: changing an image changes the next: %v", a, again.Direct)
		}
	}
}

// TestEvalPos: a target stands at a position that has seen every change
// answered before, and not at a later one than the look-up of an alias.
func TestEvalPos(t *testing.T) {
	w := newWorld(t)
	d := w.register(registry.RegisterRequest{Alias: ptr(herald.Alias("anna"))})
	anna, ben := herald.Audience{Aliases: []herald.Alias{"anna"}}, herald.Audience{Aliases: []herald.Alias{"ben"}}
	rebind := func(alias herald.Alias) herald.Pos {
		u, err := w.reg.Update(t.Context(), w.key, d.ID, record.DevicePatch{Alias: &alias})
		must(t, err)
		return u.BoundPos
	}
	for _, alias := range []herald.Alias{"ben", "anna"} {
		pos := rebind(alias)
		for _, a := range []herald.Audience{anna, ben, {All: true}} {
			if got := w.evaluate(a); got.Pos < pos {
				t.Errorf("evaluated at %d after a change at %d was answered", got.Pos, pos)
			}
		}
	}

	// The alias moves once, between look-up and evaluation: it is looked up
	// again.
	var bound herald.Pos
	calls := 0
	w.looked = func() {
		if calls++; calls == 1 {
			bound = rebind("ben")
		}
	}
	got := w.evaluate(anna)
	if got.Devices != 0 || got.Pos < bound || calls != 2 {
		t.Errorf("%d devices at %d after %d look-ups, want none, at %d or later, after 2", got.Devices, got.Pos, calls, bound)
	}

	// It moves each time: the answer comes all the same, and its position is
	// before the change that it may have missed.
	calls = 0
	w.looked = func() {
		calls++
		bound = rebind([]herald.Alias{"ben", "anna"}[calls%2])
	}
	got = w.evaluate(anna)
	w.looked = nil
	if got.Pos >= bound || calls < 2 || calls > 10 {
		t.Errorf("at %d after %d look-ups; the last change was at %d", got.Pos, calls, bound)
	}

	// Without names nothing is looked up.
	calls = 0
	w.looked = func() { calls++ }
	w.evaluate(herald.Audience{All: true})
	if calls != 0 {
		t.Errorf("%d look-ups for everybody", calls)
	}
}

// TestEvaluateConcurrently: devices come and go while audiences are evaluated.
func TestEvaluateConcurrently(t *testing.T) {
	w := newWorld(t)
	stay := w.register(registry.RegisterRequest{Tags: []herald.Tag{"x"}, Alias: ptr(herald.Alias("anna"))})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 20 {
				d, _, _, err := w.reg.Register(t.Context(), registry.RegisterRequest{App: w.key, Tags: []herald.Tag{"x"}, Alias: ptr(herald.Alias("anna"))})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := w.reg.Remove(t.Context(), w.key, d.ID); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 60 {
				for _, a := range []herald.Audience{{All: true}, {TagsAnd: []herald.Tag{"x"}}, {Aliases: []herald.Alias{"anna"}}, {ActiveWithinDays: 7}} {
					got, err := w.Evaluate(t.Context(), w.key, a)
					if err != nil || !got.Image.Contains(stay.Ord) || got.Devices != int64(len(got.Direct)) || got.Devices > 3 {
						t.Errorf("%+v: %v, %v", a, got.Direct, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
