package v1

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/herald-push/herald"
)

// exposed are the headers of an answer that a script may read.
const exposed = "Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, WWW-Authenticate, X-Request-Id"

// openToScripts lets any page read an answer. That is safe because the browser
// adds nothing of its own to a request: there are no cookies here, and a page
// that has a token has the right that goes with it. Which origins may use an
// app is checked by admitOrigin, before anything is done.
func openToScripts(h http.Header) {
	h["Access-Control-Allow-Origin"], h["Access-Control-Expose-Headers"] = anyOrigin, exposedOnce
}

// Like noSniff.
var anyOrigin, exposedOnce = []string{"*"}, []string{exposed}

// preflight reports whether a request asks for permission to make another
// (Fetch standard, section 3.2.2).
func preflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// answerPreflight permits whatever the path has. The app is not known yet: a
// preflight has no credentials.
func answerPreflight(w *writer, allow string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", allow)
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key")
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
}

// admitOrigin refuses a browser at an origin that the app does not list, once
// the app is known. Pages of this server itself are always let in.
func (a *API) admitOrigin(x *exchange, app herald.AppKey) error {
	origin := x.r.Header.Get("Origin")
	if origin == "" || app == "" {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, x.r.Host) {
		return nil
	}
	if a.origin(app, origin) {
		x.w.Header().Set("Access-Control-Allow-Origin", origin)
		x.w.Header().Add("Vary", "Origin")
		return nil
	}
	return herald.Errorf(herald.CodeForbidden, "Add the origin to the app's origins with PATCH /v1/app.", "pages at %.200q may not use this app", origin)
}
