package v1

import (
	"context"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/api"
)

// exchange is one request on its way through the chain.
type exchange struct {
	id     string // of the request, for the log and the caller
	op     *operation
	as     form   // what the caller wants of a list
	from   string // the bucket of its address; "" until it is asked for
	p      api.Principal
	body   []byte
	w      *writer
	r      *http.Request
	own    writer // what w points to
	waited bool   // mayWait was called
	done   bool   // it was answered
	// after, if set, is done when the request is.
	after func()
}

type exchangeKey struct{}

// exchangeOf gives the exchange that a handler was called for.
func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// ServeHTTP answers one request below /v1.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := a.exchange(w, r)
	defer x.finished()
	defer func() {
		if v := recover(); v != nil {
			a.recovered(x, v)
		}
		x.w.finish()
		took := time.Since(start)
		a.cfg.Observe(x.operation(), x.w.status, took)
		if a.cfg.Log.Enabled(r.Context(), slog.LevelDebug) {
			a.cfg.Log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request_id", x.id),
				slog.String("client", a.cfg.Address(r).String()), slog.String("operation", x.operation()), slog.Int("status", x.w.status), slog.Duration("took", took))
		}
	}()
	if err := a.serve(x); err != nil {
		a.refuse(x, err)
	}
	x.done = true
}

func (a *API) exchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := exchanges.Get().(*exchange)
	x.id, x.r = requestID(), r
	x.own = writer{ResponseWriter: w, a: a, x: x}
	x.w = &x.own
	h := w.Header()
	x.w.set(h, "X-Request-Id", x.id)
	h["X-Content-Type-Options"], h["Cache-Control"] = noSniff, noStore
	openToScripts(h)
	return x
}

// Values of headers that every answer has. Nobody changes them: a header that
// is set again gets another slice.
var (
	noSniff = []string{"nosniff"}
	noStore = []string{"no-store"}
)

// requestID makes a name of 80 random bits. It has to be another one each time,
// and is no secret.
func requestID() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], rand.Uint64())       //nolint:gosec // see above
	binary.LittleEndian.PutUint16(b[8:], uint16(rand.Int())) //nolint:gosec // see above
	var text [16]byte
	requestIDs.Encode(text[:], b[:10])
	return string(text[:])
}

var requestIDs = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")

// exchanges are those that are over. They are some 700 bytes, for each call.
var exchanges = sync.Pool{New: func() any { return &exchange{} }}

// finished does what waits for the end of the request. After a panic that goes
// on, and after a call that huma has served, somebody may still hold it.
func (x *exchange) finished() {
	if x.after != nil {
		x.after()
	}
	if x.op != nil && x.op.direct != nil && x.done {
		*x = exchange{}
		exchanges.Put(x)
	}
}

func (x *exchange) operation() string {
	if x.op == nil {
		return "none"
	}
	return x.op.id
}

// serve takes a request through every check, in the order of what they cost.
func (a *API) serve(x *exchange) error {
	if err := a.route(x); err != nil || x.op == nil {
		return err
	}
	switch {
	case x.op.write && a.cfg.Draining():
		return &herald.Error{Code: herald.CodeDraining, Message: "this node is going away",
			Remedy: "Repeat the request; another node, or this one after its restart, will take it.", RetryAfter: drainPause}
	case x.r.ContentLength > x.op.maxBytes():
		return tooLarge(x.op.maxBytes())
	}
	if err := x.chooseForm(); err != nil {
		return err
	}
	if err := x.checkAddress(); err != nil {
		return err
	}
	if err := a.authenticate(x); err != nil {
		return err
	}
	if err := x.admitGroup(); err != nil {
		return err
	}
	if err := a.admitOrigin(x, x.p.App); err != nil {
		return err
	}
	if x.op.body != nil && !x.uploads() && x.op.most == 0 {
		if err := a.readBody(x, herald.MaxRequestBytes); err != nil {
			return err
		}
	}
	if x.op.direct != nil {
		return x.op.direct(x)
	}
	a.mux.ServeHTTP(x.w, x.r.WithContext(context.WithValue(x.r.Context(), exchangeKey{}, x)))
	return nil
}

// drainPause is when to come back to a node that is draining.
const drainPause = 5 * time.Second

// route finds the operation. Where there is none it answers a preflight, or
// gives the error, which counts against the caller's address.
func (a *API) route(x *exchange) error {
	if op := a.direct[x.r.URL.Path]; op != nil && op.method == x.r.Method {
		x.op = op
		return nil
	}
	if r := a.verbOf(x.r); r != nil {
		x.r = r
	}
	h, pattern := a.mux.Handler(x.r)
	if op := a.ops[pattern]; op != nil {
		x.op = op
		return nil
	}
	// The mux knows which methods a path has; its refusal is read, not sent.
	rec := headOnly{header: http.Header{}}
	h.ServeHTTP(&rec, x.r)
	allow := rec.header.Get("Allow")
	if preflight(x.r) && allow != "" {
		answerPreflight(x.w, allow)
		return nil
	}
	if err := a.limits.take(x.w, a.limits.strangers, a.address(x), 1); err != nil {
		return err
	}
	if allow != "" {
		x.w.Header().Set("Allow", allow)
		return refusal(http.StatusMethodNotAllowed, herald.CodeInvalidRequest, "Use one of: "+allow+".", "this path has no method %.20q", x.r.Method)
	}
	return herald.Errorf(herald.CodeNotFound, "See /docs for the paths of this API; names within a path are percent-encoded.", "there is nothing at this path")
}

// recovered answers a request whose handling panicked.
func (a *API) recovered(x *exchange, v any) {
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	a.cfg.Log.LogAttrs(x.r.Context(), slog.LevelError, "panic", slog.String("request_id", x.id),
		slog.String("operation", x.operation()), slog.String("panic", fmt.Sprint(v)), slog.String("stack", string(debug.Stack())))
	if x.w.sent {
		// Half an answer must not look like a whole one.
		panic(http.ErrAbortHandler)
	}
	x.w.status = 0
	writeProblem(x.w, internalProblem(x.id))
}

// writer holds the status back until the first byte of the body, so that an
// answer that cannot be encoded may still become a 500, and knows what was
// answered.
type writer struct {
	http.ResponseWriter
	a      *API
	x      *exchange
	status int
	sent   bool
	left   admission.Allowance // for the RateLimit headers
	told   bool                // left is known; else it is that of a stranger
	values []string            // of headers; it is not used again, because who answers may write them later
}

// set is h.Set for a name in canonical form; several share their memory.
func (w *writer) set(h http.Header, name, value string) {
	if len(w.values) == cap(w.values) {
		w.values = make([]string, 0, 8)
	}
	n := len(w.values)
	w.values = append(w.values, value)
	h[name] = w.values[n : n+1 : n+1]
}

// WriteHeader remembers the status; the last one before the body counts.
func (w *writer) WriteHeader(status int) { w.status = status }

// Write sends the head, if that has not happened, and a part of the body.
func (w *writer) Write(b []byte) (int, error) {
	w.finish()
	return w.ResponseWriter.Write(b)
}

// finish sends the head. A reader that does not take the answer loses the
// connection after a while; net/http lifts the deadline for the next request.
func (w *writer) finish() {
	if w.sent {
		return
	}
	w.sent = true
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.tellLeft(w.Header())
	if hasDeadlines(w.ResponseWriter) {
		_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.a.cfg.BodyTime))
	}
	w.ResponseWriter.WriteHeader(w.status)
}

// tellLeft sets the RateLimit headers, by what was counted last.
func (w *writer) tellLeft(h http.Header) {
	if !w.told {
		w.left, _ = w.a.limits.strangers.Spend(w.a.address(w.x), 0)
	}
	if w.left.Limit == "" {
		return
	}
	w.set(h, "Ratelimit-Limit", w.left.Limit)
	w.set(h, "Ratelimit-Remaining", strconv.Itoa(w.left.Left))
	w.set(h, "Ratelimit-Reset", strconv.FormatInt(w.left.Reset, 10))
}

// hasDeadlines reports whether a response writer may know deadlines: not every
// connection has them, and to be told so takes time.
func hasDeadlines(w http.ResponseWriter) bool {
	switch w.(type) {
	case interface{ SetWriteDeadline(time.Time) error }, interface{ Unwrap() http.ResponseWriter }:
		return true
	}
	return false
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// headOnly is a response writer that keeps the head and drops the rest.
type headOnly struct{ header http.Header }

func (h *headOnly) Header() http.Header         { return h.header }
func (h *headOnly) Write(b []byte) (int, error) { return len(b), nil }
func (h *headOnly) WriteHeader(int)             {}
