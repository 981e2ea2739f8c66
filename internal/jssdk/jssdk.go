// Package jssdk serves the JavaScript SDK at a server's own address, so that a
// page needs no package manager to receive messages: herald.js for a script
// tag, herald.mjs for import.
//
// The scripts in dist are built from sdk/js by `npm run build` there, and are
// committed, because the server must build without Node. A test in test/jssdk
// builds them again and compares.
package jssdk

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"time"
)

//go:embed dist/herald.js dist/herald.mjs
var dist embed.FS

// Path is where [Handler] is to be mounted.
const Path = "/sdk/"

// cache lets browsers and proxies keep a script for a day without a question.
// The names have no hash, since pages write them down; after that day the ETag
// answers.
const cache = "public, max-age=86400, stale-while-revalidate=604800"

// Handler serves the scripts below [Path]. Pages of any origin may load them:
// they are public, and as modules they are fetched with CORS.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, name := range []string{"herald.js", "herald.mjs"} {
		content, err := dist.ReadFile("dist/" + name)
		if err != nil {
			panic("jssdk: " + err.Error()) // only a wrong build can cause it
		}
		sum := sha256.Sum256(content)
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		mux.HandleFunc("GET "+Path+name, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", "*")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin")
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Content-Type", "text/javascript; charset=utf-8")
			h.Set("Cache-Control", cache)
			h.Set("ETag", tag)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
		})
	}
	return mux
}
