package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// stripsOf reads the strips of one device.
func (f *fixture) stripsOf(o herald.Ordinal) map[uint64]uint64 {
	f.t.Helper()
	out := map[uint64]uint64{}
	f.must(f.StripsOf(f.ctx, appA, o, func(n, messages uint64) {
		if _, twice := out[n]; twice {
			f.t.Errorf("strip %d is given twice", n)
		}
		out[n] = messages
	}))
	return out
}

func (f *fixture) wantStrips(when string, want map[herald.Ordinal]map[uint64]uint64) {
	f.t.Helper()
	for o, words := range want {
		if got := f.stripsOf(o); !maps.Equal(got, words) {
			f.t.Errorf("%s: the strips of device %d are %b, want %b", when, o, got, words)
		}
	}
}

// strips has the same word for each of some devices, and every strip of a slab.
func strips(word uint64, ords ...herald.Ordinal) (out [record.StripsInSlab]*sets.Set) {
	for i := range out {
		out[i] = sets.New()
	}
	for _, o := range ords {
		for i := range record.BundleSize {
			if word&(1<<i) != 0 {
				out[record.BlockOf(o)%record.StripsInSlab].Add(record.StripBit(o, i))
			}
		}
	}
	return out
}

// shortLived is a context that ends after it was asked some times.
type shortLived struct {
	context.Context
	left int
}

func (c *shortLived) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// testStripsCutShort: of a bundle of which not all is written, or not all is gone,
// the record knows.
func testStripsCutShort(t *testing.T, f *fixture) {
	b := record.Bundle{Slab: 3, N: 7, Msgs: []herald.MessageID{1, 2}}
	list := strips(3, 3<<16, 3<<16+5000)
	want := func(when string, want ...record.Bundle) {
		t.Helper()
		f.restart()
		got, err := f.Bundles(f.ctx, appA)
		f.must(err)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the bundles are %v, want %v", when, got, want)
		}
	}
	short := func(times int) context.Context { return &shortLived{context.WithoutCancel(f.ctx), times} }
	if err := f.PutBundle(short(2), appA, b, list); !errors.Is(err, context.Canceled) {
		t.Errorf("it is written: %v", err)
	}
	want("written in part", record.Bundle{Slab: 3, N: 7, Msgs: []herald.MessageID{}})
	f.must(f.PutBundle(f.ctx, appA, b, list))
	want("written", b)
	b.Stale = 1
	f.must(f.ChangeStrips(f.ctx, appA, []record.Bundle{b}, nil))
	if err := f.PutBundle(short(2), appA, b, list); !errors.Is(err, context.Canceled) {
		t.Errorf("it is written anew: %v", err)
	}
	want("written anew in part", b)
	if err := f.DropBundle(short(2), appA, b.Slab, b.N); !errors.Is(err, context.Canceled) {
		t.Errorf("it is gone: %v", err)
	}
	want("gone in part", b)
	f.must(f.DropBundle(f.ctx, appA, b.Slab, b.N))
	want("gone")
	if got := f.stripsOf(3 << 16); len(got) > 0 {
		t.Errorf("strips are left: %v", got)
	}
}

func testStrips(t *testing.T, f *fixture) {
	const all = ^uint64(0)
	type words = map[uint64]uint64
	a := record.Bundle{Slab: 1, N: 1, Msgs: []herald.MessageID{3, 5, 1 << 62}, Stale: 1<<63 | 2}
	b := record.Bundle{Slab: 1, N: 2, Msgs: []herald.MessageID{7}}
	c := record.Bundle{Slab: 65_535, N: 3, Msgs: []herald.MessageID{7}}
	var many []herald.Ordinal // of one strip, so that it is no list
	for o := range herald.Ordinal(record.StripSize) {
		many = append(many, 1<<16+5*record.StripSize+o)
	}
	f.must(f.PutBundle(f.ctx, appA, b, strips(1, 1<<16, 1<<17-1)))
	f.must(f.PutBundle(f.ctx, appA, a, strips(all, append(many, 1<<16)...)))
	f.must(f.PutBundle(f.ctx, appA, c, strips(all, 1<<32-1)))
	want := map[herald.Ordinal]map[uint64]uint64{
		0: {}, 1 << 16: {1: all, 2: 1}, 1<<16 + 1: {1: 0, 2: 0}, 1<<17 - 1: {1: 0, 2: 1}, 1 << 17: {}, many[7]: {1: all, 2: 0}, 1<<32 - 1: {3: all},
	}
	for _, when := range []string{"written", "after a restart"} {
		bundles, err := f.Bundles(f.ctx, appA)
		f.must(err)
		if fmt.Sprint(bundles) != fmt.Sprint([]record.Bundle{a, b, c}) {
			t.Errorf("%s: the bundles are %v", when, bundles)
		}
		f.wantStrips(when, want)
		f.restart()
	}
	if list, err := f.Bundles(f.ctx, appB); err != nil || len(list) > 0 {
		t.Errorf("another app has bundles: %v, %v", list, err)
	}

	// What goes is gone; what is not there is nobody's concern.
	a.Stale = 7
	f.must(f.ChangeStrips(f.ctx, appA, []record.Bundle{a}, []record.Strip{
		{N: 1, Block: record.BlockOf(many[7]), Bits: sets.New(record.StripBit(many[7], 0), record.StripBit(many[7], 63), record.StripBit(many[8], 1))},
		{N: 2, Block: record.BlockOf(1 << 16), Bits: sets.New(record.StripBit(1<<16, 0), record.StripBit(1<<16, 1))},
		{N: 9, Block: record.BlockOf(1 << 16), Bits: sets.New(1)},
	}))
	f.restart()
	want[many[7]], want[many[8]], want[1<<16] = words{1: all >> 1 &^ 1, 2: 0}, words{1: all &^ 2, 2: 0}, words{1: all, 2: 0}
	f.wantStrips("changed", want)
	f.must(f.ChangeStrips(f.ctx, appA, nil, nil))

	// Anew, and gone.
	a.Stale = 0
	f.must(f.PutBundle(f.ctx, appA, a, strips(5, many[7])))
	f.must(f.DropBundle(f.ctx, appA, 1, 2))
	f.must(f.DropBundle(f.ctx, appA, 1, 2))
	f.restart()
	want[1<<16], want[1<<16+1], want[1<<17-1], want[many[7]], want[many[8]] = words{1: 0}, words{1: 0}, words{1: 0}, words{1: 5}, words{1: 0}
	f.wantStrips("anew", want)
	bundles, err := f.Bundles(f.ctx, appA)
	f.must(err)
	if fmt.Sprint(bundles) != fmt.Sprint([]record.Bundle{a, c}) {
		t.Errorf("anew: the bundles are %v", bundles)
	}

	_, err = f.Bundles(f.ctx, none)
	for _, err := range []error{err, f.PutBundle(f.ctx, none, b, strips(0)), f.DropBundle(f.ctx, none, 1, 1),
		f.StripsOf(f.ctx, none, 1, nil), f.ChangeStrips(f.ctx, none, nil, nil)} {
		refused(t, err, herald.CodeNotFound)
	}
}
