package jssdk

import (
	"bytes"
	"compress/gzip"
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
		{"script", "GET", "/sdk/herald.js", "", 200, "var herald="},
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

// The SDK is in the way of a page's first paint: it has a budget.
func TestSize(t *testing.T) {
	const most = 8 << 10
	for _, name := range []string{"herald.js", "herald.mjs"} {
		content, err := dist.ReadFile("dist/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if b.Len() > most {
			t.Errorf("%s has %d bytes gzipped, the budget is %d", name, b.Len(), most)
		}
	}
}
