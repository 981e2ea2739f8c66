package v1

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
)

// maxCredential bounds a credential before it is looked at.
const maxCredential = 4096

const authRemedy = "Send one header, Authorization: Basic with app key and master secret, or Authorization: Bearer with a key or token."

// authenticate finds out who calls and counts the request: callers with valid
// credentials by their key, others by their address.
//
// Wrong credentials and no credentials are counted apart: an address from
// which many devices register must not keep those with valid tokens out, and
// one that guesses is refused before its next guess is checked.
func (a *API) authenticate(x *exchange) error {
	from := a.address(x)
	cred, err := parseAuthorization(x.r.Header)
	if err == nil && cred == nil {
		if err := a.limits.take(x.w, a.limits.strangers, from, 1); err != nil {
			return err
		}
		if x.op.anonymous {
			return nil
		}
		return herald.Errorf(herald.CodeUnauthorized, authRemedy, "this call needs credentials")
	}
	if err := a.limits.has(x.w, a.limits.failures, from); err != nil {
		return err
	}
	if err == nil {
		if cred.bearer {
			x.mayWait() // the record may have to be asked
		}
		x.p, err = a.check(x.r.Context(), cred, a.cfg.Address(x.r))
	}
	if err != nil {
		if code := herald.CodeOf(err); code == herald.CodeUnauthorized || code == herald.CodeForbidden || code == herald.CodeAddressRefused {
			// The answer stays 401 even if it was the last that was allowed.
			_ = a.limits.take(x.w, a.limits.failures, from, 1)
		}
		return err
	}
	return a.limits.take(x.w, a.byKey(x), x.p.RateKey(), 1)
}

// byKey is the family in which callers with valid credentials are counted.
func (a *API) byKey(x *exchange) *admission.Buckets {
	if x.p.Kind == api.Device || x.p.Kind == api.Page {
		return a.limits.devices
	}
	return a.limits.keys
}

func (a *API) check(ctx context.Context, c *credential, from netip.Addr) (api.Principal, error) {
	if c.bearer {
		return a.bearer(ctx, c.secret, from)
	}
	return a.basic(ctx, herald.AppKey(c.user), c.secret)
}

// credential is what an Authorization header holds.
type credential struct {
	bearer bool
	user   string // for Basic
	secret string
}

// parseAuthorization reads the Authorization header (RFC 9110, section 11.6.2;
// RFC 7617; RFC 6750). It gives nil if there is none.
func parseAuthorization(h http.Header) (*credential, error) {
	bad := func(format string, args ...any) error {
		return herald.Errorf(herald.CodeUnauthorized, authRemedy, format, args...)
	}
	values := h.Values("Authorization")
	switch {
	case len(values) == 0:
		return nil, nil
	case len(values) > 1:
		return nil, bad("the request has %d Authorization headers", len(values))
	case len(values[0]) > maxCredential:
		return nil, bad("the Authorization header is longer than %d bytes", maxCredential)
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	rest = strings.Trim(rest, " ")
	switch strings.ToLower(scheme) {
	case "bearer":
		if rest == "" || strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return nil, bad("the Bearer credential is empty or has characters that no token has")
		}
		return &credential{bearer: true, secret: rest}, nil
	case "basic":
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return nil, bad("the Basic credential is not base64")
		}
		user, secret, ok := strings.Cut(string(b), ":")
		if !ok || user == "" || secret == "" {
			return nil, bad("the Basic credential is not app key, colon, master secret")
		}
		return &credential{user: user, secret: secret}, nil
	}
	return nil, bad("the Authorization header has no scheme that this server knows")
}

// challenge says how to authenticate (RFC 9110, section 11.6.1). Basic is not
// offered to who tried Bearer, nor to scripts in a browser (Fetch Metadata),
// where it would open a dialog over the page.
func challenge(x *exchange) {
	h := x.w.Header()
	cred, err := parseAuthorization(x.r.Header)
	switch {
	case err == nil && cred != nil && cred.bearer:
		h.Set("WWW-Authenticate", `Bearer realm="herald", error="invalid_token"`)
		return
	case x.r.Header.Get("Sec-Fetch-Dest") == "empty":
		h.Set("WWW-Authenticate", `Bearer realm="herald"`)
		return
	}
	h["Www-Authenticate"] = []string{`Bearer realm="herald"`, `Basic realm="herald", charset="UTF-8"`}
}

// checkAddress refuses what is wrong with the address of the request itself.
func (x *exchange) checkAddress() error {
	if x.op.direct != nil && x.r.URL.RawQuery == "" {
		return nil // the path is the operation's own, letter by letter
	}
	q, err := parseQuery(x.r.URL)
	if err != nil {
		return err
	}
	for _, name := range []string{"access_token", "app_key", "master_secret", "token"} {
		if q.Has(name) {
			return herald.Errorf(herald.CodeUnauthorized, authRemedy, "credentials in the address are not accepted here")
		}
	}
	var found []error
	for _, name := range sortedKeys(q) {
		if err := x.op.checkParameter(name, q[name]); err != nil {
			found = append(found, err)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return errors.Join(found...)
}
