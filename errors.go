package herald

import (
	"errors"
	"fmt"
	"time"
)

// Code is the stable kind of an error, for programs to act on.
type Code string

// The error codes of every API, with the HTTP status that /v1 gives them.
const (
	CodeInvalidRequest      Code = "invalid_request"      // 400, 413 or 422: change the request
	CodeUnauthorized        Code = "unauthorized"         // 401: no or wrong credentials
	CodeForbidden           Code = "forbidden"            // 403: the credentials do not allow this
	CodeAddressRefused      Code = "address_refused"      // 403: the key may not be used from this address
	CodeNotFound            Code = "not_found"            // 404
	CodeConflict            Code = "conflict"             // 409: the state does not allow this
	CodeIdempotencyConflict Code = "idempotency_conflict" // 409: same key, another body
	CodeTooLarge            Code = "too_large"            // 413
	CodeRateLimited         Code = "rate_limited"         // 429: wait RetryAfter
	CodeLimitReached        Code = "limit_reached"        // 422: a documented limit
	CodeStorageUnavailable  Code = "storage_unavailable"  // 503: repeat later
	CodeDraining            Code = "draining"             // 503: this node is going away
	CodeInternal            Code = "internal"             // 500: a defect of Herald
)

// Error is an error that a caller of an API sees: a kind to act on, a text for
// people, and what to do about it.
type Error struct {
	Code    Code
	Message string // what is wrong, in lower case
	Remedy  string // what the caller can do, a full sentence
	Field   string // the member at fault, e.g. "audience.tags[2]"; may be empty
	// RetryAfter is how long to wait before trying again; 0 means unsaid.
	RetryAfter time.Duration
	Err        error // the cause; not shown to callers of an API
}

// Error gives the text with the field and the cause.
func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind, with its remedy and a formatted text.
func Errorf(code Code, remedy, format string, args ...any) *Error {
	return &Error{Code: code, Remedy: remedy, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an invalid_request error about one member of a request.
func Invalid(field, remedy, format string, args ...any) *Error {
	e := Errorf(CodeInvalidRequest, remedy, format, args...)
	e.Field = field
	return e
}

// CodeOf gives the kind of an error: that of the first [Error] in its chain,
// "" for nil, and [CodeInternal] for any other.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
