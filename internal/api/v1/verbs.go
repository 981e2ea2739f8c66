package v1

import (
	"net/http"
	"strings"
)

// A path such as /v1/schedules/{id}:pause ends in a verb about what the segment
// names. http.ServeMux has no such patterns: its own has the verb as a segment
// of its own, and a request that has the verb is given that path.

// cutVerb cuts a path of an operation into what comes before the name, and the
// verb behind it, with its colon.
func cutVerb(path string) (before, verb string, ok bool) {
	i, j := strings.LastIndex(path, "/{"), strings.LastIndex(path, "}:")
	if i < 0 || j < i {
		return "", "", false
	}
	return path[:i+1], path[j+1:], true
}

// muxPath is the path of an operation as the mux knows it.
func muxPath(path string) string {
	if _, verb, ok := cutVerb(path); ok {
		return strings.TrimSuffix(path, verb) + "/" + verb
	}
	return path
}

// verbs stands between huma, which documents the paths as they are called, and
// the mux.
type verbs struct{ *http.ServeMux }

// HandleFunc adds an operation.
func (v verbs) HandleFunc(pattern string, handle func(http.ResponseWriter, *http.Request)) {
	method, path, _ := strings.Cut(pattern, " ")
	v.ServeMux.HandleFunc(method+" "+muxPath(path), handle)
}

// verbOf gives a request with a verb as the mux knows it; nil if it has none.
func (a *API) verbOf(r *http.Request) *http.Request {
	for _, v := range a.verbs {
		name, ok := strings.CutPrefix(r.URL.Path, v[0])
		if !ok {
			continue
		}
		if name, ok = strings.CutSuffix(name, v[1]); !ok || name == "" || strings.Contains(name, "/") {
			continue
		}
		out, u := *r, *r.URL
		u.Path, u.RawPath = v[0]+name+"/"+v[1], ""
		out.URL = &u
		return &out
	}
	return nil
}
