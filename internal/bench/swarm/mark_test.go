package swarm

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestMarkRoundTrip(t *testing.T) {
	for _, size := range []int{0, MinPayload, MinPayload + 1, 256, MaxPayload, MaxPayload + 1} {
		want := Mark{Kind: Unicast, Stream: 7, Seq: 1<<32 - 1, Sent: 1<<62 + 5}
		b := want.Append(nil, size)
		if n := min(max(size, MinPayload), MaxPayload); len(b) != n || !json.Valid(b) {
			t.Fatalf("%d bytes of JSON, want %d: %s", len(b), n, b)
		}
		frame := append(append([]byte(`{"data":`), b...), "} and more"...)
		got, rest, ok, err := Find(frame)
		if err != nil || !ok || got != want || string(rest) != `"} and more` {
			t.Errorf("size %d: got %+v, %q, %v, %v", size, got, rest, ok, err)
		}
	}
}

func TestMarkDamage(t *testing.T) {
	whole := Mark{Kind: Broadcast, Seq: 12, Sent: 34}.Append(nil, 100)
	for i := 1; i < len(whole)-1; i++ { // the quotes are not counted
		b := bytes.Clone(whole)
		b[i] ^= 1
		if m, _, ok, err := Find(b); ok && err == nil {
			t.Errorf("a change of byte %d is not seen: %+v", i, m)
		}
	}
	for n := 1 + len(sign); n < len(whole)-1; n++ {
		if _, _, ok, err := Find(whole[:n]); !ok || err == nil {
			t.Errorf("cut to %d bytes: %v, %v", n, ok, err)
		}
	}
	if _, _, ok, err := Find([]byte("none")); ok || err != nil {
		t.Errorf("no mark: %v, %v", ok, err)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(Mark{Kind: Broadcast, Seq: 1}.Append(nil, 64))
	f.Add([]byte(sign))
	f.Add([]byte(sign + "bffff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, rest, ok, err := Find(b); ok && err == nil && !bytes.HasSuffix(b, rest) {
			t.Errorf("%q does not end %q", rest, b)
		}
	})
}
