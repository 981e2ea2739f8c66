package record

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// The word of a device is that of the set, however the set is written.
func TestSetWord(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, n := range map[string]int{"empty": 0, "a list": 100, "a bitmap": 20_000} {
		t.Run(name, func(t *testing.T) {
			s := sets.New()
			want := map[herald.Ordinal]uint64{}
			for range n {
				o, i := herald.Ordinal(3*StripSize+r.IntN(StripSize)), r.IntN(BundleSize)
				s.Add(StripBit(o, i))
				want[o] |= 1 << i
			}
			b, err := AppendSet(nil, s)
			if err != nil {
				t.Fatal(err)
			}
			for o := herald.Ordinal(3 * StripSize); o < 4*StripSize; o++ {
				if got, err := SetWord(b, o); err != nil || got != want[o] {
					t.Fatalf("device %d: %b, %v, want %b", o, got, err, want[o])
				}
			}
			for _, bad := range [][]byte{nil, {9}, append(slices.Clone(b), 0), b[:len(b)-1]} {
				if w, err := SetWord(bad, 3*StripSize); err == nil {
					t.Errorf("%d bytes that are no set gave %b", len(bad), w)
				}
			}
		})
	}
}

func TestStripPlaces(t *testing.T) {
	for _, c := range []struct {
		o     herald.Ordinal
		block uint64
		bit   herald.Ordinal // of the last message
	}{
		{0, 0, 63}, {1023, 0, 65_535}, {1024, 1, 63}, {65_536, 64, 63}, {1<<32 - 1, 1<<22 - 1, 65_535},
	} {
		if block, bit := BlockOf(c.o), StripBit(c.o, BundleSize-1); block != c.block || bit != c.bit {
			t.Errorf("device %d is in strip %d, bit %d; want %d, %d", c.o, block, bit, c.block, c.bit)
		}
	}
}

// What ParseBundle takes is written as it was read.
func FuzzParseBundle(f *testing.F) {
	f.Add(AppendBundle(nil, Bundle{Stale: 3, Msgs: []herald.MessageID{1, 2, 1 << 62}}))
	f.Add(AppendBundle(nil, Bundle{}))
	f.Add(AppendBundle(nil, Bundle{Msgs: []herald.MessageID{2, 1}}))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		of, err := ParseBundle(b)
		if err != nil {
			if !reflect.DeepEqual(of, Bundle{}) {
				t.Errorf("an error, and %v", of)
			}
			return
		}
		if len(of.Msgs) > BundleSize {
			t.Errorf("%d messages", len(of.Msgs))
		}
		if again := AppendBundle(nil, of); !slices.Equal(again, b) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}
