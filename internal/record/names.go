package record

import (
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// Names of the sets that registry keeps. The part after the first colon is the
// user's own text, so that no tag can take the name of another kind of set.

// TagSet is the set of the devices with a tag.
func TagSet(t herald.Tag) string { return "tag:" + string(t) }

// TagOf gives back the tag of a set's name.
func TagOf(set string) (herald.Tag, bool) {
	t, ok := strings.CutPrefix(set, "tag:")
	return herald.Tag(t), ok
}

// PlatformSet is the set of the devices on a platform.
func PlatformSet(p herald.Platform) string { return "platform:" + string(p) }

// VersionSet is the set of the devices with a version of the app.
func VersionSet(v string) string { return "version:" + v }

// LanguageSet is the set of the devices with a language or a language range
// (RFC 4647 basic filtering: "zh" holds those with "zh-CN").
func LanguageSet(l string) string { return "language:" + strings.ToLower(l) }

// ZonePrefix begins the names of the sets of time zones.
const ZonePrefix = "zone:"

// ZoneSet is the set of the devices in a time zone, by its IANA name.
func ZoneSet(zone string) string { return ZonePrefix + zone }

// SeenSet is the set of the devices seen on a day (UTC).
func SeenSet(day time.Time) string { return "seen:" + day.UTC().Format("20060102") }

// DeadSet is the set of the devices that were removed.
const DeadSet = "dead"

// languageSets names the sets of a language: of each prefix of its subtags.
func languageSets(l string) []string {
	var out []string
	for i := range l {
		if l[i] == '-' {
			out = append(out, LanguageSet(l[:i]))
		}
	}
	if l != "" {
		out = append(out, LanguageSet(l))
	}
	return out
}

func (d *Device) profileSets() []string {
	out := languageSets(d.Language)
	if d.Platform != "" {
		out = append(out, PlatformSet(d.Platform))
	}
	if d.AppVersion != "" {
		out = append(out, VersionSet(d.AppVersion))
	}
	if d.TimeZone != "" {
		out = append(out, ZoneSet(d.TimeZone))
	}
	return out
}

// ProfileChanges gives the set changes that lead from a device's old profile
// to its new one. For a new device old is nil.
func ProfileChanges(old, now *Device) []SetChange {
	before := map[string]bool{}
	if old != nil {
		for _, s := range old.profileSets() {
			before[s] = true
		}
	}
	var out []SetChange
	for _, s := range now.profileSets() {
		if !before[s] {
			out = append(out, SetChange{Set: s, Ords: sets.New(now.Ord)})
		}
		delete(before, s)
	}
	for s := range before {
		out = append(out, SetChange{Set: s, Remove: true, Ords: sets.New(now.Ord)})
	}
	return out
}

// TagChanges gives the set changes that add and remove tags of one device.
func TagChanges(o herald.Ordinal, add, remove []herald.Tag) []SetChange {
	out := make([]SetChange, 0, len(add)+len(remove))
	for _, t := range remove {
		out = append(out, SetChange{Set: TagSet(t), Remove: true, Ords: sets.New(o)})
	}
	for _, t := range add {
		out = append(out, SetChange{Set: TagSet(t), Ords: sets.New(o)})
	}
	return out
}
