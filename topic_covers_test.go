package herald_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

// words lists every list of one to most words.
func words(alphabet []string, most int) (out [][]string) {
	last := [][]string{{}}
	for range most {
		var next [][]string
		for _, head := range last {
			for _, w := range alphabet {
				next = append(next, append(slices.Clone(head), w))
			}
		}
		out, last = append(out, next...), next
	}
	return out
}

// TestTopicCovers holds Covers to what it means: for all filters of up to three
// levels it says what comparing all topics of up to four levels says. "z" stands
// for all levels that no filter names.
func TestTopicCovers(t *testing.T) {
	device := id
	for _, alias := range []string{"anna", "", "+", "#"} {
		topics := words([]string{"a", "", "z", device, "anna"}, 4)
		type chosen struct {
			filter string
			topics []bool
		}
		choose := func(alphabet []string, valid func(string) bool, own, bound string) (list []chosen) {
			for _, levels := range words(alphabet, 3) {
				c := chosen{filter: strings.Join(levels, "/")}
				if !valid(c.filter) {
					continue
				}
				for _, topic := range topics {
					c.topics = append(c.topics, naiveMatch(levels, topic, own, bound))
				}
				list = append(list, c)
			}
			return list
		}
		hash := func(s string) bool { // a subscription, in which braces are letters
			i := strings.IndexByte(s, '#')
			return s != "" && (i < 0 || i == len(s)-1)
		}
		rules := choose([]string{"a", "", "+", "#", "{registration_id}", "{alias}"}, func(s string) bool { return herald.ValidTopicFilter("filter", s) == nil }, device, alias)
		wants := choose([]string{"a", "", "+", "#", device, "anna"}, hash, "", "")
		if len(rules) < 150 || len(wants) < 150 {
			t.Fatalf("%d rules and %d subscriptions", len(rules), len(wants))
		}
		for _, rule := range rules {
			for _, want := range wants {
				all := true
				for i := range topics {
					all = all && (rule.topics[i] || !want.topics[i])
				}
				if got := herald.TopicFilter(rule.filter).Covers(want.filter, herald.RegistrationID(device), herald.Alias(alias)); got != all {
					t.Errorf("alias %q: %q covers %q: %v, want %v", alias, rule.filter, want.filter, got, all)
				}
			}
		}
	}
}

// TestTopicAlias: an alias that is not one level leads nowhere, and braces of a
// subscription are letters.
func TestTopicAlias(t *testing.T) {
	for _, tt := range []struct {
		rule, want string
		alias      herald.Alias
		covers     bool
	}{
		{"u/{alias}", "u/anna", "anna", true},
		{"u/{alias}", "u/Anna", "anna", false},
		{"u/{alias}", "u/anna", "", false},
		{"u/{alias}", "u/", "", false},
		{"u/{alias}", "u/+", "+", false},
		{"u/{alias}", "u/#", "#", false},
		{"u/{alias}/#", "u/#", "#", false},
		{"u/{alias}/#", "u/a/b", "a/b", false},
		{"u/{alias}/{alias}", "u/a/b", "a/b", false},
		{"u/{alias}/#", "u/a#/x", "a#", false},
		{"u/{alias}/#", "u/张三/#", "张三", true},
		{"u/{alias}/#", "u/{alias}/#", "anna", false},
		{"u/{alias}/#", "u/{alias}/#", "{alias}", true},
		{"u/+/#", "u/{alias}/#", "", true},
		{"{alias}/{registration_id}", "anna/" + id, "anna", true},
	} {
		if got := herald.TopicFilter(tt.rule).Covers(tt.want, id, tt.alias); got != tt.covers {
			t.Errorf("alias %q: %q covers %q: %v", tt.alias, tt.rule, tt.want, got)
		}
	}
	use := func(list ...herald.TopicFilter) herald.TopicRules { return herald.TopicRules{Publish: list} }
	if use("a", "#", "{registration_id}").UseAlias() || !use("a", "u/{alias}").UseAlias() || !(herald.TopicRules{Subscribe: []herald.TopicFilter{"{alias}"}}).UseAlias() {
		t.Error("UseAlias")
	}
}

// FuzzTopicCovers: what a filter covers, it chooses, whatever topic of it is
// looked at; and it covers itself if it names nobody.
func FuzzTopicCovers(f *testing.F) {
	for _, s := range [][5]string{
		{"a/#", "a/+", "a/b", "", ""}, {"#", "#", "x", "", ""}, {"+/#", "#", "a", "", ""}, {"u/{alias}/#", "u/anna/#", "u/anna", "x", "anna"},
		{"{registration_id}/+", "x/+", "x/y", "x", ""}, {"a/+/#", "a/#", "a", "", ""}, {"{alias}", "+", "z", "x", "+"}, {"a//#", "a//", "a//", "", ""},
	} {
		f.Add(s[0], s[1], s[2], s[3], s[4])
	}
	f.Fuzz(func(t *testing.T, rule, want, topic, id, alias string) {
		if herald.ValidTopicFilter("rule", rule) != nil || herald.ValidTopicFilter("want", want) != nil || herald.ValidTopic("topic", topic) != nil || strings.ContainsAny(want, "{}") {
			return
		}
		own, bound := herald.RegistrationID(id), herald.Alias(alias)
		filter := herald.TopicFilter(rule)
		levels := strings.Split(topic, "/")
		if filter.Covers(want, own, bound) && naiveMatch(strings.Split(want, "/"), levels, "", "") && !naiveMatch(strings.Split(rule, "/"), levels, id, alias) {
			t.Fatalf("%q covers %q of %q and %q, and does not choose %q", rule, want, id, alias, topic)
		}
		if !strings.Contains(rule, "{") && !filter.Covers(rule, own, bound) {
			t.Fatalf("%q does not cover itself", rule)
		}
		if !herald.TopicFilter("#").Covers(want, own, bound) {
			t.Fatalf("# does not cover %q", want)
		}
	})
}
