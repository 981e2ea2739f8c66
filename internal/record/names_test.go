package record_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// TestNames holds the names of sets to the table in docs/design/004.
func TestNames(t *testing.T) {
	shanghai := time.FixedZone("UTC+8", 8*3600)
	for _, tt := range []struct{ got, want string }{
		{record.TagSet("vip"), "tag:vip"},
		{record.TagSet("platform:web"), "tag:platform:web"},
		{record.PlatformSet(herald.PlatformWeb), "platform:web"},
		{record.VersionSet("1.0:x"), "version:1.0:x"},
		{record.LanguageSet("zh-Hant-TW"), "language:zh-hant-tw"},
		{record.SeenSet(time.Date(2026, 11, 21, 7, 59, 59, 0, shanghai)), "seen:20261120"},
		{record.SeenSet(time.Date(2026, 11, 21, 8, 0, 0, 0, shanghai)), "seen:20261121"},
		{record.DeadSet, "dead"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	for _, tag := range []herald.Tag{"vip", "a:b", "tag:", "", "用户"} {
		if got, ok := record.TagOf(record.TagSet(tag)); !ok || got != tag {
			t.Errorf("the tag %q comes back as %q, %v", tag, got, ok)
		}
	}
	if got, ok := record.TagOf("dead"); ok {
		t.Errorf("the set of the dead is the tag %q", got)
	}
}

// in lists the sets that a device is in after changes.
func in(have map[string]bool, changes []record.SetChange, o herald.Ordinal) map[string]bool {
	out := map[string]bool{}
	for s := range have {
		out[s] = true
	}
	for _, c := range changes {
		if !slices.Equal(c.Ords.Ordinals(), []herald.Ordinal{o}) {
			panic("a change is about other devices")
		}
		if c.Remove {
			delete(out, c.Set)
		} else {
			out[c.Set] = true
		}
	}
	return out
}

func names(m map[string]bool) []string {
	var out []string
	for s := range m {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestProfileChanges(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    record.Device
		want []string
	}{
		{"nothing known", record.Device{}, nil},
		{"all", record.Device{Platform: "web", AppVersion: "1.2", Language: "zh-Hant-TW"},
			[]string{"language:zh", "language:zh-hant", "language:zh-hant-tw", "platform:web", "version:1.2"}},
		{"one subtag", record.Device{Language: "EN"}, []string{"language:en"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.d.Ord = 70000
			changes := record.ProfileChanges(nil, &tt.d)
			if got := names(in(nil, changes, 70000)); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if again := record.ProfileChanges(&tt.d, &tt.d); len(again) != 0 {
				t.Errorf("from itself to itself: %v", again)
			}
		})
	}
}

// TestProfileChangesLead from any profile to any other.
func TestProfileChangesLead(t *testing.T) {
	device := rapid.Custom(func(t *rapid.T) record.Device {
		return record.Device{
			Ord:        9,
			Platform:   herald.Platform(rapid.SampledFrom([]string{"", "web", "ios"}).Draw(t, "platform")),
			AppVersion: rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "version"),
			Language:   rapid.SampledFrom([]string{"", "zh", "zh-CN", "ZH-TW", "en-GB", "-", "a--b"}).Draw(t, "language"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		old, now := device.Draw(t, "old"), device.Draw(t, "now")
		have := in(nil, record.ProfileChanges(nil, &old), 9)
		got := names(in(have, record.ProfileChanges(&old, &now), 9))
		if want := names(in(nil, record.ProfileChanges(nil, &now), 9)); !slices.Equal(got, want) {
			t.Fatalf("in %v, want %v", got, want)
		}
	})
}

// TestTagChanges: a tag that is both removed and added is there in the end.
func TestTagChanges(t *testing.T) {
	changes := record.TagChanges(9, []herald.Tag{"a", "b"}, []herald.Tag{"b", "c"})
	x := sets.NewIndex(0, 10)
	x.Apply(1, 10, []sets.Change{{Set: "tag:c", Ords: sets.New(9, 8)}})
	x.Apply(2, 10, changes)
	x.View(func(v sets.View) {
		if got := v.NamesOf(9, "tag:"); !slices.Equal(got, []string{"tag:a", "tag:b"}) {
			t.Errorf("tags of 9: %v", got)
		}
		if got := v.NamesOf(8, "tag:"); !slices.Equal(got, []string{"tag:c"}) {
			t.Errorf("tags of 8: %v", got)
		}
	})
	if got := record.TagChanges(9, nil, nil); len(got) != 0 {
		t.Errorf("no tags make %v", got)
	}
}
