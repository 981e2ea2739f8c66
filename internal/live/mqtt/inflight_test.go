package mqtt

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
)

// TestInflight holds the table to a map.
func TestInflight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table inflight
		model := map[uint16]int64{}
		var order []uint16
		// Identifiers that are near each other, or share a slot, or wrap around.
		ids := rapid.OneOf(rapid.Uint16Range(1, 20), rapid.SampledFrom([]uint16{8, 16, 24, 4096, 65528, 65534, 65535}))
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			id := ids.Draw(t, "id")
			_, had := model[id]
			if f := table.find(id); (f != nil) != had || had && f.ref != model[id] {
				t.Fatalf("%d: found %+v, want %d", id, f, model[id])
			}
			if had {
				table.remove(id)
				delete(model, id)
				order = slices.DeleteFunc(order, func(o uint16) bool { return o == id })
			} else {
				ref := int64(rapid.Uint16().Draw(t, "ref"))
				table.add(flight{id: id, stage: stageAck, ref: ref})
				model[id] = ref
				order = append(order, id)
			}
			if table.n != len(model) || (table.n == 0) != (table.slots == nil) {
				t.Fatalf("%d flights, want %d", table.n, len(model))
			}
			if free := table.free(id); free == 0 || table.find(free) != nil {
				t.Fatalf("%d is not free", free)
			}
		}
		var got []uint16
		low := herald.Pos(0)
		for _, f := range table.list() {
			got = append(got, f.id)
		}
		for _, ref := range slices.Sorted(maps.Values(model)) {
			if low == 0 {
				low = herald.Pos(ref)
			}
		}
		if !slices.Equal(got, order) || table.lowest() != low {
			t.Fatalf("got %v, lowest %d; want %v, %d", got, table.lowest(), order, low)
		}
		table.clear()
		if table.n != 0 || table.find(8) != nil {
			t.Fatal("something is left")
		}
	})
}
