package provider

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind is what an error means for the platform. There are six, and each has it
// do one thing.
type Kind string

// The kinds.
const (
	// Unavailable: the vendor cannot be reached, or fails. The message is tried
	// again later, and the credential rests if it goes on.
	Unavailable Kind = "unavailable"
	// Throttled: too much at once. The credential is silent for a while.
	Throttled Kind = "throttled"
	// Unregistered: the address leads to nobody any more. It is never called
	// again, unless it is registered anew.
	Unregistered Kind = "unregistered"
	// Rejected: the vendor will not take this message for this address. It is
	// not tried again.
	Rejected Kind = "rejected"
	// TooLarge: the message does not fit even when its text is shortened.
	TooLarge Kind = "too_large"
	// Unauthorized: the credential is wrong or has ended. Everything of it
	// waits, and its owner is told.
	Unauthorized Kind = "unauthorized"
)

// Kinds lists them all.
var Kinds = []Kind{Unavailable, Throttled, Unregistered, Rejected, TooLarge, Unauthorized}

// Error is why a message was not taken.
type Error struct {
	Kind Kind
	// Code is the vendor's own word for it, such as BadDeviceToken; "" if it
	// gave none.
	Code string
	// Text says for people what happened, and Remedy what to do about it.
	Text, Remedy string
	// RetryAfter is how long the vendor wants to be left alone; 0 if it did not
	// say.
	RetryAfter time.Duration
	// Since is when an address was found to be gone, as the vendor knows it: one
	// that was registered later is another one. Zero if it did not say.
	Since time.Time
	// Unknown tells that the vendor may have taken the message: the call was
	// made, and no answer came.
	Unknown bool
	Err     error // the cause, for the log; may be nil
}

func (e *Error) Error() string {
	s := "provider: " + string(e.Kind)
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error with its kind, the vendor's code and a text.
func Errorf(k Kind, code, remedy, format string, args ...any) *Error {
	return &Error{Kind: k, Code: code, Remedy: remedy, Text: fmt.Sprintf(format, args...)}
}

// KindOf gives the kind of an error; Unavailable for one that has none.
func KindOf(err error) Kind {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Kind
	}
	return Unavailable
}

// Lost is the error of a call that got no answer. asked tells that the vendor
// may have read the request.
func Lost(err error, asked bool) *Error {
	e := &Error{Kind: Unavailable, Unknown: asked, Err: err, Text: "the vendor cannot be reached",
		Remedy: "Nothing has to be done if it passes; else look whether this machine reaches the vendor's host."}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Text = "the vendor did not answer in time"
	case asked:
		e.Text = "the connection ended before the vendor answered"
	}
	return e
}

// OfStatus is the error of an HTTP status that the vendor's documentation does
// not say more about.
func OfStatus(status int, retryAfter time.Duration) *Error {
	e := &Error{RetryAfter: retryAfter, Text: fmt.Sprintf("the vendor answered %d", status)}
	switch {
	case status == 429:
		e.Kind, e.Remedy = Throttled, "Send more slowly, or ask the vendor for a higher quota."
	case status == 401 || status == 403:
		e.Kind, e.Remedy = Unauthorized, "Check the credential with verify."
	case status == 413:
		e.Kind, e.Remedy = TooLarge, "Send less, and have the app fetch the rest."
	case status == 502 || status == 504:
		// Whoever stands before the vendor answers so: it has passed the request on,
		// and did not get the vendor's answer (RFC 9110 sections 15.6.3 and 15.6.5).
		e.Kind, e.Unknown, e.Remedy = Unavailable, true, "Nothing has to be done if it passes."
		e.Text = fmt.Sprintf("a gateway before the vendor answered %d", status)
	case status >= 500 || status == 408:
		e.Kind, e.Remedy = Unavailable, "Nothing has to be done if it passes."
	default:
		e.Kind, e.Remedy = Rejected, "Look at the trace of the message."
	}
	return e
}
