package jpush

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// call is one row of the API.
type call struct {
	name   string // in metrics; of a change, as the audit log calls it
	method string
	path   []string // below /v3; {…} is any segment
	area   area
	write  bool // refused while the node drains
	audit  bool // a change that is in the audit log
	most   int64
	stream bool // reads the body as it comes
	serve  func(x *exchange) (any, error)
}

// segments cuts a path into its parts, without empty ones: a doubled slash is
// one, and a slash at the end says nothing. The part v3 is left out.
func segments(u *url.URL) ([]string, bool) {
	var out []string
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		if part == "" {
			continue
		}
		s, err := url.PathUnescape(part)
		if err != nil {
			return nil, false
		}
		out = append(out, s)
	}
	if len(out) == 0 || out[0] != "v3" {
		return nil, false
	}
	return out[1:], true
}

// Serves reports whether a path is of this API.
func Serves(u *url.URL) bool {
	rest := strings.TrimLeft(u.Path, "/")
	return len(rest) < len(u.Path) && (rest == "v3" || strings.HasPrefix(rest, "v3/"))
}

// usual turns the paths of the Beijing room, where all is on one host, into the
// others.
func usual(path []string) []string {
	if len(path) == 0 {
		return path
	}
	switch {
	case path[0] == "push" && len(path) > 1 && path[1] == "schedules":
		return path[1:]
	case path[0] == "device" && len(path) > 1 && (path[1] == "tags" || path[1] == "aliases"):
		return path[1:]
	case path[0] == "device":
		return append([]string{"devices"}, path[1:]...)
	case path[0] == "report" && len(path) > 1:
		return path[1:]
	}
	return path
}

// find gives the call for a path, and the parts of the path that vary. Where
// there is none, allow says which methods there are.
func (a *API) find(method string, path []string) (c *call, args []string, allow string) {
	var methods []string
	for i := range a.calls {
		args, ok := match(a.calls[i].path, path)
		if !ok {
			continue
		}
		if a.calls[i].method == method {
			return &a.calls[i], args, ""
		}
		if !slices.Contains(methods, a.calls[i].method) {
			methods = append(methods, a.calls[i].method)
		}
	}
	return nil, nil, strings.Join(methods, ", ")
}

func match(pattern, path []string) (args []string, ok bool) {
	if len(pattern) != len(path) {
		return nil, false
	}
	for i, want := range pattern {
		switch {
		case strings.HasPrefix(want, "{"):
			args = append(args, path[i])
		case want != path[i]:
			return nil, false
		}
	}
	return args, true
}

// on makes a row of the table; its path is written without /v3/.
func on(method, path, name string, serve func(*exchange) (any, error)) call {
	p := strings.Split(path, "/")
	return call{name: name, method: method, path: p, area: areaOf(p), write: method != http.MethodGet, serve: serve}
}

// changing is on for a call that is in the audit log.
func changing(method, path, name string, serve func(*exchange) (any, error)) call {
	c := on(method, path, name, serve)
	c.audit = true
	return c
}

// reading is on for a call that changes nothing, whatever its method.
func reading(method, path, name string, serve func(*exchange) (any, error)) call {
	c := on(method, path, name, serve)
	c.write = false
	return c
}

// large gives a call a longer body.
func (c call) large(most int64) call {
	c.most = most
	return c
}

// streaming lets a call read its body itself.
func (c call) streaming() call {
	c.stream = true
	return c
}
