package topiclog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// TestFiltersAgree: what is found by the trees is what trying every filter finds.
func TestFiltersAgree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	level := func(wild bool) string {
		list := []string{"", "a", "b", "c"}
		if wild {
			list = append(list, "+", "+")
		}
		return list[r.IntN(len(list))]
	}
	name := func(wild bool) string {
		parts := make([]string, 1+r.IntN(4))
		for i := range parts {
			parts[i] = level(wild)
		}
		if wild && r.IntN(3) == 0 {
			parts[len(parts)-1] = "#"
		}
		return strings.Join(parts, "/")
	}
	f := newFilters()
	want := map[string][2]int{} // all, stored
	for range 3000 {
		filter := name(true)
		if r.IntN(4) == 0 {
			filter = "$share/g/" + filter
		}
		m := record.TopicMove{Client: "one", Filter: filter}
		switch c := want[filter]; {
		case c[0] == 0:
			m.All, m.Stored = 1, r.IntN(2)
		case r.IntN(2) == 0:
			m.All, m.Stored = -1, -c[1]
		default:
			m.Stored = 1 - 2*c[1]
		}
		c := want[filter]
		want[filter] = [2]int{c[0] + m.All, c[1] + m.Stored}
		f.move(m)
		topic := name(false)
		var all []string
		stored, shared := false, false
		for filter, c := range want {
			_, inner, isShared := record.SharedFilter(filter)
			if c[0] == 0 || !herald.TopicFilter(inner).Selects(herald.Topic(topic)) {
				continue
			}
			if !isShared {
				all = append(all, filter)
			}
			stored = stored || c[1] > 0 && !isShared
			shared = shared || c[1] > 0 && isShared
		}
		got := f.matching(herald.Topic(topic))
		slices.Sort(all)
		if slices.Sort(got); !slices.Equal(got, all) {
			t.Fatalf("%q is chosen by %q, want %q", topic, got, all)
		}
		if f.wants(herald.Topic(topic)) != stored || f.sharedWants(herald.Topic(topic)) != shared {
			t.Fatalf("%q is wanted: %v, shared %v; want %v and %v", topic, f.wants(herald.Topic(topic)), f.sharedWants(herald.Topic(topic)), stored, shared)
		}
	}
	for filter, c := range want {
		if c[0] > 0 {
			f.move(record.TopicMove{Client: "one", Filter: filter, All: -1, Stored: -c[1]})
		}
	}
	if len(f.names)+len(f.wild.edges)+len(f.groups.edges)+len(f.shared)+len(f.clients) > 0 || f.stored != 0 {
		t.Errorf("without subscriptions there is still %+v", f)
	}
}

// BenchmarkWanted asks for topics among a million filters, of which a half have
// wildcards.
func BenchmarkWanted(b *testing.B) {
	f := newFilters()
	for i := range 500_000 {
		f.add(fmt.Sprintf("devices/%d/command", i), 1, 1)
		f.add(fmt.Sprintf("devices/%d/+/state", i), 1, 1)
	}
	topics := make([]herald.Topic, 1000)
	for i := range topics {
		topics[i] = herald.Topic(fmt.Sprintf("devices/%d/door/%s", i*499, []string{"state", "other"}[i%2]))
	}
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if f.wants(topics[i%1000]) != (i%2 == 0) {
			b.Fatal(topics[i%1000])
		}
	}
}
