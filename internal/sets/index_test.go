package sets_test

import (
	"fmt"
	"maps"
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

// store writes parts as an index gives them, and tells those that are empty.
func (r *stored) store(parts []sets.Part, bits []*sets.Set) (empty []sets.Part) {
	for i, p := range parts {
		if bits[i].Empty() {
			empty = append(empty, p)
		} else {
			r.chunks[p] = bits[i]
		}
	}
	return empty
}

func (r *stored) drop(upto herald.Pos) {
	r.log = slices.DeleteFunc(slices.Clone(r.log), func(e entry) bool { return e.pos <= upto })
}

func (r *stored) load(pos herald.Pos, next uint64) *sets.Index {
	x := sets.NewIndex(0, next)
	for p, bits := range r.chunks {
		x.Load(p, bits.Clone())
	}
	x.Loaded()
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
	var names []string
	x.View(func(v sets.View) {
		for name, want := range m {
			names = append(names, name)
			equal(t, name, v.Set(name), want)
		}
		slices.Sort(names)
		if got := v.Names(""); !slices.Equal(got, names) {
			t.Fatalf("sets %v, want %v", got, names)
		}
		if v.Pos() != pos || v.Next() != next {
			t.Fatalf("at %d with %d devices, want %d with %d", v.Pos(), v.Next(), pos, next)
		}
		for _, o := range []herald.Ordinal{0, 1, 2, 64, 70000, 1<<32 - 1} {
			var in []string
			for _, name := range names {
				if m[name][o] {
					in = append(in, name)
				}
				if got := v.Has(name, o); got != m[name][o] {
					t.Fatalf("Has(%s, %d) is %v", name, o, got)
				}
			}
			if got := v.NamesOf(o, ""); !slices.Equal(got, in) || v.MaxNames(o) < len(in) {
				t.Fatalf("%d is in %v of at most %d, want %v", o, got, v.MaxNames(o), in)
			}
		}
	})
	if got := x.NamesAfter("", "", 100); !slices.Equal(got, names) {
		t.Fatalf("sets %v, want %v", got, names)
	}
}

func equal(t *rapid.T, name string, got *sets.Set, want map[herald.Ordinal]bool) {
	if got.Len() != int64(len(want)) {
		t.Fatalf("%s has %d members, want %d", name, got.Len(), len(want))
	}
	for o := range got.All() {
		if !want[o] {
			t.Fatalf("%s has %d", name, o)
		}
	}
}

// some draws a few ordinals, or so many that a set changes its form: the
// numbers are about where a list becomes a bitmap and where a set ceases to be
// tracked by its members.
func some() *rapid.Generator[*sets.Set] {
	few := rapid.Custom(func(t *rapid.T) *sets.Set { return sets.New(rapid.SliceOfN(ordinal(), 0, 3).Draw(t, "few")...) })
	many := rapid.Custom(func(t *rapid.T) *sets.Set {
		s := sets.New()
		first, stride := rapid.Uint32Range(0, 3).Draw(t, "first"), rapid.SampledFrom([]uint32{1, 64, 1000}).Draw(t, "stride")
		for i := range rapid.SampledFrom([]uint32{60, 70, 127, 128, 500, 520, 1023, 1024, 1100}).Draw(t, "n") {
			s.Add(herald.Ordinal(first + i*stride))
		}
		return s
	})
	return rapid.OneOf(few, many)
}

// kept is a snapshot, and what the model was when it was taken.
type kept struct {
	s    sets.Snapshot
	want model
}

func (m model) clone() model {
	out := model{}
	for name, set := range m {
		out[name] = maps.Clone(set)
	}
	return out
}

// TestIndexFoldAndReload: however changes, folds (with changes meanwhile, or
// given up half-way) and restarts follow each other, the index is what the
// changes make, and each snapshot is what it was.
func TestIndexFoldAndReload(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rec := &stored{chunks: map[sets.Part]*sets.Set{}}
		x, want := sets.NewIndex(0, 0), model{}
		var snapshots []kept
		pos, next := herald.Pos(0), uint64(0)
		change := func(t *rapid.T) {
			pos += herald.Pos(rapid.IntRange(1, 3).Draw(t, "step"))
			next += uint64(rapid.IntRange(0, 2).Draw(t, "new"))
			var changes []sets.Change
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				changes = append(changes, sets.Change{
					Set:    rapid.SampledFrom([]string{"tag:a", "tag:b", "dead"}).Draw(t, "set"),
					Remove: rapid.Bool().Draw(t, "remove"),
					Ords:   some().Draw(t, "ords"),
				})
			}
			rec.log = append(rec.log, entry{pos, next, changes})
			x.Apply(pos, next, changes)
			want.apply(changes)
		}
		changes := func(t *rapid.T) {
			for range rapid.IntRange(0, 2).Draw(t, "meanwhile") {
				change(t)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"change": change,
			"fold": func(t *rapid.T) {
				upto, parts := x.BeginFold()
				half := rapid.IntRange(0, len(parts)).Draw(t, "half")
				changes(t)
				var empty []sets.Part
				lost := func() bool {
					if !rapid.Bool().Draw(t, "fails") {
						return false
					}
					if rapid.Bool().Draw(t, "dies") {
						x = rec.load(pos, next)
					} else {
						x.Mark(parts)
					}
					return true
				}
				for _, some := range [][]sets.Part{parts[:half], parts[half:]} {
					at, bits := x.Bits(some)
					if at != pos {
						t.Fatalf("bits at %d, want %d", at, pos)
					}
					changes(t)
					empty = append(empty, rec.store(some, bits)...)
					if lost() {
						return
					}
					changes(t)
				}
				gone, late := x.Gone(empty)
				changes(t)
				for _, p := range gone {
					delete(rec.chunks, p)
				}
				if !lost() && !late {
					rec.drop(upto)
				}
			},
			"reload": func(*rapid.T) { x = rec.load(pos, next) },
			"snapshot": func(*rapid.T) {
				snapshots = append(snapshots, kept{x.Snapshot([]string{"tag:a", "dead", "none"}), want.clone()})
			},
			"": func(t *rapid.T) {
				want.check(t, x, pos, next)
				want.check(t, rec.load(pos, next), pos, next)
				for _, k := range snapshots {
					equal(t, "tag:a", k.s.Set("tag:a"), k.want["tag:a"])
					equal(t, "dead", k.s.Set("dead"), k.want["dead"])
					equal(t, "none", k.s.Set("none"), nil)
				}
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

// TestFold: what changed is given once, in the form that the set has then.
func TestFold(t *testing.T) {
	x := sets.NewIndex(3, 10)
	large := sets.Range(2000)
	large.Add(70000)
	for p, bits := range sets.Parts("tag:a", large) {
		x.Load(p, bits)
	}
	for p, bits := range sets.Parts("tag:b", sets.New(4, 70000)) {
		x.Load(p, bits)
	}
	x.Loaded()
	if upto, parts := x.BeginFold(); upto != 3 || len(parts) != 0 {
		t.Fatalf("after loading %v changed, at %d", parts, upto)
	}
	a0, a1, b := sets.Part{Set: "tag:a"}, sets.Part{Set: "tag:a", Slab: 1}, sets.Part{Set: "tag:b", Whole: true}
	fold := func(upto herald.Pos, want map[sets.Part]*sets.Set) {
		t.Helper()
		got, parts := x.BeginFold()
		at, bits := x.Bits(parts)
		if got != upto || at != upto || len(parts) != len(want) {
			t.Fatalf("%v at %d and %d, want %d parts at %d", parts, got, at, len(want), upto)
		}
		for i, p := range parts {
			if w, ok := want[p]; !ok || !sets.Equal(bits[i], w) {
				t.Errorf("%v has %d members, want %d", p, bits[i].Len(), w.Len())
			}
			bits[i].Add(99999) // a copy
		}
	}
	x.Apply(4, 10, []sets.Change{{Set: "tag:a", Ords: sets.New(2000)}, {Set: "tag:b", Remove: true, Ords: sets.New(70000)}})
	fold(4, map[sets.Part]*sets.Set{a0: sets.Range(2001), b: sets.New(4)})
	fold(4, nil)
	x.Mark([]sets.Part{b})
	fold(4, map[sets.Part]*sets.Set{b: sets.New(4)})

	x.Apply(5, 10, []sets.Change{{Set: "tag:a", Remove: true, Ords: sets.Range(1995)}})
	fold(5, map[sets.Part]*sets.Set{a0: nil, a1: nil, {Set: "tag:a", Whole: true}: sets.New(1995, 1996, 1997, 1998, 1999, 2000, 70000)})
	x.Apply(6, 10, []sets.Change{{Set: "tag:a", Ords: sets.Range(2000)}})
	all := sets.Range(2001)
	fold(6, map[sets.Part]*sets.Set{a0: all, a1: sets.New(70000), {Set: "tag:a", Whole: true}: nil})
	x.Apply(7, 10, []sets.Change{{Set: "tag:b", Remove: true, Ords: sets.New(4)}})
	fold(7, map[sets.Part]*sets.Set{b: nil})
}

// TestLoadOtherForms: small sets that were stored slab by slab get the form of
// today, and so does what a crash has left in both forms.
func TestLoadOtherForms(t *testing.T) {
	x := sets.NewIndex(0, 10)
	x.Load(sets.Part{Set: "small"}, sets.New(1))
	x.Load(sets.Part{Set: "small", Slab: 1}, sets.New(70000))
	x.Load(sets.Part{Set: "both", Whole: true}, sets.New(1))
	x.Load(sets.Part{Set: "both"}, sets.New(2))
	x.Load(sets.Part{Set: "other"}, sets.New(2))
	x.Load(sets.Part{Set: "other", Whole: true}, sets.New(1))
	x.Load(sets.Part{Set: "nobody", Whole: true}, sets.New())
	x.Loaded()
	want := map[sets.Part]*sets.Set{
		{Set: "small"}: nil, {Set: "small", Slab: 1}: nil, {Set: "small", Whole: true}: sets.New(1, 70000),
		{Set: "both"}: nil, {Set: "both", Whole: true}: sets.New(1, 2),
		{Set: "other"}: nil, {Set: "other", Whole: true}: sets.New(1, 2),
	}
	_, parts := x.BeginFold()
	_, bits := x.Bits(parts)
	if len(parts) != len(want) {
		t.Errorf("%v are to be written, want %d parts", parts, len(want))
	}
	for i, p := range parts {
		if w, ok := want[p]; !ok || !sets.Equal(w, bits[i]) {
			t.Errorf("%v has %v, want %v", p, bits[i].Ordinals(), w.Ordinals())
		}
	}
	x.View(func(v sets.View) {
		if got := v.NamesOf(1, ""); !slices.Equal(got, []string{"both", "other", "small"}) {
			t.Errorf("1 is in %v", got)
		}
	})
}

func TestNamesAfter(t *testing.T) {
	x := sets.NewIndex(0, 10)
	var want []string
	for i := range 40_000 { // more than are looked at in one go
		name := fmt.Sprintf("tag:%05d", i*7919%40_000)
		want = append(want, name)
		x.Apply(herald.Pos(i+1), 10, []sets.Change{{Set: name, Ords: sets.New(herald.Ordinal(i))}, {Set: fmt.Sprintf("x%d", i%7), Ords: sets.New(1)}})
	}
	slices.Sort(want)
	for _, tt := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"tag:", "", 50, want[:50]},
		{"tag:", "tag:00049", 3, want[50:53]},
		{"tag:0001", "", 100, want[10:20]},
		{"tag:0001", "tag:00018", 100, want[19:20]},
		{"tag:", "tag:39999", 5, nil},
		{"nothing", "", 5, nil},
		{"x", "", 2, []string{"x0", "x1"}},
	} {
		if got := x.NamesAfter(tt.prefix, tt.after, tt.limit); !slices.Equal(got, tt.want) {
			t.Errorf("%d of %q after %q: %v, want %v", tt.limit, tt.prefix, tt.after, got, tt.want)
		}
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
	large := sets.Range(5000)
	x.Apply(2, 10, []sets.Change{{Set: "b", Ords: large}})
	ords.Add(2)
	large.Add(6000)
	x.View(func(v sets.View) {
		if v.Set("a").Len() != 1 || v.Set("b").Len() != 5000 {
			t.Error("the caller's set is the index's set")
		}
	})
	x.Apply(3, 10, []sets.Change{{Set: "b", Ords: sets.New(7000)}})
	if large.Len() != 5001 {
		t.Error("a change went to the caller's set")
	}
}

// TestIndexConcurrently: a reader sees all changes of a position or none.
func TestIndexConcurrently(t *testing.T) {
	x := sets.NewIndex(0, 0)
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for i := range herald.Ordinal(3000) {
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
				s := x.Snapshot([]string{"a", "b"})
				if n := uint64(s.Set("a").Len()); n != s.Next || n != uint64(s.Pos) || !sets.Equal(s.Set("a"), s.Set("b").Clone()) {
					panic(fmt.Sprintf("a has %d, there were %d devices at %d", n, s.Next, s.Pos))
				}
				_, parts := x.BeginFold()
				x.Bits(parts)
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
