// Package demo serves the page behind the link that `herald dev` prints: a
// device in the browser that shows what arrives and can push to itself.
//
// The page is static files without a build step. It knows nothing but the
// public API, and the page token in the fragment of its link, which browsers
// do not send to servers: nothing on this path needs to be kept out of a log.
package demo

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// Path is where [Handler] is to be mounted.
const Path = "/demo/"

// policy lets the page load its own files and connect to its own server, and
// show pictures of messages, which may come from anywhere over https.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; " +
	"img-src 'self' data: https:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// types are written down because the machine's own table may lack them, or
// say something else.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

type file struct {
	content []byte
	kind    string
	tag     string
}

// Handler serves the page under [Path]. The page shows commands to paste, and
// run is what they begin with: how the user of this machine runs Herald.
func Handler(run string) http.Handler {
	files := load(run)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			head.Set("Allow", "GET, HEAD")
			http.Error(w, "this page can only be read", http.StatusMethodNotAllowed)
			return
		}
		name, below := strings.CutPrefix(r.URL.Path, Path)
		if name == "" {
			name = "index.html"
		}
		f, known := files[name]
		switch {
		case r.URL.Path+"/" == Path:
			http.Redirect(w, r, Path, http.StatusPermanentRedirect)
		case !below || !known:
			http.Error(w, "there is no such file; the page is at "+Path, http.StatusNotFound)
		default:
			// Asked again each time and answered by its tag, so that a new
			// release never meets old scripts.
			head.Set("Cache-Control", "no-cache")
			head.Set("Content-Type", f.kind)
			head.Set("ETag", f.tag)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.content))
		}
	})
}

// load reads the embedded files, and writes into the page what its commands
// begin with. It panics on what only a wrong build can cause: a file that is not
// embedded, or is of no known type.
func load(run string) map[string]file {
	entries, err := fs.ReadDir(static, "static")
	if err != nil {
		panic("demo: " + err.Error())
	}
	files := make(map[string]file, len(entries))
	for _, e := range entries {
		content, err := static.ReadFile("static/" + e.Name())
		if err != nil {
			panic("demo: " + err.Error())
		}
		kind := types[path.Ext(e.Name())]
		if kind == "" {
			panic("demo: no content type for " + e.Name())
		}
		if e.Name() == "index.html" {
			content = bytes.ReplaceAll(content, []byte("{{run}}"), []byte(html.EscapeString(run)))
		}
		sum := sha256.Sum256(content)
		files[e.Name()] = file{content, kind, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	}
	return files
}
