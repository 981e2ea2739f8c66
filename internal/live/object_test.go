package live

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzObject compares the members that are found with those of encoding/json.
func FuzzObject(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { } `, `{"a":1}`, "{\"a\" :\t-1.5e3 ,\r\n\"b\":\"\\\"}\" }", `{"a":{"b":[{},"]"]},"c":[],"d":null,"e":true}`,
		`{"\u0061":1,"a":2}`, `{"a":1}x`, `[1]`, `1`, `"{}"`, `{"a":"\\"}`, `{"":""}`, `{"a":[1,2],"b":{"c":3}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !utf8.Valid(b) {
			return // ParseClientFrame refuses it before
		}
		got, err := object(b)
		var want map[string]json.RawMessage
		theirs := json.Unmarshal(b, &want)
		if err != nil {
			return // refused; that may be for a name that comes twice
		}
		if theirs != nil || want == nil || len(got) != len(want) {
			t.Fatalf("%q: %d members, encoding/json has %d and %v", b, len(got), len(want), theirs)
		}
		for name, v := range want {
			if string(got[name]) != string(v) {
				t.Fatalf("%q: member %q is %q, encoding/json has %q", b, name, got[name], v)
			}
		}
	})
}
