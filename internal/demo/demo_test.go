package demo

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		header, value      string
		body               string
	}{
		{"the page", "GET", "/demo/", 200, "Content-Type", "text/html; charset=utf-8", `src="main.js"`},
		{"the page by its name", "GET", "/demo/index.html", 200, "Content-Type", "text/html; charset=utf-8", "<!doctype html>"},
		{"a module", "GET", "/demo/main.js", 200, "Content-Type", "text/javascript; charset=utf-8", "import"},
		{"the style", "GET", "/demo/app.css", 200, "Content-Type", "text/css; charset=utf-8", ":root"},
		{"the icon", "GET", "/demo/favicon.svg", 200, "Content-Type", "image/svg+xml", "<svg"},
		{"asked again each time", "GET", "/demo/main.js", 200, "Cache-Control", "no-cache", ""},
		{"head only", "HEAD", "/demo/", 200, "Content-Type", "text/html; charset=utf-8", ""},
		{"without the slash", "GET", "/demo", 308, "Location", "/demo/", ""},
		{"no such file", "GET", "/demo/secret.txt", 404, "", "", "no such file"},
		{"no way up", "GET", "/demo/../demo.go", 404, "", "", "no such file"},
		{"no way into folders", "GET", "/demo/static/main.js", 404, "", "", "no such file"},
		{"another place", "GET", "/v1/messages", 404, "", "", "no such file"},
		{"another method", "POST", "/demo/", 405, "Allow", "GET, HEAD", "only be read"},
	}
	handler := Handler("herald")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			if got := w.Header().Get(tt.header); tt.header != "" && got != tt.value {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.value)
			}
			if !strings.Contains(w.Body.String(), tt.body) {
				t.Errorf("the body lacks %q", tt.body)
			}
			if tt.method == "HEAD" && w.Body.Len() > 0 {
				t.Error("HEAD was answered with a body")
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// Who runs Herald by go run, or with a folder of its own, has no use for a
// command that says something else.
func TestCommandsOfThePage(t *testing.T) {
	page := string(load(`go run ./cmd/herald --data '<a & b>'`)["index.html"].content)
	const run = `go run ./cmd/herald --data &#39;&lt;a &amp; b&gt;&#39;`
	for _, want := range []string{">" + run + ` push "Hello"<`, ">" + run + " dev<"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, "{{") {
		t.Error("the page has a gap that nothing fills")
	}
}

func TestUnchangedFileIsNotSentAgain(t *testing.T) {
	handler := Handler("herald")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/demo/main.js", nil))
	tag := w.Header().Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	for name, want := range map[string]int{tag: http.StatusNotModified, `"other"`: http.StatusOK} {
		r := httptest.NewRequest("GET", "/demo/main.js", nil)
		r.Header.Set("If-None-Match", name)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("If-None-Match %s: status %d, want %d", name, w.Code, want)
		}
	}
}

// What the policy would block, or what would turn content into markup, must
// not come into the sources; a browser would only say so at run time.
func TestSources(t *testing.T) {
	forbidden := map[string]*regexp.Regexp{
		".html": regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]|https?://|href="#`),
		".js":   regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://|\.style\b`),
		".css":  regexp.MustCompile(`@import|url\(`),
	}
	imports := regexp.MustCompile(`from "\./([^"]+)"`)
	files := load("herald")
	for name, f := range files {
		kind := name[strings.LastIndex(name, "."):]
		if re := forbidden[kind]; re != nil {
			if found := re.FindString(string(f.content)); found != "" {
				t.Errorf("%s contains %q", name, found)
			}
		}
		for _, m := range imports.FindAllStringSubmatch(string(f.content), -1) {
			if _, ok := files[m[1]]; !ok {
				t.Errorf("%s imports %s, which does not exist", name, m[1])
			}
		}
		if n := strings.Count(string(f.content), "\n"); n > 350 {
			t.Errorf("%s has %d lines", name, n)
		}
	}
}

func TestLanguagesSayTheSame(t *testing.T) {
	files := load("herald")
	en, zh := words(files["words.en.js"]), words(files["words.zh.js"])
	if len(en) < 80 {
		t.Fatalf("only %d English texts were found", len(en))
	}
	for key, text := range en {
		other, ok := zh[key]
		if !ok {
			t.Errorf("%s has no Chinese text", key)
			continue
		}
		if a, b := holes(text), holes(other); !slices.Equal(a, b) {
			t.Errorf("%s: the texts fill in %v and %v", key, a, b)
		}
	}
	for key := range zh {
		// These translate sentences of the server, which speaks English.
		if _, ok := en[key]; !ok && !strings.HasPrefix(key, "trace.") {
			t.Errorf("%s has no English text", key)
		}
	}
	used := regexp.MustCompile(`(?:data-t|data-t-label)="([^"]+)"|\bt\("([^"]+)"`)
	for name, f := range files {
		for _, m := range used.FindAllStringSubmatch(string(f.content), -1) {
			if _, ok := en[m[1]+m[2]]; !ok {
				t.Errorf("%s uses the text %s, which does not exist", name, m[1]+m[2])
			}
		}
	}
}

var entry = regexp.MustCompile(`(?m)^  "([^"]+)": "(.*)",$`)

func words(f file) map[string]string {
	out := map[string]string{}
	for _, m := range entry.FindAllStringSubmatch(string(f.content), -1) {
		out[m[1]] = m[2]
	}
	return out
}

func holes(text string) []string {
	found := regexp.MustCompile(`\{\w+\}`).FindAllString(text, -1)
	slices.Sort(found)
	return found
}
