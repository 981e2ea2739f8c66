package jpush

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
)

// exchange is one request on its way.
type exchange struct {
	a      *API
	id     string
	c      *call // nil if there is none for the path
	area   area
	args   []string // the parts of the path that vary
	query  url.Values
	body   []byte
	p      api.Principal
	from   netip.Addr
	left   admission.Allowance
	r      *http.Request
	w      http.ResponseWriter
	status int
}

// ServeHTTP answers one request below /v3.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := &exchange{a: a, id: rand.Text()[:16], area: areaPush, from: a.cfg.Address(r), r: r, w: w}
	defer func() {
		if v := recover(); v != nil {
			x.recovered(v)
		}
		took := time.Since(start)
		a.cfg.Observe(x.name(), x.status, took)
		if a.cfg.Log.Enabled(r.Context(), slog.LevelDebug) {
			a.cfg.Log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request_id", x.id), slog.String("client", x.from.String()),
				slog.String("operation", x.name()), slog.Int("status", x.status), slog.Duration("took", took))
		}
	}()
	out, err := x.serve()
	if err != nil {
		x.refuse(err)
		return
	}
	x.answer(http.StatusOK, out)
}

// name is how metrics call the request.
func (x *exchange) name() string {
	if x.c == nil {
		return "none"
	}
	return "jpush_" + x.c.name
}

// serve takes a request through every check, in the order of what they cost.
func (x *exchange) serve() (any, error) {
	path, ok := segments(x.r.URL)
	path = usual(path)
	x.area = areaOf(path)
	var allow string
	if ok {
		x.c, x.args, allow = x.a.find(x.r.Method, path)
	}
	if x.c == nil {
		return nil, x.nowhere(allow)
	}
	if x.c.write && x.a.cfg.Draining() {
		return nil, &herald.Error{Code: herald.CodeDraining, Message: "this node is going away; repeat the request", RetryAfter: 5 * time.Second}
	}
	if err := x.authenticate(); err != nil {
		return nil, err
	}
	var err error
	if x.query, err = url.ParseQuery(x.r.URL.RawQuery); err != nil {
		return nil, refuse(x.area.value, "the query is not well formed")
	}
	if !x.c.stream && x.r.Method != http.MethodGet {
		if err := x.read(); err != nil {
			return nil, err
		}
	}
	return x.call()
}

// call makes the call, with its entry in the audit log.
func (x *exchange) call() (any, error) {
	if !x.c.audit {
		return x.c.serve(x)
	}
	object := ""
	if len(x.args) > 0 {
		object = x.args[0]
	}
	if x.c.path[0] == "aliases" {
		object = record.AuditedAlias(x.p.App, herald.Alias(object))
	}
	ctx, entry := x.a.service.Apps.Audited(x.r.Context(), x.p, x.c.name, object, x.from)
	x.r = x.r.WithContext(ctx)
	out, err := x.c.serve(x)
	if err == nil && entry != nil {
		x.a.service.Apps.Noted(ctx, entry)
	}
	return out, err
}

// nowhere refuses a request that no call is for.
func (x *exchange) nowhere(allow string) error {
	if err := x.take(x.a.cfg.Strangers, admission.AddressKey(x.from)); err != nil {
		return err
	}
	if allow == "" {
		return &refusal{status: http.StatusNotFound, code: x.area.value, message: "there is nothing at this path"}
	}
	x.w.Header().Set("Allow", allow)
	return &refusal{status: http.StatusMethodNotAllowed, code: codeMethod, message: "this path takes " + allow}
}

// take counts the request.
func (x *exchange) take(b *admission.Buckets, key string) (err error) {
	x.left, err = b.Spend(key, 1)
	return err
}

// authenticate finds out who calls and counts the request: those with valid
// credentials by their app, others by their address.
func (x *exchange) authenticate() error {
	from := admission.AddressKey(x.from)
	user, secret, ok := x.r.BasicAuth()
	if !ok {
		if err := x.take(x.a.cfg.Strangers, from); err != nil {
			return err
		}
		return &refusal{status: http.StatusUnauthorized, code: x.area.auth, message: "send Authorization: Basic with app key and master secret"}
	}
	if err := x.a.cfg.Failures.Allow(x.from); err != nil {
		return err
	}
	var err error
	x.p, err = x.a.service.Apps.Basic(x.r.Context(), herald.AppKey(user), secret)
	if code := herald.CodeOf(err); code == herald.CodeUnauthorized || code == herald.CodeForbidden {
		x.a.cfg.Failures.Wrong(x.from)
		return &refusal{status: http.StatusUnauthorized, code: x.area.auth, message: "app key or master secret is wrong"}
	}
	if err != nil {
		return err
	}
	return x.take(x.a.cfg.Keys, x.p.RateKey())
}

// read reads the body.
func (x *exchange) read() error {
	most := int64(herald.MaxRequestBytes)
	if x.c.most > 0 {
		most = x.c.most
	}
	tooLong := &refusal{status: http.StatusBadRequest, code: codeTooLong, message: fmt.Sprintf("the body is larger than %d bytes", most)}
	if x.r.ContentLength > most {
		return tooLong
	}
	control := http.NewResponseController(x.w)
	_ = control.SetReadDeadline(time.Now().Add(x.a.cfg.BodyTime)) // not every connection has one
	var err error
	x.body, err = io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, most))
	_ = control.SetReadDeadline(time.Time{})
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLong
	case err != nil:
		x.w.Header().Set("Connection", "close")
		return &refusal{status: http.StatusBadRequest, code: x.area.value, message: "the body did not arrive whole and in time"}
	}
	return nil
}

// answer writes an answer in one piece, which is what some clients read.
func (x *exchange) answer(status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of structs, maps and text
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", x.id)
	limit, remaining, reset := x.rates()
	h.Set("X-Rate-Limit-Limit", limit)
	h.Set("X-Rate-Limit-Quota", limit)
	h.Set("X-Rate-Limit-Remaining", remaining)
	h.Set("X-Rate-Limit-Reset", reset)
	x.status = status
	x.w.WriteHeader(status)
	_, _ = x.w.Write(b) // a client that is gone is told nothing
}

// rates are the values of the rate headers, which clients read as numbers, also
// where there is no limit.
func (x *exchange) rates() (limit, remaining, reset string) {
	if x.left.Limit == "" {
		most := strconv.Itoa(math.MaxInt32)
		return most, most, "0"
	}
	return x.left.Limit, strconv.Itoa(x.left.Left), strconv.FormatInt(x.left.Reset, 10)
}

// refuse answers with an error.
func (x *exchange) refuse(err error) {
	told := x.area.refusal(err)
	if told.status >= http.StatusInternalServerError {
		x.a.cfg.Log.LogAttrs(x.r.Context(), slog.LevelError, "request failed", slog.String("request_id", x.id),
			slog.String("operation", x.name()), slog.Int("status", told.status), slog.Any("error", err))
	}
	h := x.w.Header()
	if told.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Basic realm="herald", charset="UTF-8"`)
	}
	if told.after > 0 {
		h.Set("Retry-After", strconv.FormatInt(admission.WholeSeconds(told.after), 10))
	}
	x.answer(told.status, told.body())
}

// recovered answers a request whose handling panicked.
func (x *exchange) recovered(v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	x.a.cfg.Log.LogAttrs(x.r.Context(), slog.LevelError, "panic", slog.String("request_id", x.id),
		slog.String("operation", x.name()), slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
	if x.status == 0 {
		x.answer(http.StatusInternalServerError, failure{failureOf{x.area.internal, "internal error, request " + x.id}})
	}
}

// digits reports whether a text is a number without sign and not too long for
// 64 bits.
func digits(s string) bool {
	return s != "" && len(s) <= 19 && strings.Trim(s, "0123456789") == ""
}
