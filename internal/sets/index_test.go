package sets_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// stored is the record of an index: chunks, and the log behind them.
type stored struct {
	chunks map[sets.Part]*sets.Set
	log    []entry
}

type entry struct {
	pos     herald.Pos
	next    uint64
	changes []sets.Change
}

func (r *stored) fold(upto herald.Pos, parts map[sets.Part]*sets.Set) {
	for p, bits := range parts {
		if bits.Empty() {
			delete(r.chunks, p)
		} else {
			r.chunks[p] = bits.Clone()
		}
	}
	r.log = slices.DeleteFunc(slices.Clone(r.log), func(e entry) bool { return e.pos <= upto })
}

func (r *stored) load(pos herald.Pos, next uint64) *sets.Index {
	x := sets.NewIndex(0, next)
	for p, bits := range r.chunks {
		x.Load(p.Set, bits)
	}
	for _, e := range r.log {
		x.Apply(e.pos, e.next, e.changes)
	}
	x.Apply(pos, next, nil)
	return x
}

type model map[string]map[herald.Ordinal]bool

func (m model) apply(changes []sets.Change) {
	for _, c := range changes {
		for o := range c.Ords.All() {
			if m[c.Set] == nil {
				m[c.Set] = map[herald.Ordinal]bool{}
			}
			if c.Remove {
				delete(m[c.Set], o)
			} else {
				m[c.Set][o] = true
			}
		}
		if len(m[c.Set]) == 0 {
			delete(m, c.Set)
		}
	}
}

func (m model) check(t *rapid.T, x *sets.Index, pos herald.Pos, next uint64) {
	x.View(func(v sets.View) {
		var names []string
		for name, want := range m {
			names = append(names, name)
			if got := v.Set(name); got.Len() != int64(len(want)) {
				t.Fatalf("%s has %v, want %v", name, got.Ordinals(), want)
			}
			for o := range want {
				if !v.Set(name).Contains(o) {
					t.Fatalf("%s lacks %d", name, o)
				}
			}
		}
		slices.Sort(names)
		if got := v.Names(""); !slices.Equal(got, names) {
			t.Fatalf("sets %v, want %v", got, names)
		}
		if v.Pos() != pos || v.Next() != next {
			t.Fatalf("at %d with %d devices, want %d with %d", v.Pos(), v.Next(), pos, next)
		}
	})
}

// TestIndexFoldAndReload: however changes, folds (with changes between Dirty
// and Clean, or given up half-way) and restarts follow each other, the index is
// what the changes make.
func TestIndexFoldAndReload(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := &stored{chunks: map[sets.Part]*sets.Set{}}
		x, want := sets.NewIndex(0, 0), model{}
		pos, next := herald.Pos(0), uint64(0)
		change := func(t *rapid.T) {
			pos += herald.Pos(rapid.IntRange(1, 3).Draw(t, "step"))
			next += uint64(rapid.IntRange(0, 2).Draw(t, "new"))
			var changes []sets.Change
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				changes = append(changes, sets.Change{
					Set:    rapid.SampledFrom([]string{"tag:a", "tag:b", "dead"}).Draw(t, "set"),
					Remove: rapid.Bool().Draw(t, "remove"),
					Ords:   sets.New(rapid.SliceOfN(ordinal(), 0, 3).Draw(t, "ords")...),
				})
			}
			rec.log = append(rec.log, entry{pos, next, changes})
			x.Apply(pos, next, changes)
			want.apply(changes)
		}
		t.Repeat(map[string]func(*rapid.T){
			"change": change,
			"fold": func(t *rapid.T) {
				at, parts := x.Dirty()
				for range rapid.IntRange(0, 2).Draw(t, "before") {
					change(t)
				}
				rec.fold(at, parts)
				for range rapid.IntRange(0, 2).Draw(t, "after") {
					change(t)
				}
				if rapid.Bool().Draw(t, "clean") {
					x.Clean(at, parts)
				} else {
					x = rec.load(pos, next)
				}
			},
			"fold lost": func(*rapid.T) { x.Dirty() },
			"reload":    func(*rapid.T) { x = rec.load(pos, next) },
			"": func(t *rapid.T) {
				want.check(t, x, pos, next)
				want.check(t, rec.load(pos, next), pos, next)
			},
		})
	})
}

// TestIndexLogTwice: reading the log again from any point to its end changes
// nothing.
func TestIndexLogTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []entry
		x, want := sets.NewIndex(0, 0), model{}
		for i := range rapid.IntRange(1, 12).Draw(t, "length") {
			c := []sets.Change{{Set: "tag:a", Remove: rapid.Bool().Draw(t, "remove"), Ords: sets.New(rapid.SliceOfN(ordinal(), 1, 3).Draw(t, "ords")...)}}
			log = append(log, entry{herald.Pos(i + 1), uint64(i), c})
			x.Apply(herald.Pos(i+1), uint64(i), c)
			want.apply(c)
		}
		for _, e := range log[rapid.IntRange(0, len(log)-1).Draw(t, "from"):] {
			x.Apply(e.pos, e.next, e.changes)
		}
		want.check(t, x, herald.Pos(len(log)), uint64(len(log)-1))
	})
}

func TestDirty(t *testing.T) {
	x := sets.NewIndex(3, 10)
	x.Load("tag:a", sets.New(1, 70000))
	x.Load("tag:b", sets.New(4))
	if pos, parts := x.Dirty(); pos != 3 || len(parts) != 0 {
		t.Fatalf("after Load %d parts changed, at %d", len(parts), pos)
	}
	x.Apply(4, 10, []sets.Change{{Set: "tag:a", Ords: sets.New(2)}, {Set: "tag:b", Remove: true, Ords: sets.New(3)}})
	pos, parts := x.Dirty()
	if pos != 4 || !sets.Equal(parts[sets.Part{Set: "tag:a", Slab: 0}], sets.New(1, 2)) {
		t.Fatalf("at %d: %v", pos, parts)
	}
	if _, ok := parts[sets.Part{Set: "tag:a", Slab: 1}]; ok {
		t.Error("a slab that did not change is listed")
	}
	parts[sets.Part{Set: "tag:a", Slab: 0}].Add(9) // a copy
	_, parts = x.Dirty()

	// Between Dirty and Clean one slab changes for good, another to and fro.
	x.Apply(5, 10, []sets.Change{{Set: "tag:a", Ords: sets.New(5)}})
	x.Apply(6, 10, []sets.Change{{Set: "tag:b", Ords: sets.New(3)}})
	x.Apply(7, 10, []sets.Change{{Set: "tag:b", Remove: true, Ords: sets.New(3)}})
	x.Clean(4, parts)
	pos, parts = x.Dirty()
	if pos != 7 || len(parts) != 1 || !sets.Equal(parts[sets.Part{Set: "tag:a", Slab: 0}], sets.New(1, 2, 5)) {
		t.Fatalf("after Clean, at %d: %v", pos, parts)
	}
	x.Clean(7, parts)
	if _, parts = x.Dirty(); len(parts) != 0 {
		t.Errorf("%v is still marked", parts)
	}
}

func TestNames(t *testing.T) {
	x := sets.NewIndex(0, 10)
	x.Apply(1, 10, []sets.Change{
		{Set: "tag:b", Ords: sets.New(1, 2)}, {Set: "tag:a", Ords: sets.New(1)}, {Set: "tags", Ords: sets.New(1)},
		{Set: "platform:web", Ords: sets.New(1)}, {Set: "tag:nobody", Ords: sets.New()},
	})
	x.View(func(v sets.View) {
		for _, tt := range []struct {
			what      string
			got, want []string
		}{
			{"tags", v.Names("tag:"), []string{"tag:a", "tag:b"}},
			{"all", v.Names(""), []string{"platform:web", "tag:a", "tag:b", "tags"}},
			{"none", v.Names("x"), nil},
			{"tags of 1", v.NamesOf(1, "tag:"), []string{"tag:a", "tag:b"}},
			{"tags of 2", v.NamesOf(2, "tag:"), []string{"tag:b"}},
			{"tags of 3", v.NamesOf(3, "tag:"), nil},
		} {
			if !slices.Equal(tt.got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.what, tt.got, tt.want)
			}
		}
		if v.Set("tag:c") != nil || !v.Set("tag:c").Empty() {
			t.Error("a set that does not exist has members")
		}
	})
	x.Apply(2, 10, []sets.Change{{Set: "tag:a", Remove: true, Ords: sets.New(1)}})
	x.View(func(v sets.View) {
		if got := v.Names("tag:"); !slices.Equal(got, []string{"tag:b"}) {
			t.Errorf("after the last member left: %v", got)
		}
	})
}

// TestApplyKeepsItsOwn: the index does not share the sets of a change.
func TestApplyKeepsItsOwn(t *testing.T) {
	x := sets.NewIndex(0, 10)
	ords := sets.New(1)
	x.Apply(1, 10, []sets.Change{{Set: "a", Ords: ords}})
	x.Load("b", ords)
	ords.Add(2)
	x.View(func(v sets.View) {
		if v.Set("a").Len() != 1 || v.Set("b").Len() != 1 {
			t.Error("the caller's set is the index's set")
		}
	})
}

// TestIndexConcurrently: a reader sees all changes of a position or none.
func TestIndexConcurrently(t *testing.T) {
	x := sets.NewIndex(0, 0)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for i := range herald.Ordinal(500) {
			o := sets.New(i)
			x.Apply(herald.Pos(i+1), uint64(i)+1, []sets.Change{{Set: "a", Ords: o}, {Set: "b", Ords: o}})
		}
	})
	for range 2 {
		wg.Go(func() {
			for {
				x.View(func(v sets.View) {
					if n := uint64(v.Set("a").Len()); n != v.Next() || n != uint64(v.Pos()) || !sets.Equal(v.Set("a"), v.Set("b")) {
						panic(fmt.Sprintf("a has %d, there are %d devices at %d", n, v.Next(), v.Pos()))
					}
				})
				pos, parts := x.Dirty()
				x.Clean(pos, parts)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	wg.Wait()
}
