package api

import (
	"cmp"
	"encoding/json"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

// The numbers of registration IDs have the order of their text.
func TestOrderOfIDs(t *testing.T) {
	list := []herald.RegistrationID{
		"00000000000000000000", "00000000000000000001", "0000000000v000000000", "00000000010000000000", "09vvvvvvvvvvvvvvvvvv",
		"0a000000000000000000", "0123456789abcdefghij", "uvvvvvvvvvvvvvvvvvvv", "v0000000000000000000", "vvvvvvvvvvvvvvvvvvvv",
	}
	for _, x := range list {
		for _, y := range list {
			a, b := orderOf(x), orderOf(y)
			if got, want := cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])), cmp.Compare(x, y); got != want {
				t.Errorf("%s and %s compare as %d, want %d", x, y, got, want)
			}
		}
	}
}

// FuzzPlainName: a name that is taken as it stands is what decoding gives, and
// is valid.
func FuzzPlainName(f *testing.F) {
	for _, s := range []string{`"anna"`, `""`, `"`, `"a\"b"`, `"\u0061"`, `"é"`, "\"a\tb\"", "\"\x7f\"", `null`, `7`, `"a"b"`, `"` + strings.Repeat("x", herald.MaxNameBytes) + `"`, `"` + strings.Repeat("x", herald.MaxNameBytes+1) + `"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		name, ok := plainName(text)
		if !ok {
			return
		}
		var want string
		if err := json.Unmarshal(text, &want); err != nil || want != string(name) || herald.ValidName("alias", want) != nil {
			t.Errorf("%q: %q, and decoded %q, %v", text, name, want, err)
		}
	})
}
