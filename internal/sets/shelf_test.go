package sets

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

// TestShelf: sets that share memory are those that were put there, whatever
// their size, and to grow one leaves its neighbour alone.
func TestShelf(t *testing.T) {
	sizes := []int{1, 10, shelfNumbers - 12, 1, shelfNumbers, shelfNumbers + 1, 3}
	lengths := []int{1, 0, shelfBytes - 1, 2, shelfBytes, shelfBytes + 1, 40}
	var s shelf
	var list []*named
	numbers := func(i int) (out []uint32) {
		for n := range sizes[i%len(sizes)] {
			out = append(out, uint32(i+n))
		}
		return out
	}
	name := func(i int) string {
		return strings.Repeat(string(rune('a'+i%26)), lengths[i%len(lengths)])
	}
	for i := range shelfSets + 20 {
		members := New()
		members.AddMany(numbers(i))
		list = append(list, s.put(name(i), members))
	}
	for i, n := range list {
		_ = append(n.list, 1<<31)
		if n.name != name(i) || n.bits != nil {
			t.Fatalf("set %d is called %.20q of %d bytes", i, n.name, len(n.name))
		}
	}
	for i, n := range list {
		if !slices.Equal(n.list, numbers(i)) {
			t.Fatalf("set %d has other members", i)
		}
	}
}

// TestPiece: pieces begin small, double up to a size, and have room for what is
// larger than that.
func TestPiece(t *testing.T) {
	for _, c := range []struct{ before, need, most, want int }{
		{0, 1, 1024, firstPiece},
		{firstPiece, 1, 1024, 2 * firstPiece},
		{600, 1, 1024, 1024},
		{1024, 1, 1024, 1024},
		{1024, 5000, 1024, 5000},
		{5000, 1, 1024, 1024},
		{0, 100, 1024, 100},
	} {
		if got := piece(c.before, c.need, c.most); got != c.want {
			t.Errorf("after %d, for %d of at most %d: %d, want %d", c.before, c.need, c.most, got, c.want)
		}
	}
}

// TestLoadedSetsShareMemory: what many small sets are to a collection of
// garbage is less than a piece of memory each.
func TestLoadedSetsShareMemory(t *testing.T) {
	const n = 50_000
	x := NewIndex(0, n)
	objects := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapObjects
	}
	before := objects()
	for i := range n {
		x.Load(Part{Set: fmt.Sprintf("tag:%d", i), Whole: true}, New(herald.Ordinal(i), herald.Ordinal(i+1)))
	}
	if grown := int64(objects()) - int64(before); grown > n/2 {
		t.Errorf("%d sets are %d objects", n, grown)
	}
	x.Loaded()
	if got := x.find("tag:777"); got == nil || !slices.Equal(got.list, []uint32{777, 778}) {
		t.Errorf("tag:777 is %+v", got)
	}
}
