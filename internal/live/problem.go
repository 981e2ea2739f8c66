package live

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// problem is a problem document (RFC 9457), with the members of the API's.
type problem struct {
	Type   string      `json:"type"`
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Code   herald.Code `json:"code"`
	Detail string      `json:"detail"`
	Remedy string      `json:"remedy,omitempty"`
	Field  string      `json:"field,omitempty"`
}

var statusOf = map[herald.Code]int{
	herald.CodeInvalidRequest:      http.StatusBadRequest,
	herald.CodeUnauthorized:        http.StatusUnauthorized,
	herald.CodeForbidden:           http.StatusForbidden,
	herald.CodeAddressRefused:      http.StatusForbidden,
	herald.CodeNotFound:            http.StatusNotFound,
	herald.CodeConflict:            http.StatusConflict,
	herald.CodeIdempotencyConflict: http.StatusConflict,
	herald.CodeTooLarge:            http.StatusRequestEntityTooLarge,
	herald.CodeRateLimited:         http.StatusTooManyRequests,
	herald.CodeLimitReached:        http.StatusUnprocessableEntity,
	herald.CodeStorageUnavailable:  http.StatusServiceUnavailable,
	herald.CodeDraining:            http.StatusServiceUnavailable,
	herald.CodeInternal:            http.StatusInternalServerError,
}

// writeProblem answers a request that did not become a connection. status 0
// means the usual one of the error's code.
func writeProblem(w http.ResponseWriter, err error, status int) {
	var e *herald.Error
	if !errors.As(err, &e) {
		e = herald.Errorf(herald.CodeInternal, "Try again; if it stays, ask the operator for the server's log.", "the server failed")
	}
	if status == 0 {
		status = statusOf[e.Code]
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="herald"`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Code: e.Code, Detail: e.Message, Remedy: e.Remedy, Field: e.Field,
	})
}
