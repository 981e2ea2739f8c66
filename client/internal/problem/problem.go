// Package problem reads the error answers of a Herald server, for the SDK of
// app servers and the one of devices.
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// Retryable reports whether the same request may succeed later.
func Retryable(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Read makes an error of an answer that is not a success: a problem document
// (RFC 9457) with Herald's members. What is not Herald's, such as the page of
// a proxy, becomes an error with the code that fits the status.
func Read(resp *http.Response, text []byte, now time.Time) *herald.Error {
	var p struct {
		Code   herald.Code `json:"code"`
		Title  string      `json:"title"`
		Detail string      `json:"detail"`
		Remedy string      `json:"remedy"`
		Field  string      `json:"field"`
	}
	if json.Unmarshal(text, &p) != nil {
		p.Code, p.Title, p.Detail, p.Remedy, p.Field = "", "", "", "", ""
	}
	e := &herald.Error{Code: p.Code, Message: p.Detail, Remedy: p.Remedy, Field: p.Field, RetryAfter: RetryAfter(resp.Header.Get("Retry-After"), now)}
	if e.Message == "" {
		e.Message = p.Title
	}
	if e.Message == "" {
		e.Message = "the server answered " + strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)
	}
	if e.Code == "" {
		e.Code = codeOf(resp.StatusCode)
		if e.Remedy == "" {
			e.Remedy = "Check that the address is that of a Herald server."
		}
	}
	return e
}

func codeOf(status int) herald.Code {
	switch status {
	case http.StatusUnauthorized:
		return herald.CodeUnauthorized
	case http.StatusForbidden:
		return herald.CodeForbidden
	case http.StatusNotFound:
		return herald.CodeNotFound
	case http.StatusConflict:
		return herald.CodeConflict
	case http.StatusRequestEntityTooLarge:
		return herald.CodeTooLarge
	case http.StatusTooManyRequests:
		return herald.CodeRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return herald.CodeStorageUnavailable
	}
	if status >= 400 && status < 500 {
		return herald.CodeInvalidRequest
	}
	return herald.CodeInternal
}

// RetryAfter reads the header (RFC 9110 section 10.2.3): seconds or a date.
// What it cannot read is 0.
func RetryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		return max(0, time.Duration(n)*time.Second)
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}
