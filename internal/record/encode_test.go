package record_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// setsEqual compares sets by their members.
var setsEqual = cmp.Comparer(func(a, b *sets.Set) bool { return sets.Equal(a, b) })

// anySet draws a set on either side of the change from list to bitmap.
func anySet() *rapid.Generator[*sets.Set] {
	return rapid.Custom(func(t *rapid.T) *sets.Set {
		s := sets.Range(rapid.SampledFrom([]uint64{0, 0, 126, 127, 128, 129, 70000}).Draw(t, "range"))
		for _, o := range rapid.SliceOfN(rapid.Uint32(), 0, 5).Draw(t, "more") {
			s.Add(herald.Ordinal(o))
		}
		return s
	})
}

func anyEvent() *rapid.Generator[record.Event] {
	return rapid.Custom(func(t *rapid.T) record.Event {
		return record.Event{
			Msg:    herald.MessageID(rapid.Int64Min(1).Draw(t, "msg")),
			State:  herald.DeliveryState(rapid.SampledFrom([]string{"sent", "received", "told", ""}).Draw(t, "state")),
			Set:    anySet().Draw(t, "set"),
			Time:   time.UnixMilli(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "time")).UTC(),
			Via:    rapid.String().Draw(t, "via"),
			Detail: rapid.String().Draw(t, "detail"),
		}
	})
}

func TestEventsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b []byte
		var want []record.Event
		for range rapid.IntRange(0, 3).Draw(t, "batches") {
			batch := rapid.SliceOfN(anyEvent(), 0, 3).Draw(t, "batch")
			var err error
			if b, err = record.AppendEvents(b, batch); err != nil {
				t.Fatal(err)
			}
			want = append(want, batch...)
			var list record.EventList
			for i := range batch {
				if err := list.Add(&batch[i]); err != nil {
					t.Fatal(err)
				}
			}
			if one, _ := record.AppendEvents(nil, batch); !bytes.Equal(list.Append(nil), one) {
				t.Fatal("event by event they are written in another way")
			}
		}
		got, err := record.ParseEvents(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, setsEqual); d != "" {
			t.Fatal(d)
		}
	})
}

func TestChangesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []record.SetChange
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			want = append(want, record.SetChange{Set: rapid.String().Draw(t, "set"), Remove: rapid.Bool().Draw(t, "remove"), Ords: anySet().Draw(t, "ords")})
		}
		b, err := record.AppendChanges(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := record.ParseChanges(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, setsEqual); d != "" {
			t.Fatal(d)
		}
	})
}

func TestSetRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anySet().Draw(t, "set")
		b, err := record.AppendSet([]byte("x"), want)
		if err != nil || b[0] != 'x' {
			t.Fatalf("appended to %.2q: %v", b, err)
		}
		got, err := record.ParseSet(b[1:])
		if err != nil || !sets.Equal(got, want) {
			t.Fatalf("read again it differs: %v", err)
		}
	})
}

// TestSetForms: below 128 members a list is written, else a bitmap; nil is the
// empty set.
func TestSetForms(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  *sets.Set
		want []byte // how it begins
		size int    // at most
	}{
		{"nil", nil, []byte{0, 0}, 2},
		{"one", sets.New(0), []byte{0, 1, 0}, 3},
		{"two", sets.New(5, 300), []byte{0, 2, 5, 0xa7, 2}, 5},
		{"127", sets.Range(127), []byte{0, 127, 0, 1, 1}, 129},
		{"128", sets.Range(128), []byte{1}, 300},
		{"the largest ordinal", sets.New(1<<32 - 1), []byte{0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}, 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := record.AppendSet(nil, tt.set)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) > tt.size || !slices.Equal(b[:min(len(b), len(tt.want))], tt.want) {
				t.Errorf("% x (%d bytes), want it to begin with % x and to have at most %d bytes", b[:min(len(b), 16)], len(b), tt.want, tt.size)
			}
		})
	}
}

// TestListIsSmaller holds the figures in the comment on the forms of a set.
func TestListIsSmaller(t *testing.T) {
	s := sets.New()
	for i := range herald.Ordinal(10) {
		s.Add((i + 1) * 999_999)
	}
	list, err1 := record.AppendSet(nil, s)
	bitmap, err2 := s.MarshalBinary()
	if err1 != nil || err2 != nil || len(list) != 32 || len(bitmap) != 108 {
		t.Errorf("%d bytes as a list and %d as a bitmap: %v, %v", len(list), len(bitmap), err1, err2)
	}
}

// TestEncodingsStay holds the bytes to what a database holds today.
func TestEncodingsStay(t *testing.T) {
	events, err := record.AppendEvents(nil, []record.Event{{Msg: 300, State: "sent", Set: sets.New(1, 3), Time: time.UnixMilli(2), Via: "sse", Detail: "d"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x01\x01\xac\x02\x04sent\x04\x03sse\x01d\x00\x02\x01\x02"; string(events) != want {
		t.Errorf("events are %q, want %q", events, want)
	}
	changes, err := record.AppendChanges(nil, []record.SetChange{{Set: "tag:a", Ords: sets.New(1)}, {Set: "dead", Remove: true, Ords: sets.New(2)}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x01\x02\x05tag:a\x00\x00\x01\x01\x04dead\x01\x00\x01\x02"; string(changes) != want {
		t.Errorf("changes are %q, want %q", changes, want)
	}
}

// TestEncodingsRefused damages encodings in each place.
func TestEncodingsRefused(t *testing.T) {
	parse := map[string]func([]byte) error{
		"events":  func(b []byte) error { _, err := record.ParseEvents(b); return err },
		"changes": func(b []byte) error { _, err := record.ParseChanges(b); return err },
		"set":     func(b []byte) error { _, err := record.ParseSet(b); return err },
	}
	tests := []struct{ name, of, in string }{
		{"another version", "events", "\x02\x00"},
		{"version 0", "events", "\x00"},
		{"no count", "events", "\x01"},
		{"fewer events than counted", "events", "\x01\x01"},
		{"count past the end", "events", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"count past 64 bits", "events", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"string past the end", "events", "\x01\x01\x01\x09sent"},
		{"unknown kind of set", "events", "\x01\x01\x01\x04sent\x02\x00\x00\x07\x00"},
		{"garbage behind a batch", "events", "\x01\x00\x09"},
		{"nothing", "changes", ""},
		{"another version", "changes", "\x02\x00"},
		{"behind the changes", "changes", "\x01\x00\x00"},
		{"no flag", "changes", "\x01\x01\x01a"},
		{"flag 2", "changes", "\x01\x01\x01a\x02\x00\x00"},
		{"nothing", "set", ""},
		{"kind only", "set", "\x00"},
		{"unknown kind", "set", "\x02\x00"},
		{"behind the set", "set", "\x00\x00\x00"},
		{"fewer members than counted", "set", "\x00\x02\x01"},
		{"past 2^32", "set", "\x00\x01\x80\x80\x80\x80\x10"},
		{"two steps past 2^32", "set", "\x00\x02\xff\xff\xff\xff\x0f\x01"},
		{"round 2^64", "set", "\x00\x02\x05\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		{"no bitmap", "set", "\x01\x00"},
		{"broken bitmap", "set", "\x01\x04abcd"},
		{"bitmap past the end", "set", "\x01\x05abcd"},
	}
	for _, tt := range tests {
		t.Run(tt.of+" "+tt.name, func(t *testing.T) {
			if err := parse[tt.of]([]byte(tt.in)); err == nil {
				t.Errorf("%q is read", tt.in)
			}
		})
	}
}

// TestEncodingsCutShort: no part of an encoding is an encoding, but where one
// batch of events ends.
func TestEncodingsCutShort(t *testing.T) {
	events := []record.Event{
		{Msg: 1 << 60, State: "sent", Set: sets.New(1, 1<<20), Time: time.UnixMilli(1_763_718_000_000), Via: "websocket", Detail: "x"},
		{Msg: 2, State: "received", Set: sets.Range(130), Time: time.UnixMilli(0)},
	}
	b, err := record.AppendEvents(nil, events)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(b); i++ {
		if _, err := record.ParseEvents(b[:i]); err == nil {
			t.Errorf("%d of %d bytes of events are read", i, len(b))
		}
	}
	c, err := record.AppendChanges(nil, []record.SetChange{{Set: "tag:a", Ords: sets.New(1, 2)}, {Set: "tag:b", Remove: true, Ords: sets.Range(130)}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range c {
		if _, err := record.ParseChanges(c[:i]); err == nil {
			t.Errorf("%d of %d bytes of changes are read", i, len(c))
		}
	}
}

// TestEncodingsAskForNoMemory: counts that promise much give an error at once.
func TestEncodingsAskForNoMemory(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<62)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range [][]byte{
		append([]byte{1}, huge...), slices.Concat([]byte{1, 1, 1}, huge), slices.Concat([]byte{0}, huge), slices.Concat([]byte{1}, huge),
	} {
		_, e1 := record.ParseEvents(b)
		_, e2 := record.ParseChanges(b)
		_, e3 := record.ParseSet(b)
		if e1 == nil || e2 == nil || e3 == nil {
			t.Errorf("% x is read: %v, %v, %v", b, e1, e2, e3)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were taken to refuse a few", n)
	}
}

func seeds(f *testing.F) {
	list := []*sets.Set{nil, sets.New(0, 7, 1<<32-1), sets.Range(127), sets.Range(128), sets.Range(1 << 17)}
	for _, s := range list {
		e, err1 := record.AppendEvents(nil, []record.Event{{Msg: 5, State: "sent", Set: s, Time: time.UnixMilli(1), Via: "sse"}})
		c, err2 := record.AppendChanges(nil, []record.SetChange{{Set: "tag:a", Ords: s}, {Set: "dead", Remove: true, Ords: s}})
		b, err3 := record.AppendSet(nil, s)
		if err1 != nil || err2 != nil || err3 != nil {
			f.Fatal(err1, err2, err3)
		}
		f.Add(e)
		f.Add(c)
		f.Add(b)
	}
	f.Add([]byte("\x00\x02\x05\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
}

func FuzzParseEvents(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := record.ParseEvents(b)
		if err != nil {
			return
		}
		again, err := record.AppendEvents(nil, list)
		if err != nil {
			t.Fatal(err)
		}
		got, err := record.ParseEvents(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(list, got, setsEqual); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzParseChanges(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := record.ParseChanges(b)
		if err != nil {
			return
		}
		again, err := record.AppendChanges(nil, list)
		if err != nil {
			t.Fatal(err)
		}
		got, err := record.ParseChanges(again)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(list, got, setsEqual); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzParseSet(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := record.ParseSet(b)
		if err != nil {
			return
		}
		again, err := record.AppendSet(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := record.ParseSet(again); err != nil || !sets.Equal(got, s) {
			t.Fatalf("written and read again it differs: %v", err)
		}
	})
}

// SetHas answers what the set would.
func FuzzSetHas(f *testing.F) {
	for _, s := range []*sets.Set{sets.New(), sets.New(7), sets.New(1, 70_000, 1<<32-1), sets.Range(70_000), sets.Minus(sets.Range(5000), sets.New(3, 4000))} {
		b, err := record.AppendSet(nil, s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint32(7))
		f.Add(b[:len(b)/2], uint32(1))
		f.Add(append(b, 0), uint32(4000))
	}
	f.Fuzz(func(t *testing.T, b []byte, o uint32) {
		has, err := record.SetHas(b, herald.Ordinal(o))
		s, full := record.ParseSet(b)
		switch {
		case full == nil && (err != nil || has != s.Contains(herald.Ordinal(o))):
			t.Errorf("%t, %v; the set has it: %t", has, err, s.Contains(herald.Ordinal(o)))
		case err != nil && has:
			t.Error("there is an answer with an error")
		}
	})
}
