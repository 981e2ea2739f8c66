package v1

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func newOf(v any) any { return reflect.New(reflect.TypeOf(v)).Interface() }

// TestDocsAssets says what is embedded: Swagger UI 5.35.0 (docs/refresh.sh).
func TestDocsAssets(t *testing.T) {
	for name, want := range map[string]string{
		"swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
		"swagger-ui.css":       "a6a4cf68f069eb89984d5d43644e6a812e749df08d2b1320c6e06e6973847d10",
	} {
		b, err := docsFiles.ReadFile("docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has the sum %x, want %s", name, sum, want)
		}
	}
	script, err := os.ReadFile("docs/refresh.sh")
	if err != nil || !strings.Contains(string(script), "version=5.35.0\n") {
		t.Errorf("docs/refresh.sh fetches another version (%v)", err)
	}
	for _, name := range []string{"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} {
		if _, err := os.Stat("docs/" + name); err != nil {
			t.Error(err)
		}
	}
}

func TestDocsPage(t *testing.T) {
	r := newRig(t, Config{})
	rec := r.do("GET", "/docs", "")
	page := rec.Body.String()
	csp := rec.Header().Get("Content-Security-Policy")
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
		t.Fatalf("got %d %v", rec.Code, rec.Header())
	}
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe-eval") || strings.Contains(csp, "http") || !strings.Contains(csp, "script-src 'self';") {
		t.Errorf("the policy is %s", csp)
	}
	if strings.Contains(page, "://") || regexp.MustCompile(`<script>|\son\w+=|style=`).MatchString(page) {
		t.Error("the page names another server, or has scripts or styles within")
	}
	// Every file that the page names is there, with the type that a browser
	// demands under nosniff.
	types := map[string]string{".js": "text/javascript", "css": "text/css", "son": "application/json"}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^":,]+)"`).FindAllStringSubmatch(page, -1) {
		rec := r.do("GET", "/"+m[1], "")
		if want := types[m[1][len(m[1])-3:]]; rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), want) || rec.Body.Len() == 0 {
			t.Errorf("%s: %d %s", m[1], rec.Code, rec.Header().Get("Content-Type"))
		}
		if rec.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", m[1])
		}
	}
	if rec := r.do("GET", "/docs/", ""); rec.Code != 308 || rec.Header().Get("Location") != "/docs" {
		t.Errorf("/docs/ gives %d %s", rec.Code, rec.Header().Get("Location"))
	}
	for _, path := range []string{"/docs/README.md", "/docs/refresh.sh", "/docs/index.html/x", "/docs/%2e%2e/api.go"} {
		if rec := r.do("GET", path, ""); rec.Code == 200 {
			t.Errorf("%s is served", path)
		}
	}
}
