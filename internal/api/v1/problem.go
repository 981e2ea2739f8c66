package v1

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
	"github.com/herald-push/herald/internal/strict"
)

// Problem is what an error is answered with: problem details (RFC 9457) with
// the members code, remedy, field and errors beside the standard ones.
type Problem struct {
	Type   string      `json:"type" doc:"Always about:blank: the status and the code say what kind of problem it is." example:"about:blank"`
	Title  string      `json:"title" doc:"The name of the status." example:"Unprocessable Entity"`
	Status int         `json:"status" doc:"The HTTP status." example:"422"`
	Code   herald.Code `json:"code" enum:"invalid_request,unauthorized,forbidden,not_found,conflict,idempotency_conflict,too_large,rate_limited,limit_reached,storage_unavailable,draining,internal" doc:"The kind of problem, for programs. Codes stay as they are; the texts may change." example:"invalid_request"`
	Detail string      `json:"detail" doc:"What is wrong." example:"the member is not known"`
	Remedy string      `json:"remedy" doc:"What you can do about it." example:"Did you mean \"ttl\"?"`
	Field  string      `json:"field,omitempty" doc:"The member, parameter or header at fault." example:"tlt"`
	Errors []Finding   `json:"errors,omitempty" doc:"All findings, if there are several; the first is also told above."`
}

// Finding is one of several things that are wrong.
type Finding struct {
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
}

// Error makes a problem an error that huma passes through.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is the status that huma answers with.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type that huma answers with.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// refused is an error with a status of its own, for what belongs to HTTP and
// not to the service.
type refused struct {
	err    *herald.Error
	status int
}

func (e *refused) Error() string { return e.err.Error() }
func (e *refused) Unwrap() error { return e.err }

func refusal(status int, code herald.Code, remedy, format string, args ...any) error {
	return &refused{herald.Errorf(code, remedy, format, args...), status}
}

func tooLarge(limit int64) error {
	return herald.Errorf(herald.CodeTooLarge, "Send less, in several requests.", "the body is larger than %d bytes", limit)
}

// statusOf is the one place where a kind of error becomes an HTTP status.
func statusOf(err error) int {
	if own := (*refused)(nil); errors.As(err, &own) {
		return own.status
	}
	switch herald.CodeOf(err) {
	case herald.CodeInvalidRequest:
		if errors.Is(err, strict.ErrSyntax) {
			return http.StatusBadRequest
		}
		return http.StatusUnprocessableEntity
	case herald.CodeUnauthorized:
		return http.StatusUnauthorized
	case herald.CodeForbidden, herald.CodeAddressRefused:
		return http.StatusForbidden
	case herald.CodeNotFound:
		return http.StatusNotFound
	case herald.CodeConflict, herald.CodeIdempotencyConflict:
		return http.StatusConflict
	case herald.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case herald.CodeRateLimited:
		return http.StatusTooManyRequests
	case herald.CodeLimitReached:
		return http.StatusUnprocessableEntity
	case herald.CodeStorageUnavailable, herald.CodeDraining:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// problem turns an error into what the caller is told, sets the headers that
// go with it, and logs what the caller must not see.
func (a *API) problem(x *exchange, err error) *Problem {
	err = ended(x, err)
	status := statusOf(err)
	a.logFailure(x, err, status)
	p, e := describe(x, err, status)
	if e != nil {
		retryAfter(x, e.RetryAfter)
	}
	if status == http.StatusUnauthorized {
		challenge(x)
	}
	return p
}

// ended tells a request that ended, or took too long, from a failure.
func ended(x *exchange, err error) error {
	if ended := x.r.Context().Err(); ended != nil && errors.Is(err, ended) {
		return &herald.Error{Code: herald.CodeStorageUnavailable, Message: "the request ended before its work was done", Remedy: "Repeat it.", Err: err}
	} else if errors.Is(err, context.DeadlineExceeded) && herald.CodeOf(err) == herald.CodeInternal {
		return &herald.Error{Code: herald.CodeStorageUnavailable, Message: "the work took too long", Remedy: "Repeat the request later.", RetryAfter: time.Second, Err: err}
	}
	return err
}

// logFailure logs what the server failed at.
func (a *API) logFailure(x *exchange, err error, status int) {
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		a.cfg.Log.LogAttrs(x.r.Context(), slog.LevelError, "request failed", slog.String("request_id", x.id),
			slog.String("operation", x.operation()), slog.Int("status", status), slog.Any("error", err))
	}
}

// describe is what the caller may know of an error, and the error that it is
// taken from; nil for what is internal.
func describe(x *exchange, err error, status int) (*Problem, *herald.Error) {
	if status == http.StatusInternalServerError {
		return internalProblem(x.id), nil
	}
	var e *herald.Error
	errors.As(err, &e)
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: e.Code,
		Detail: e.Message, Remedy: e.Remedy, Field: e.Field, Errors: findings(err)}, e
}

func retryAfter(x *exchange, d time.Duration) {
	if d > 0 {
		x.w.Header().Set("Retry-After", strconv.FormatInt(admission.WholeSeconds(d), 10))
	}
}

// findings lists the errors that were joined, if there are several.
func findings(err error) []Finding {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var out []Finding
	for _, one := range joined.Unwrap() {
		var e *herald.Error
		if errors.As(one, &e) && e.Code != herald.CodeInternal {
			out = append(out, Finding{e.Field, e.Message})
		}
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

func internalProblem(id string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(http.StatusInternalServerError), Status: http.StatusInternalServerError,
		Code: herald.CodeInternal, Detail: "internal error", Remedy: "Report it with the request ID " + id + ", under which the server's log has the cause."}
}

// refuse answers with a problem before an operation was called.
func (a *API) refuse(x *exchange, err error) {
	writeProblem(x.w, a.problem(x, err))
	linger(x)
}

// What is read of the body of a refused request, at most.
const (
	lingerBytes = 2 * herald.MaxRequestBytes
	lingerTime  = time.Second
)

// linger reads on for a moment where the connection is to be closed and its
// body was not read: closing it with bytes unread resets it, and the client
// loses the answer (RFC 9112 section 9.6). net/http does so by itself except
// when the client asked for the close.
func linger(x *exchange) {
	if x.body != nil || x.r.ContentLength == 0 || !x.r.Close {
		return
	}
	control := http.NewResponseController(x.w.ResponseWriter)
	if control.Flush() != nil || control.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, x.r.Body, lingerBytes)
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a Problem is strings and numbers
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(b, '\n'))
}
