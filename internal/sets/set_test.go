package sets_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// ordinal draws one of few slabs and offsets, so that operations meet.
func ordinal() *rapid.Generator[herald.Ordinal] {
	return rapid.Custom(func(t *rapid.T) herald.Ordinal {
		slab := rapid.SampledFrom([]uint32{0, 1, 2, 0xfffe, 0xffff}).Draw(t, "slab")
		low := rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, 0xfffe, 0xffff}), rapid.Uint32Range(0, 20)).Draw(t, "low")
		return herald.Ordinal(slab<<16 | low)
	})
}

func build(list []herald.Ordinal) (*sets.Set, map[uint32]bool) {
	m := map[uint32]bool{}
	for _, o := range list {
		m[uint32(o)] = true
	}
	return sets.New(list...), m
}

func members(m map[uint32]bool) []herald.Ordinal {
	out := make([]herald.Ordinal, 0, len(m))
	for o, in := range m {
		if in {
			out = append(out, herald.Ordinal(o))
		}
	}
	slices.Sort(out)
	return out
}

// TestOperations holds every operation to the same one on map[uint32]bool.
func TestOperations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(ordinal(), 0, 40)
		s, ms := build(list.Draw(t, "s"))
		u, mu := build(list.Draw(t, "t"))
		if rapid.Bool().Draw(t, "optimized") {
			s.Optimize()
		}
		same := func(what string, got *sets.Set, in func(a, b bool) bool) {
			want := map[uint32]bool{}
			for _, m := range []map[uint32]bool{ms, mu} {
				for o := range m {
					want[o] = in(ms[o], mu[o])
				}
			}
			if w := members(want); !slices.Equal(got.Ordinals(), w) || got.Len() != int64(len(w)) || got.Empty() != (len(w) == 0) {
				t.Fatalf("%s: %v (%d), want %v", what, got.Ordinals(), got.Len(), w)
			}
		}
		or := func(a, b bool) bool { return a || b }
		and := func(a, b bool) bool { return a && b }
		minus := func(a, b bool) bool { return a && !b }
		first := func(a, _ bool) bool { return a }
		second := func(_, b bool) bool { return b }

		same("union", sets.Union(s, u), or)
		same("intersect", sets.Intersect(s, u), and)
		same("minus", sets.Minus(s, u), minus)
		if got, want := sets.Common(s, u), sets.Intersect(s, u).Len(); got != want {
			t.Fatalf("common %d, want %d", got, want)
		}
		for what, op := range map[string]struct {
			do func(*sets.Set)
			in func(a, b bool) bool
		}{
			"or":      {func(c *sets.Set) { c.Or(u) }, or},
			"and":     {func(c *sets.Set) { c.And(u) }, and},
			"and not": {func(c *sets.Set) { c.AndNot(u) }, minus},
		} {
			c := s.Clone()
			op.do(c)
			same(what, c, op.in)
			c.Add(77)
			c.Remove(0)
		}
		same("the left side afterwards", s, first)
		same("the right side afterwards", u, second)
		if got, want := sets.Equal(s, u), slices.Equal(members(ms), members(mu)); got != want {
			t.Fatalf("equal is %v, want %v", got, want)
		}
		o := ordinal().Draw(t, "o")
		if s.Contains(o) != ms[uint32(o)] || s.Remove(o) != ms[uint32(o)] || s.Contains(o) || !s.Add(o) || s.Add(o) || !s.Contains(o) {
			t.Fatalf("contains, remove and add of %d disagree", o)
		}
	})
}

// TestUnionAll: the union of many is that of each with the next, and leaves them
// as they were. The sets have parts of every kind, and some are those of an
// index, whose containers are shared.
func TestUnionAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list, before []*sets.Set
		want := sets.New()
		for i := range rapid.IntRange(0, 6).Draw(t, "sets") {
			s := sets.New()
			for range rapid.IntRange(0, 4).Draw(t, "parts") {
				first := herald.Ordinal(rapid.IntRange(0, 3).Draw(t, "slab"))<<16 + herald.Ordinal(rapid.IntRange(0, 40_000).Draw(t, "first"))
				step := herald.Ordinal(rapid.SampledFrom([]int{1, 2, 3, 1000}).Draw(t, "step"))
				for n := range herald.Ordinal(rapid.SampledFrom([]int{1, 10, 5000, 20_000}).Draw(t, "n")) {
					if o := first + n*step; sets.SlabOf(o) == sets.SlabOf(first) {
						s.Add(o)
					}
				}
			}
			if rapid.Bool().Draw(t, "packed") {
				s.Optimize()
			}
			if i%2 == 1 {
				x := sets.NewIndex(0, 1<<20)
				x.Apply(1, 1<<20, []sets.Change{{Set: "s", Ords: s}})
				if s = x.Snapshot([]string{"s"}).Set("s"); s == nil {
					s = sets.New()
				}
			}
			list, before = append(list, s), append(before, s.Clone())
			want.Or(s)
		}
		got := sets.UnionAll(list...)
		if !sets.Equal(got, want) || got.Len() != want.Len() {
			t.Fatalf("the union has %d members, want %d", got.Len(), want.Len())
		}
		got.AndNot(sets.Range(1 << 19)) // it is a set of its own
		for i, s := range list {
			if !sets.Equal(s, before[i]) || s.Len() != before[i].Len() {
				t.Fatalf("set %d has changed", i)
			}
		}
	})
}

// TestSlabs: the parts are disjoint, lie in their slabs, and make the set.
func TestSlabs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := build(rapid.SliceOfN(ordinal(), 0, 40).Draw(t, "s"))
		sum, n, last := sets.New(), int64(0), -1
		for slab, part := range s.Slabs() {
			if int(slab) <= last || part.Empty() {
				t.Fatalf("slab %d after %d, with %d members", slab, last, part.Len())
			}
			last = int(slab)
			for o := range part.All() {
				if sets.SlabOf(o) != slab {
					t.Fatalf("ordinal %d is in slab %d", o, slab)
				}
			}
			if !sets.Equal(part, s.Slab(slab)) {
				t.Fatalf("slab %d differs from the one asked for", slab)
			}
			n += part.Len()
			sum.Or(part)
			part.Add(5) // it is a set of its own
		}
		if !sets.Equal(sum, s) && !sets.Equal(sum, sets.Union(s, sum)) || n != s.Len() {
			t.Fatalf("the parts have %d members, the set has %d", n, s.Len())
		}
	})
}

func TestWalksStop(t *testing.T) {
	s := sets.New(1, 2, 1<<16, 1<<17)
	n := 0
	for range s.All() {
		n++
		break
	}
	for range s.Slabs() {
		n++
		break
	}
	if n != 2 {
		t.Errorf("%d steps, want 2", n)
	}
}

// TestNilIsEmpty: nil and the zero value read as the empty set.
func TestNilIsEmpty(t *testing.T) {
	for name, s := range map[string]*sets.Set{"nil": nil, "zero": {}, "new": sets.New()} {
		t.Run(name, func(t *testing.T) {
			other := sets.New(1, 2)
			if s.Len() != 0 || !s.Empty() || s.Contains(0) || len(s.Ordinals()) != 0 || !s.Slab(0).Empty() || !sets.Equal(s, sets.New()) {
				t.Error("it is not empty")
			}
			if !sets.Equal(sets.Union(s, other), other) || !sets.Intersect(other, s).Empty() || !sets.Equal(sets.Minus(other, s), other) || sets.Common(s, other) != 0 {
				t.Error("it is not neutral")
			}
			for range s.Slabs() {
				t.Error("it has a slab")
			}
			c := s.Clone()
			c.Add(9)
			if c.Len() != 1 || !s.Empty() {
				t.Error("its clone is not its own")
			}
			b, err := s.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.UnmarshalBinary(b); err != nil || !c.Empty() {
				t.Errorf("written and read again it has %d members: %v", c.Len(), err)
			}
		})
	}
}

func TestRange(t *testing.T) {
	for _, end := range []uint64{0, 1, sets.SlabSize - 1, sets.SlabSize, sets.SlabSize + 1, 1 << 20, 1 << 32} {
		s := sets.Range(end)
		if s.Len() != int64(end) || end > 0 && (!s.Contains(0) || !s.Contains(herald.Ordinal(end-1))) || end < 1<<32 && s.Contains(herald.Ordinal(end)) {
			t.Errorf("Range(%d) has %d members", end, s.Len())
		}
	}
}

func TestBinary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := build(rapid.SliceOfN(ordinal(), 0, 40).Draw(t, "s"))
		s.Or(sets.Range(rapid.SampledFrom([]uint64{0, 5000, 1 << 17}).Draw(t, "range")))
		if rapid.Bool().Draw(t, "optimized") {
			s.Optimize()
		}
		b, err := s.AppendBinary([]byte("before"))
		if err != nil || !bytes.HasPrefix(b, []byte("before")) {
			t.Fatalf("appended to %.10q: %v", b, err)
		}
		b = b[len("before"):]
		got := sets.New(4242)
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		clear(b) // what was read is a copy
		if !sets.Equal(got, s) {
			t.Fatal("written and read again it differs")
		}
		got.Add(1 << 30)
		got.Remove(0)
	})
}

func TestBinaryRefused(t *testing.T) {
	s := sets.Range(5000)
	s.Add(1 << 20)
	good, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if i > 300 && i%97 != 0 {
			continue
		}
		if err := sets.New().UnmarshalBinary(good[:i]); err == nil {
			t.Errorf("%d of %d bytes are a set", i, len(good))
		}
	}
	if err := sets.New().UnmarshalBinary(append(slices.Clone(good), 0)); err == nil {
		t.Error("a byte behind the set is not noticed")
	}
	keep := sets.New(7)
	if err := keep.UnmarshalBinary([]byte("nonsense")); err == nil || !keep.Contains(7) || keep.Len() != 1 {
		t.Errorf("after nonsense (%v) the set has %d members", err, keep.Len())
	}
}

// TestBinaryAsksForNoMemory: headers that promise much give an error at once.
func TestBinaryAsksForNoMemory(t *testing.T) {
	head := func(cookie, size uint32) []byte {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, cookie), size)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range [][]byte{head(12346, math.MaxUint32), head(12346, 1<<16), head(12347|0xffff<<16, 0), head(12347, 1<<31)} {
		if err := sets.New().UnmarshalBinary(b); err == nil {
			t.Errorf("% x is a set", b)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were taken to refuse 32", n)
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	for _, s := range []*sets.Set{sets.New(), sets.New(1), sets.New(1, 1<<16, math.MaxUint32), sets.Range(5000), sets.Range(1 << 17)} {
		for range 2 {
			b, err := s.MarshalBinary()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
			s.Optimize()
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := sets.New()
		if err := s.UnmarshalBinary(b); err != nil {
			return
		}
		// What was accepted works as a set.
		n := int64(0)
		last := int64(-1)
		for o := range s.All() {
			if int64(o) <= last {
				t.Fatalf("%d after %d", o, last)
			}
			last = int64(o)
			if n++; n > 1<<17 {
				return
			}
		}
		if n != s.Len() {
			t.Fatalf("%d members are walked, %d counted", n, s.Len())
		}
		again, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		u := sets.New()
		if err := u.UnmarshalBinary(again); err != nil || !sets.Equal(s, u) {
			t.Fatalf("written and read again it differs: %v", err)
		}
		s.Or(sets.New(3, 1<<16))
		s.AndNot(u)
	})
}

// TestReadersOfALoadedSet: sets that were read from bytes may be read by
// several goroutines, each of which makes sets of its own.
func TestReadersOfALoadedSet(t *testing.T) {
	b, err := sets.Union(sets.Range(70000), sets.New(1<<20)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	s := sets.New()
	if err := s.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				own := sets.Union(s, sets.New(1<<21))
				own.Remove(herald.Ordinal(i))
				c := s.Clone()
				c.And(own)
				if c.Len() != s.Len()-1 || sets.Common(s, own) != c.Len() {
					t.Errorf("%d members, want one less than %d", c.Len(), s.Len())
				}
			}
		})
	}
	wg.Wait()
}

func TestOnly(t *testing.T) {
	for _, c := range []struct {
		name string
		s    *sets.Set
		want herald.Ordinal
		one  bool
	}{
		{"nil", nil, 0, false},
		{"empty", sets.New(), 0, false},
		{"zero", sets.New(0), 0, true},
		{"one", sets.New(1 << 31), 1 << 31, true},
		{"two", sets.New(7, 8), 7, false},
		{"a range", sets.Range(100_000), 0, false},
		{"two slabs", sets.New(7, 1<<20), 7, false},
	} {
		if o, one := c.s.Only(); one != c.one || one && o != c.want {
			t.Errorf("%s: %d, %v", c.name, o, one)
		}
		got := c.s.Ordinals()
		if int64(len(got)) != c.s.Len() || c.one && got[0] != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		first, last := c.s.Bounds()
		if len(got) == 0 {
			got = []herald.Ordinal{0}
		}
		if first != got[0] || last != got[len(got)-1] {
			t.Errorf("%s: from %d to %d", c.name, first, last)
		}
	}
}

func TestBatches(t *testing.T) {
	for _, s := range []*sets.Set{nil, sets.New(), sets.New(7), sets.New(1, 2, 3, 70_000, 1<<32-1), sets.Range(200_000)} {
		for _, room := range []int{1, 3, 512} {
			got := sets.New()
			last := int64(-1)
			for some := range s.Batches(make([]uint32, room)) {
				for _, o := range some {
					if int64(o) <= last {
						t.Fatalf("%d after %d", o, last)
					}
					last = int64(o)
				}
				got.AddMany(some)
			}
			if !sets.Equal(got, s) {
				t.Errorf("%d of %d members, %d at a time", got.Len(), s.Len(), room)
			}
		}
		for range s.Batches(make([]uint32, 2)) {
			break
		}
	}
}
