package live

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// TestRoster holds a roster to a map, while devices come and go.
func TestRoster(t *testing.T) {
	for _, c := range []struct {
		name string
		next func(i int) herald.Ordinal
	}{
		{"one after the other", func(i int) herald.Ordinal { return herald.Ordinal(i) }},
		{"backwards", func(i int) herald.Ordinal { return herald.Ordinal(5000 - i) }},
		{"anywhere", func(int) herald.Ordinal { return herald.Ordinal(rand.Uint32()) }},
		{"the same again", func(int) herald.Ordinal { return herald.Ordinal(rand.IntN(1000)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r roster
			want := map[herald.Ordinal]*Session{}
			for i := range 4000 {
				o, s := c.next(i), &Session{}
				r.put(o, s)
				want[o] = s
			}
			for range 4 { // fewer and fewer
				for o := range want {
					if rand.IntN(3) > 0 {
						r.remove(o)
						r.remove(o)
						delete(want, o)
					}
				}
				holds(t, &r, want)
			}
			for o := range want {
				r.remove(o)
			}
			if r.remove(7); len(r.parts) != 0 || r.get(7) != nil || r.collect([]uint32{7}, nil) != nil {
				t.Errorf("%d blocks without devices", len(r.parts))
			}
		})
	}
}

func holds(t *testing.T, r *roster, want map[herald.Ordinal]*Session) {
	t.Helper()
	asked := sets.New(0, 1<<32-1) // also who is not there
	for o, s := range want {
		if r.get(o) != s {
			t.Fatalf("device %d is lost", o)
		}
		asked.Add(o)
		asked.Add(o + 1)
	}
	ords := make([]uint32, 0, len(want))
	for o := range asked.All() {
		ords = append(ords, uint32(o))
	}
	var sorted []*Session
	for _, o := range ords {
		if s := want[herald.Ordinal(o)]; s != nil {
			sorted = append(sorted, s)
		}
	}
	if got := r.collect(ords, nil); !slices.Equal(got, sorted) {
		t.Fatalf("%d sessions of %d, or in another order", len(got), len(want))
	}
	n := 0
	r.each(func(*Session) { n++ })
	if n != len(want) {
		t.Fatalf("walks %d of %d", n, len(want))
	}
	for i, p := range r.parts {
		if len(p.ords) == 0 || len(p.ords) > rosterBlock || len(p.heads) != len(p.ords) || i > 0 && p.ords[0] <= r.parts[i-1].ords[0] {
			t.Fatalf("block %d has %d devices and %d sessions", i, len(p.ords), len(p.heads))
		}
	}
}
