package audience

import (
	"testing"

	"github.com/herald-push/herald/internal/sets"
)

// TestUnionAll: what is joined in pieces is what is joined at once, and the sets
// that were joined stay as they are.
func TestUnionAll(t *testing.T) {
	dense := func(first, slabs int) *sets.Set { // 8 KiB a slab, every third device
		s := sets.New()
		for slab := range slabs {
			var words [sets.SlabWords]uint64
			for i := range words {
				words[i] = 0x9249249249249249 << first
			}
			s.Or(sets.FromWords(sets.Slab(slab), &words))
		}
		return s
	}
	for name, list := range map[string][]*sets.Set{
		"one":                 {sets.New(7)},
		"small ones":          {sets.New(7), sets.New(), sets.New(1<<20, 9)},
		"dense ones":          {dense(0, 200), dense(1, 200), dense(2, 150), dense(0, 200), dense(1, 20)},
		"a small one at last": {dense(0, 200), dense(1, 200), dense(0, 200), sets.New(5)},
		"a small one first":   {sets.New(5), dense(0, 200), dense(1, 200), dense(0, 200), dense(2, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			before := make([]int64, len(list))
			for i, s := range list {
				before[i] = s.Len()
			}
			got, want := unionAll(list), sets.UnionAll(list...)
			if got.Len() != want.Len() || sets.Common(got, want) != want.Len() {
				t.Errorf("%d members, want %d", got.Len(), want.Len())
			}
			for i, s := range list {
				if s.Len() != before[i] {
					t.Errorf("set %d has %d members now, and had %d", i, s.Len(), before[i])
				}
			}
		})
	}
}
