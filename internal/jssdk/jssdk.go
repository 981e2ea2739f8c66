// Package jssdk serves the JavaScript SDK at a server's own address, so that a
// page needs no package manager to receive messages: herald.js for a script
// tag, herald.mjs for import, and the same of herald-sw for a service worker.
//
// The scripts in dist are built from sdk/js by `npm run build` there, and are
// committed, because the server must build without Node. A test in test/jssdk
// builds them again and compares.
package jssdk

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed dist/herald.js dist/herald.mjs dist/herald-sw.js dist/herald-sw.mjs
var dist embed.FS

// Path is where [Handler] is to be mounted.
const Path = "/sdk/"

// How long browsers and proxies keep a script without a question. The names
// have no hash, since pages write them down: for a day, and after that the ETag
// answers. Who asks for just this content, by ?v= and the hash that its ETag
// begins with, may keep it for ever (RFC 8246).
const (
	cache     = "public, max-age=86400, stale-while-revalidate=604800"
	immutable = "public, max-age=31536000, immutable"
)

// script is one file, plain and compressed.
type script struct {
	name         string
	plain, small []byte
	hash         string
}

// Handler serves the scripts below [Path]. Pages of any origin may load them:
// they are public, and as modules they are fetched with CORS.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, name := range []string{"herald.js", "herald.mjs", "herald-sw.js", "herald-sw.mjs"} {
		mux.Handle("GET "+Path+name, load(name))
	}
	return mux
}

// load reads an embedded script and compresses it once. It panics on what only
// a wrong build can cause.
func load(name string) *script {
	content, err := dist.ReadFile("dist/" + name)
	if err != nil {
		panic("jssdk: " + err.Error())
	}
	sum := sha256.Sum256(content)
	return &script{name, content, compress(content), base64.RawURLEncoding.EncodeToString(sum[:12])}
}

// compress writes to memory, where nothing fails.
func compress(content []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(content)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		panic("jssdk: " + err.Error())
	}
	return b.Bytes()
}

// ServeHTTP answers with one of the two representations. They have tags of
// their own, since a strong tag stands for the bytes (RFC 9110, section 8.8.3.3).
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", cache)
	if r.URL.Query().Get("v") == s.hash {
		h.Set("Cache-Control", immutable)
	}
	h.Set("Vary", "Accept-Encoding")
	content, tag := s.plain, s.hash
	if acceptsGzip(strings.Join(r.Header.Values("Accept-Encoding"), ",")) {
		content, tag = s.small, s.hash+".gz"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, s.name, time.Time{}, bytes.NewReader(content))
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3): gzip by its
// name, or by "*", unless with the weight 0. What cannot be read is no wish.
func acceptsGzip(header string) bool {
	named, star := "", ""
	for item := range strings.SplitSeq(header, ",") {
		coding, rest, _ := strings.Cut(item, ";")
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			named = weight(rest)
		case "*":
			star = weight(rest)
		}
	}
	if named == "" {
		named = star
	}
	q, err := strconv.ParseFloat(named, 64)
	return err == nil && q > 0 && q <= 1
}

// weight gives the value of the parameter q, "1" if there is none.
func weight(parameters string) string {
	for p := range strings.SplitSeq(parameters, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(name, "q") {
			return strings.TrimSpace(value)
		}
	}
	return "1"
}
