package live

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

// FuzzTopicTree: whatever is subscribed to and given up, in whatever order, the
// tree and the names give what a look at each filter gives.
func FuzzTopicTree(f *testing.F) {
	f.Add("a/+ a/# # + +/+ a a/b", "a a/b b /")
	f.Add("$share/g/a/+ $share/h/a/+ a/+ $share/g/a", "a/b a")
	f.Add("+/b/# a/+/c a//+ //# / +/ /+", "a/b a/b/c a// // /")
	f.Add("-a/+ a/+ -a/+ a/b/+ -a/+", "a/x a/b/x")
	f.Add(strings.Repeat("w/1 ", 3)+"w/1/+ w/2/+ w/3/+ w/4/+ w/5/+ w/6/+ w/7/+ w/8/+ w/9/+ w/0/+ -w/1/+", "w/1/a w/9/b w/3")
	f.Fuzz(func(t *testing.T, filters, names string) {
		var a topics
		subs := map[herald.Topic]subscription{}
		s := &Session{ord: 1}
		for _, word := range strings.Fields(filters) {
			name, gone := strings.CutPrefix(word, "-")
			sub, have := subs[herald.Topic(name)]
			switch {
			case herald.ValidShared("", name) != nil:
			case gone && have:
				a.exit(sub, 1)
				delete(subs, herald.Topic(name))
			case !gone && !have:
				subs[herald.Topic(name)] = a.enter(herald.Topic(name), s, 1, notAsked)
			}
		}
		for _, name := range strings.Fields(names) {
			if herald.ValidTopic("", name) != nil {
				continue
			}
			var want, got []string
			for sub := range subs {
				if _, filter := herald.SplitShare(string(sub)); plainMatch(string(filter), name) {
					want = append(want, string(sub))
				}
			}
			for _, e := range a.matching(herald.Topic(name), nil) {
				got = append(got, string(e.name))
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%q of %q: got %q, want %q", name, filters, got, want)
			}
		}
		for _, sub := range subs {
			a.exit(sub, 1)
		}
		if !a.tree.root.empty() || a.tree.size != 0 || a.groups.Load() != 0 || len(a.named) != 0 {
			t.Errorf("left of %q is %+v", filters, a.tree)
		}
	})
}

// plainMatch is MQTT 5.0 section 4.7.1 in the plainest way.
func plainMatch(filter, name string) bool {
	want, have := strings.Split(filter, "/"), strings.Split(name, "/")
	for i, w := range want {
		if w == "#" {
			return true
		}
		if i >= len(have) || w != "+" && w != have[i] {
			return false
		}
		if i == len(have)-1 && len(want) == i+2 && want[i+1] == "#" {
			return true
		}
	}
	return len(want) == len(have)
}

// FuzzSelects: a filter selects what plainMatch says, and so does the one of a
// rule, which differs only in its placeholders.
func FuzzSelects(f *testing.F) {
	for _, s := range [][2]string{{"a/+", "a/b"}, {"#", "a"}, {"a/#", "a"}, {"+/#", "a"}, {"a/+/c", "a/b/c"}, {"+", "/a"}, {"/+", "/a"}, {"a/+/#", "a/b"}, {"{x}/+", "{x}/1"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		if herald.ValidSubscription("", filter) != nil || herald.ValidTopic("", name) != nil {
			return
		}
		got := herald.TopicFilter(filter).Selects(herald.Topic(name))
		if got != plainMatch(filter, name) {
			t.Errorf("%q of %q: got %v", name, filter, got)
		}
		if herald.ValidTopicFilter("", filter) == nil && !strings.Contains(filter, "{") && herald.TopicFilter(filter).Match(herald.Topic(name), "", "") != got {
			t.Errorf("%q of %q: Match differs from %v", name, filter, got)
		}
		if herald.TopicFilter(filter).HasWildcard() != slices.ContainsFunc(strings.Split(filter, "/"), func(l string) bool { return l == "+" || l == "#" }) {
			t.Errorf("%q: HasWildcard is %v", filter, !got)
		}
	})
}

// treeFilters are about a million filters as a fleet of devices would have them.
func treeFilters(n int) []herald.Topic {
	out := make([]herald.Topic, n)
	for i := range out {
		switch i % 10 {
		case 0:
			out[i] = herald.Topic(fmt.Sprintf("site/%d/+/alarm", i))
		case 1:
			out[i] = herald.Topic(fmt.Sprintf("site/%d/#", i))
		default:
			out[i] = herald.Topic(fmt.Sprintf("device/%d/+", i))
		}
	}
	return out
}

// BenchmarkTopicTree matches topics against a million subscriptions to as many
// filters, and says what one of them takes.
func BenchmarkTopicTree(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			filters := treeFilters(n)
			var a topics
			s := &Session{ord: 1}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for _, f := range filters {
				a.enter(f, s, 1, notAsked)
			}
			for _, f := range []herald.Topic{"#", "device/+/state", "+/+/up/alarm"} {
				a.enter(f, s, 1, notAsked)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			perSub := float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
			names := make([]herald.Topic, 4096)
			for i := range names {
				j := rand.IntN(n)
				switch j % 10 {
				case 0, 1:
					names[i] = herald.Topic(fmt.Sprintf("site/%d/up/alarm", j))
				default:
					names[i] = herald.Topic(fmt.Sprintf("device/%d/state", j))
				}
			}
			var into []*topic
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				a.mu.RLock()
				into = a.matching(names[i%len(names)], into[:0])
				a.mu.RUnlock()
				if len(into) != 3 {
					b.Fatalf("%s: %d match", names[i%len(names)], len(into))
				}
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "matches/s")
			b.ReportMetric(perSub, "B/subscription")
			runtime.KeepAlive(&a)
		})
	}
}
