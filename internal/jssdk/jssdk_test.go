package jssdk

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	handler := Handler()
	ask := func(method, path, tag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("If-None-Match", tag)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	tag := ask("GET", "/sdk/herald.mjs", "").Header().Get("ETag")
	tests := []struct {
		name, method, path, tag string
		status                  int
		body                    string
	}{
		{"module", "GET", "/sdk/herald.mjs", "", 200, "export{"},
		{"script", "GET", "/sdk/herald.js", "", 200, "herald:{"},
		{"worker's script", "GET", "/sdk/herald-sw.js", "", 200, "herald:{"},
		{"worker's module", "GET", "/sdk/herald-sw.mjs", "", 200, "export{"},
		{"head only", "HEAD", "/sdk/herald.js", "", 200, ""},
		{"unchanged", "GET", "/sdk/herald.mjs", tag, 304, ""},
		{"changed", "GET", "/sdk/herald.mjs", `"other"`, 200, "export{"},
		{"no such file", "GET", "/sdk/herald.css", "", 404, ""},
		{"no list of files", "GET", "/sdk/", "", 404, ""},
		{"another method", "POST", "/sdk/herald.js", "", 405, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := ask(tt.method, tt.path, tt.tag)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d", w.Code, tt.status)
			}
			if !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("the body lacks %q", tt.body)
			}
			if (tt.method == "HEAD" || w.Code == http.StatusNotModified) && w.Body.Len() > 0 {
				t.Error("an answer without a body has one")
			}
			if tt.status >= 400 {
				return
			}
			for name, want := range map[string]string{
				"Cache-Control": cache, "Access-Control-Allow-Origin": "*",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := w.Header().Get("Content-Type"); tt.status == 200 && got != "text/javascript; charset=utf-8" {
				t.Errorf("Content-Type: %q", got)
			}
		})
	}
}

// Two representations, each with a tag of its own, and nothing mixed up by a
// cache on the way.
func TestCompressed(t *testing.T) {
	handler := Handler()
	tests := []struct {
		name, accept string
		zipped       bool
	}{
		{"a browser", "gzip, deflate, br, zstd", true},
		{"anything", "*", true},
		{"with weights", "br;q=1.0, GZIP; Q=0.5", true},
		{"no wish", "", false},
		{"others only", "br, deflate", false},
		{"not gzip", "*, gzip;q=0", false},
		{"nothing but plain", "identity;q=1, *;q=0", false},
		{"not a weight", "gzip;q=lots", false},
		{"not a number", "gzip;q=NaN", false},
		{"an empty weight", "gzip;q=", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ask := func(tag string) *httptest.ResponseRecorder {
				r := httptest.NewRequest("GET", "/sdk/herald.mjs", nil)
				r.Header.Set("Accept-Encoding", tt.accept)
				r.Header.Set("If-None-Match", tag)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				return w
			}
			w := ask("")
			body := io.Reader(w.Body)
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != tt.zipped {
				t.Fatalf("gzip is %v, want %v", got, tt.zipped)
			}
			if tt.zipped {
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			content, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			want, err := dist.ReadFile("dist/herald.mjs")
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(content, want) {
				t.Errorf("%d bytes that are not the %d of the script", len(content), len(want))
			}
			if got := w.Header().Get("Vary"); got != "Accept-Encoding" {
				t.Errorf("Vary: %q", got)
			}
			tag := w.Header().Get("ETag")
			if strings.Contains(tag, ".gz") != tt.zipped {
				t.Errorf("ETag: %q", tag)
			}
			if w := ask(tag); w.Code != http.StatusNotModified || w.Header().Get("ETag") != tag || w.Header().Get("Vary") == "" {
				t.Errorf("asked again: status %d, header %v", w.Code, w.Header())
			}
		})
	}
}

func TestVersioned(t *testing.T) {
	handler := Handler()
	hash := load("herald.js").hash
	for query, want := range map[string]string{
		"?v=" + hash: immutable, "?v=0": cache, "?v=": cache, "?v=" + load("herald.mjs").hash: cache,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/sdk/herald.js"+query, nil))
		if got := w.Header().Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control %q, want %q", query, got, want)
		}
		if tag := w.Header().Get("ETag"); !strings.HasPrefix(tag, `"`+hash) {
			t.Errorf("the ETag %s does not begin with the hash %s", tag, hash)
		}
	}
}

func FuzzAcceptsGzip(f *testing.F) {
	for _, header := range []string{"gzip", "*;q=0, gzip", "br;q=1.0,gzip;q=0.5;x=y", ";;q==,", "gzip;q=1e9"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if acceptsGzip(header) && !strings.Contains(strings.ToLower(header), "gzip") && !strings.Contains(header, "*") {
			t.Errorf("%q does not name gzip", header)
		}
		if acceptsGzip(header + ",gzip;q=0") {
			t.Errorf("%q: gzip was refused last, and is used", header)
		}
	})
}

// The SDK is in the way of a page's first paint: it has a budget.
func TestSize(t *testing.T) {
	for name, most := range map[string]int{"herald.js": 9 << 10, "herald.mjs": 9 << 10, "herald-sw.js": 3 << 10, "herald-sw.mjs": 3 << 10} {
		if n := len(load(name).small); n > most {
			t.Errorf("%s has %d bytes gzipped, the budget is %d", name, n, most)
		}
	}
}
