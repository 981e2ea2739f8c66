package packet

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// appender is what all packets have in common.
type appender interface {
	AppendTo(b []byte, v Version) []byte
}

// fuzz checks for one version that what parses is written again as a packet
// that parses to the same.
func fuzz(f *testing.F, v Version) {
	for _, c := range goldens {
		if c.v == v {
			f.Add(c.bytes())
		}
	}
	for _, c := range refusals {
		f.Add(c.bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, n, err := Split(b, 1<<16)
		if err != nil || n == 0 {
			if (n != 0) || !reflect.DeepEqual(raw, Raw{}) {
				t.Fatalf("Split gave %v, %d beside the error %v", raw, n, err)
			}
			return
		}
		v := v
		p, err := Parse(v, raw)
		if err != nil {
			if e, ok := err.(*Error); !ok || e == nil || !e.Code.Failed() || p != nil { //nolint:errorlint // the contract is this very type
				t.Fatalf("Parse gave %v and %#v", p, err)
			}
			return
		}
		if c, ok := p.(*Connect); ok {
			v = c.Version
		}
		again := p.(appender).AppendTo([]byte("x"), v)[1:]
		raw, m, err := Split(again, 1<<17)
		if err != nil || m != len(again) {
			t.Fatalf("%x was written as %x, of which Split took %d: %v", b[:n], again, m, err)
		}
		q, err := Parse(v, raw)
		if err != nil {
			t.Fatalf("%x was written as %x, which is refused: %v", b[:n], again, err)
		}
		if d := cmp.Diff(p, q); d != "" {
			t.Fatalf("%x was written as %x, which is something else: %s", b[:n], again, d)
		}
		if third := q.(appender).AppendTo(nil, v); !bytes.Equal(third, again) {
			t.Fatalf("written twice: %x and %x", again, third)
		}
	})
}

func FuzzV31(f *testing.F)  { fuzz(f, V31) }
func FuzzV311(f *testing.F) { fuzz(f, V311) }
func FuzzV5(f *testing.F)   { fuzz(f, V5) }

// FuzzTopic checks that a shared filter is valid if its parts are, and that no
// name is valid that is no filter.
func FuzzTopic(f *testing.F) {
	for _, s := range []string{"", "a", "a/b", "/", "+", "#", "a/#", "a#", "$share/g/a/+", "$share//a", "$share/g", "a\x00", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if ValidTopicName(s) && !ValidFilter(s) {
			if _, _, ok := SplitShare(s); ok || len(s) < len(sharePrefix) || s[:len(sharePrefix)] != sharePrefix {
				t.Fatalf("%q is a name and no filter", s)
			}
		}
		group, inner, ok := SplitShare(s)
		if ok && (s != sharePrefix+group+"/"+inner || group == "" || inner == "") {
			t.Fatalf("%q was split into %q and %q", s, group, inner)
		}
		if ok && ValidFilter(s) && !validLevels(inner) {
			t.Fatalf("%q is valid and %q is not", s, inner)
		}
	})
}
