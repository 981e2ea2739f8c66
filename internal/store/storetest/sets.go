package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func testSets(t *testing.T, f *fixture) {
	add := []record.SetChange{{Set: "tag:a", Ords: sets.New(1, 2, 70000)}, {Set: "tag:ü:b", Ords: dense(1)}}
	remove := []record.SetChange{{Set: "tag:a", Remove: true, Ords: sets.New(2)}}
	for i, changes := range [][]record.SetChange{add, remove, nil} {
		pos, err := f.ChangeSets(f.ctx, appA, changes)
		f.must(err)
		if pos != herald.Pos(i+1) {
			t.Errorf("change %d got position %d", i, pos)
		}
	}
	_, err := f.ChangeSets(f.ctx, none, nil)
	refused(t, err, herald.CodeNotFound)
	f.restart()
	log := func(after herald.Pos) (out []record.SetLogEntry) {
		f.must(f.SetLog(f.ctx, appA, after, func(e record.SetLogEntry) error { out = append(out, e); return nil }))
		return out
	}
	same(t, "log", log(0), []record.SetLogEntry{{Pos: 1, Changes: add}, {Pos: 2, Changes: remove}, {Pos: 3}})
	same(t, "log after 2", log(2), []record.SetLogEntry{{Pos: 3}})
	stop := fmt.Errorf("stop")
	if err := f.SetLog(f.ctx, appA, 0, func(record.SetLogEntry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("SetLog gave %v, not the error of the callback", err)
	}

	chunks := []record.SetChunk{{Set: "tag:a", Slab: 0, Upto: 2, Bits: sets.New(1)}, {Set: "tag:a", Slab: 1, Upto: 2, Bits: sets.New(70000)},
		{Set: "tag:ü:b", Slab: 0, Upto: 2, Bits: dense(1)}}
	refused(t, f.FoldSets(f.ctx, appA, 4, chunks), herald.CodeConflict)
	f.must(f.FoldSets(f.ctx, appA, 2, chunks))
	same(t, "log after the fold", log(0), []record.SetLogEntry{{Pos: 3}})
	load := func(app herald.AppKey) (out []record.SetChunk) {
		f.must(f.SetChunks(f.ctx, app, func(c record.SetChunk) error { out = append(out, c); return nil }))
		slices.SortFunc(out, func(a, b record.SetChunk) int { return int(a.Slab) - int(b.Slab) + 10*(len(a.Set)-len(b.Set)) })
		return out
	}
	same(t, "chunks", load(appA), chunks)
	same(t, "chunks of the other app", load(appB), []record.SetChunk{})
	f.must(f.FoldSets(f.ctx, appA, 3, []record.SetChunk{{Set: "tag:a", Slab: 0, Upto: 3, Bits: sets.New()},
		{Set: "tag:a", Slab: 1, Upto: 3, Bits: sets.New(70001)}}))
	f.restart()
	same(t, "chunks after the second fold", load(appA),
		[]record.SetChunk{{Set: "tag:a", Slab: 1, Upto: 3, Bits: sets.New(70001)}, chunks[2]})
	same(t, "log after the second fold", log(0), []record.SetLogEntry{})
	// A whole set is a chunk of its own beside those of slabs, and a fold up to
	// 0 drops nothing.
	_, err = f.ChangeSets(f.ctx, appA, remove)
	f.must(err)
	whole := record.SetChunk{Set: "tag:a", Whole: true, Upto: 4, Bits: sets.New(5, 70001)}
	f.must(f.FoldSets(f.ctx, appA, 0, []record.SetChunk{whole, {Set: "tag:a", Slab: 0, Upto: 4, Bits: sets.New(5)}}))
	f.must(f.FoldSets(f.ctx, appA, 0, []record.SetChunk{{Set: "tag:a", Slab: 0}, {Set: "tag:a", Slab: 1}}))
	f.restart()
	same(t, "chunks with a whole set", load(appA), []record.SetChunk{whole, chunks[2]})
	same(t, "log after a fold up to 0", log(0), []record.SetLogEntry{{Pos: 4, Changes: remove}})
	testManyChunks(f)
	h, err := f.Head(f.ctx, appA)
	f.must(err)
	same(t, "Head", h, record.Head{Epoch: 1, Pos: 4})
}

const manyChanges = 5000

// testManyChunks folds more chunks, and drops a longer log, than one operation
// of a store should write.
func testManyChunks(f *fixture) {
	many := make([]record.SetChunk, 2000)
	for i := range many {
		many[i] = record.SetChunk{Set: fmt.Sprintf("tag:%04d", i), Whole: true, Upto: 4, Bits: sets.New(herald.Ordinal(i))}
	}
	together(manyChanges, func(int) {
		if _, err := f.ChangeSets(f.ctx, appB, nil); err != nil {
			f.t.Error(err)
		}
	})
	f.must(f.FoldSets(f.ctx, appB, manyChanges-1, many))
	n, left := 0, 0
	f.must(f.SetChunks(f.ctx, appB, func(record.SetChunk) error { n++; return nil }))
	f.must(f.SetLog(f.ctx, appB, 0, func(e record.SetLogEntry) error { left += int(e.Pos); return nil }))
	if n != len(many) || left != manyChanges {
		f.t.Errorf("%d chunks are there, and the log adds up to %d; want %d and its last position", n, left, len(many))
	}
}

func testHooks(t *testing.T, f *fixture) {
	together(40, func(i int) {
		var err error
		switch i % 4 {
		case 0:
			_, _, err = f.Register(f.ctx, registration(appA, i))
		case 1:
			_, err = f.ChangeSets(f.ctx, appA, []record.SetChange{{Set: "tag:t", Ords: sets.New(1)}})
		case 2:
			_, err = f.Accept(f.ctx, f.message(1))
		case 3:
			m := f.message(1)
			if _, err = f.Accept(f.ctx, m); err == nil {
				_, err = f.EndMessage(f.ctx, appA, m.ID, herald.MessageWithdrawn, start)
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	// The hooks themselves check that they are called in order; see told.
	f.wantHead(appA, 50)
	if f.last[appA] != 50 || len(f.sets[appA]) != 20 || len(f.releases[appA]) != 30 {
		t.Errorf("the hooks told of %d sets and %d releases up to %d", len(f.sets[appA]), len(f.releases[appA]), f.last[appA])
	}
	// Whoever has an answer finds that the hook was called before.
	d := f.register(appA, 1000)
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.sets[appA][len(f.sets[appA])-1]; e.NextOrd != uint64(d.Ord)+1 {
		t.Errorf("the last entry told has NextOrd %d, want %d", e.NextOrd, d.Ord+1)
	}
}
