package packet

import (
	"strings"
	"testing"
)

func TestTopics(t *testing.T) {
	for _, c := range []struct {
		name         string
		s            string
		topic, valid bool // as a topic name, as a filter
	}{
		{"empty", "", false, false},
		{"one level", "a", true, true},
		{"levels", "a/b c/ä", true, true},
		{"a slash", "/", true, true},
		{"empty levels", "a//b/", true, true},
		{"dollar", "$SYS/x", true, true},
		{"U+0000", "a\x00", false, false},
		{"no UTF-8", "\xff", false, false},
		{"byte order mark", "\ufeffa", true, true},
		{"65535 bytes", strings.Repeat("x", 65535), true, true},
		{"65536 bytes", strings.Repeat("x", 65536), false, false},
		{"plus", "+", false, true},
		{"plus in the middle", "a/+/b", false, true},
		{"plus at both ends", "+/a/+", false, true},
		{"plus beside text", "a+", false, false},
		{"plus before text", "+a", false, false},
		{"plus in a level", "a/b+/c", false, false},
		{"two plus in a level", "++", false, false},
		{"hash", "#", false, true},
		{"hash at the end", "a/#", false, true},
		{"hash and plus", "+/#", false, true},
		{"hash beside text", "a#", false, false},
		{"hash before text", "#a", false, false},
		{"hash in the middle", "a/#/b", false, false},
		{"two hashes", "##", false, false},
		{"shared", "$share/g/a", true, true},
		{"shared with wildcards", "$share/g/+/#", false, true},
		{"shared slash", "$share/g//", true, true},
		{"shared without a filter", "$share/g", true, false},
		{"shared with an empty filter", "$share/g/", true, false},
		{"shared without a group", "$share//a", true, false},
		{"shared with a wildcard in the group", "$share/+/a", false, false},
		{"shared with a bad filter", "$share/g/a#", false, false},
		{"shared that is no UTF-8", "$share/\xff/a", false, false},
		{"share alone", "$share", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ValidTopicName(c.s); got != c.topic {
				t.Errorf("a topic name: %v", got)
			}
			if got := ValidFilter(c.s); got != c.valid {
				t.Errorf("a filter: %v", got)
			}
		})
	}
}

func TestSplitShare(t *testing.T) {
	for _, c := range []struct {
		filter, group, inner string
		ok                   bool
	}{
		{"$share/g/a/b", "g", "a/b", true},
		{"$share/g//", "g", "/", true},
		{"$share/g/#", "g", "#", true},
		{"$share/g", "", "", false},
		{"$share/g/", "", "", false},
		{"$share//a", "", "", false},
		{"$share/#/a", "", "", false},
		{"$share/", "", "", false},
		{"share/g/a", "", "", false},
	} {
		if group, inner, ok := SplitShare(c.filter); group != c.group || inner != c.inner || ok != c.ok {
			t.Errorf("%s: %q, %q, %v", c.filter, group, inner, ok)
		}
	}
}
