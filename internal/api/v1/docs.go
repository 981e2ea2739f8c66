package v1

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"

	"github.com/herald-push/herald"
)

// docsFiles are the page about the API: Swagger UI, as docs/README.md says.
//
//go:embed docs/index.html docs/start.js docs/swagger-ui-bundle.js docs/swagger-ui.css
var docsFiles embed.FS

var docsTypes = map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

// docsPolicy lets the page load what this server has, and nothing else. The
// style sheet has to allow inline styles: Swagger UI sets them on elements.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page wraps what is served for people: no rate limits, no credentials.
func (a *API) page(serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeProblem(w, pageProblem(http.StatusMethodNotAllowed, herald.CodeInvalidRequest, "this page can only be read", "Use GET."))
			return
		}
		serve(w, r)
	})
}

func pageProblem(status int, code herald.Code, detail, remedy string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Remedy: remedy}
}

// serveDocument gives the OpenAPI document, to pages of any origin.
func (a *API) serveDocument(w http.ResponseWriter, r *http.Request) {
	openToScripts(w.Header())
	send(w, r, "application/json", a.openapi)
}

// serveDocs gives a file of the page.
func serveDocs(w http.ResponseWriter, r *http.Request) {
	name := "index.html"
	switch r.URL.Path {
	case "/docs":
	case "/docs/": // the page's links are relative to /docs
		http.Redirect(w, r, "../docs", http.StatusPermanentRedirect)
		return
	default:
		name = strings.TrimPrefix(r.URL.Path, "/docs/")
	}
	b, err := docsFiles.ReadFile("docs/" + name)
	if err != nil {
		writeProblem(w, pageProblem(http.StatusNotFound, herald.CodeNotFound, "there is nothing at this path", "The page about the API is at /docs."))
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	send(w, r, docsTypes[path.Ext(name)], b)
}

// send gives bytes that change only with the binary, so that a browser which
// has them needs them no more.
func send(w http.ResponseWriter, r *http.Request, contentType string, b []byte) {
	sum := sha256.Sum256(b)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(b) //nolint:gosec // bytes of the binary, chosen by name from a fixed list
}
