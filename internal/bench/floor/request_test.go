package floor

import (
	"bytes"
	"testing"
)

func TestRequests(t *testing.T) {
	tests := []struct {
		name, in string
		want     request
	}{
		{"an upgrade", "GET /7 HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: abc\r\n\r\n", request{number: 7, key: []byte("abc")}},
		{"a post", "POST /123 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", request{post: true, number: 123, body: []byte("hello")}},
		{"a batch", "POST /batch HTTP/1.1\r\nContent-Length: 0\r\n\r\n", request{post: true, number: -1, body: []byte{}}},
	}
	for _, tt := range tests {
		for i := range tt.in {
			if _, n, err := read([]byte(tt.in[:i])); n != 0 || err != nil {
				t.Fatalf("%s, cut at %d: %d, %v", tt.name, i, n, err)
			}
		}
		got, n, err := read([]byte(tt.in + "next"))
		if err != nil || n != len(tt.in) || got.post != tt.want.post || got.number != tt.want.number || !bytes.Equal(got.key, tt.want.key) || !bytes.Equal(got.body, tt.want.body) {
			t.Errorf("%s: got %+v, %d, %v", tt.name, got, n, err)
		}
	}
	for _, in := range []string{"\r\n\r\n", "GET /\r\n\r\n", "POST / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"} {
		if _, _, err := read([]byte(in)); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

// TestUpgrade has the key of RFC 6455 section 1.3.
func TestUpgrade(t *testing.T) {
	got := upgraded(nil, []byte("dGhlIHNhbXBsZSBub25jZQ=="))
	if !bytes.HasSuffix(got, []byte("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")) {
		t.Errorf("got %q", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("GET /7 HTTP/1.1\r\nSec-WebSocket-Key: abc\r\n\r\n"))
	f.Add([]byte("POST /7 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, n, err := read(b); n < 0 || n > len(b) || err == nil && r.post && n > 0 && !bytes.HasSuffix(b[:n], r.body) {
			t.Errorf("%+v, %d, %v", r, n, err)
		}
	})
}
