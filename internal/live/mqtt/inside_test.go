package mqtt

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/herald-push/herald"
)

// TestIdleIsSmall: there may be hundreds of thousands of connections that wait.
// Beside this each has 128 bytes of the engine and 160 of its session.
func TestIdleIsSmall(t *testing.T) {
	for _, c := range []struct {
		name       string
		size, most uintptr
	}{
		{"a connection", unsafe.Sizeof(conn{}), 144},
		{"an exchange", unsafe.Sizeof(exchange{}), 320},
		{"a claim", unsafe.Sizeof(claim{}), 208},
	} {
		t.Log(c.name, c.size)
		if c.size > c.most {
			t.Errorf("%s takes %d bytes, want at most %d", c.name, c.size, c.most)
		}
	}
}

func FuzzReceipt(f *testing.F) {
	f.Add([]byte(`{"event":"displayed","ids":["1","2"]}`))
	f.Add([]byte("clicked 1 2"))
	f.Add([]byte(" \n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		what, ids, err := parseReceipt(b)
		if err != nil {
			if herald.CodeOf(err) == "" {
				t.Fatalf("%q: %v is no error for a client", b, err)
			}
			return
		}
		if len(ids) > herald.MaxIDsPerCall {
			t.Fatalf("%d IDs", len(ids))
		}
		text := string(what)
		for _, id := range ids {
			text += " " + id.String()
		}
		if b := strings.TrimSpace(string(b)); !strings.HasPrefix(b, "{") && strings.Join(strings.Fields(b), " ") != text {
			t.Fatalf("%q is read as %q", b, text)
		}
	})
}
