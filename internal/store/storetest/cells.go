package storetest

import (
	"slices"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// cells reads one slab of some messages.
func (f *fixture) cells(slab sets.Slab, waiting bool, ids ...herald.MessageID) (out []record.Chunk) {
	f.t.Helper()
	f.must(f.Cells(f.ctx, appA, slab, ids, waiting, func(c record.Chunk) error { out = append(out, c); return nil }))
	return out
}

// wantTarget checks a target that is not read with its message.
func (f *fixture) wantTarget(id herald.MessageID, want *sets.Set) {
	f.t.Helper()
	slabs, err := f.TargetSlabs(f.ctx, appA, id)
	f.must(err)
	got := sets.New()
	for _, slab := range slabs {
		for _, c := range f.cells(slab, true, id) {
			if c.Msg != id || c.Index != uint64(slab) {
				f.t.Errorf("a chunk of message %d and slab %d is among those of message %d and slab %d", c.Msg, c.Index, id, slab)
			}
			if c.State == record.TargetState {
				got.Or(c.Bits)
			}
		}
	}
	if !sets.Equal(got, want) {
		f.t.Errorf("the target of message %d has %d devices, want %d", id, got.Len(), want.Len())
	}
}

func testCells(t *testing.T, f *fixture) {
	a, b, small := f.group(dense(3)), f.group(dense(2)), f.group(sets.Range(2000))
	f.accept(a)
	f.accept(b)
	f.accept(small)
	f.append(event(a.ID, 5))
	chunk := func(m record.Acceptance, state herald.DeliveryState, slab sets.Slab, ords ...herald.Ordinal) record.Chunk {
		return record.Chunk{Msg: m.ID, State: state, Index: uint64(slab), Bits: sets.New(ords...)}
	}
	sent, received, told := chunk(a, herald.StateSent, 1, 1<<16), chunk(a, herald.StateReceived, 1, 1<<16), chunk(a, record.ToldState, 1, 1<<16)
	ended, of := chunk(b, herald.StateExpired, 1, 1<<16+2), chunk(small, herald.StateReceived, 0, 7)
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: 1, Chunks: []record.Chunk{
		sent, received, told, ended, of, chunk(a, herald.StateReceived, 0, 5)}}))
	f.restart()
	target := func(m record.Acceptance, slab sets.Slab) record.Chunk {
		image, _ := m.Group.Whole()
		return record.Chunk{Msg: m.ID, State: record.TargetState, Index: uint64(slab), Bits: image.Slab(slab)}
	}
	sorted := func(list ...record.Chunk) []record.Chunk {
		slices.SortFunc(list, func(a, b record.Chunk) int {
			if a.Msg != b.Msg {
				return int(a.Msg - b.Msg)
			}
			if a.State < b.State {
				return -1
			}
			return 1
		})
		return list
	}
	for _, c := range []struct {
		name    string
		slab    sets.Slab
		waiting bool
		ids     []herald.MessageID
		want    []record.Chunk
	}{
		{"one message", 1, false, []herald.MessageID{a.ID}, sorted(target(a, 1), sent, received, told)},
		{"several", 1, false, []herald.MessageID{a.ID, b.ID, small.ID}, sorted(target(a, 1), sent, received, told, target(b, 1), ended)},
		{"who waits", 1, true, []herald.MessageID{a.ID, b.ID}, sorted(target(a, 1), received, target(b, 1), ended)},
		{"a target in the row", 0, false, []herald.MessageID{small.ID}, []record.Chunk{of}},
		{"a slab without devices", 9, false, []herald.MessageID{a.ID, b.ID}, nil},
		{"no message", 1, false, nil, nil},
		{"a message that is not there", 1, false, []herald.MessageID{1}, nil},
	} {
		same(t, c.name, sorted(f.cells(c.slab, c.waiting, c.ids...)...), sorted(c.want...))
	}
	testAddToChunks(t, f, sent, of, chunk(b, herald.StateSent, 1, 1<<16+3))
	// The chunks of a message come slab by slab.
	var at uint64
	f.must(f.StateChunks(f.ctx, appA, a.ID, func(c record.Chunk) error {
		if c.Index < at {
			t.Errorf("slab %d after slab %d", c.Index, at)
		}
		at = c.Index
		return nil
	}))
	for _, id := range []herald.MessageID{small.ID, 1} {
		_, err := f.TargetSlabs(f.ctx, appA, id)
		refused(t, err, herald.CodeNotFound)
	}
	_, err := f.TargetSlabs(f.ctx, none, a.ID)
	refused(t, err, herald.CodeNotFound)
	refused(t, f.Cells(f.ctx, none, 0, nil, false, nil), herald.CodeNotFound)
}

// testAddToChunks joins bits to two chunks that there are, and to one that there
// is not.
func testAddToChunks(t *testing.T, f *fixture, one, two, fresh record.Chunk) {
	t.Helper()
	more := func(c record.Chunk) record.Chunk {
		c.Bits = sets.New(herald.Ordinal(c.Index<<16)+9, herald.Ordinal(c.Index<<16)+10)
		return c
	}
	for range 2 { // again changes nothing
		f.must(f.AddToChunks(f.ctx, appA, []record.Chunk{more(two), fresh, more(one)}))
	}
	f.restart()
	for _, c := range []record.Chunk{one, two, fresh} {
		want := c.Bits.Clone()
		if c.Msg != fresh.Msg {
			want.Or(more(c).Bits)
		}
		found := false
		f.must(f.StateChunks(f.ctx, appA, c.Msg, func(got record.Chunk) error {
			if got.State == c.State && got.Index == c.Index {
				found = true
				if !sets.Equal(got.Bits, want) {
					t.Errorf("chunk %s of message %d: %d, want %d", c.State, c.Msg, got.Bits.Ordinals(), want.Ordinals())
				}
			}
			return nil
		}))
		if !found {
			t.Errorf("chunk %s of message %d is not there", c.State, c.Msg)
		}
	}
	f.must(f.AddToChunks(f.ctx, appA, nil))
	refused(t, f.AddToChunks(f.ctx, none, nil), herald.CodeNotFound)
}
