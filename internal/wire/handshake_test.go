package wire

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAcceptKey(t *testing.T) { // the example of RFC 6455 section 1.3
	if got := AcceptKey("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatal(got)
	}
}

func TestCheckHandshake(t *testing.T) {
	set := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		status int
	}{
		{"good", func(*http.Request) {}, 0},
		{"tokens in a list, in any case", func(r *http.Request) {
			r.Header.Set("Connection", "keep-alive, UPGRADE")
			r.Header.Set("Upgrade", "WebSocket")
		}, 0},
		{"POST", func(r *http.Request) { r.Method = "POST" }, 405},
		{"HTTP/1.0", func(r *http.Request) { r.ProtoMinor = 0 }, 426},
		{"HTTP/2", func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, 426},
		{"a body", func(r *http.Request) { r.ContentLength = 5 }, 400},
		{"a body in chunks", func(r *http.Request) { r.ContentLength = -1 }, 400},
		{"no Upgrade", set("Upgrade"), 426},
		{"another Upgrade", set("Upgrade", "h2c"), 426},
		{"no Connection", set("Connection", "keep-alive"), 426},
		{"no version", set("Sec-WebSocket-Version"), 426},
		{"version 8", set("Sec-WebSocket-Version", "8"), 426},
		{"two versions", set("Sec-WebSocket-Version", "13", "8"), 426},
		{"no key", set("Sec-WebSocket-Key"), 400},
		{"two keys", set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="), 400},
		{"a short key", set("Sec-WebSocket-Key", "dGhl"), 400},
		{"a key that is not base64", set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ!!"), 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Sec-WebSocket-Version", "13")
			r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
			c.change(r)
			key, status, err := CheckHandshake(r)
			if status != c.status || (err == nil) != (status == 0) || (key != "") != (err == nil) {
				t.Fatalf("key %q, status %d, %v", key, status, err)
			}
		})
	}
}

func TestOffersProtocol(t *testing.T) {
	h := http.Header{"Sec-Websocket-Protocol": {"a, herald.v1", "b"}}
	if !OffersProtocol(h, "herald.v1") || !OffersProtocol(h, "b") || OffersProtocol(h, "Herald.v1") {
		t.Fatal("offers are misread")
	}
}
