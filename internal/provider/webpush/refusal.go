package webpush

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// refusal reads an answer that is no success. RFC 8030 has statuses only; Mozilla
// adds a number, Apple a word, and Google a sentence. proved tells that the
// service has taken a message with the same signature.
func refusal(a egress.Answer, proved bool) *provider.Error {
	code, message := words(a.Body)
	e := provider.OfStatus(a.Status, a.RetryAfter)
	switch a.Status {
	case http.StatusNotFound, http.StatusGone:
		e = &provider.Error{Kind: provider.Unregistered, Text: "the browser has ended the subscription, or the push service has"}
	case http.StatusUnauthorized, http.StatusForbidden:
		e = unauthorized(message, proved)
	case http.StatusNotAcceptable: // Windows says so of too many
		e = provider.OfStatus(http.StatusTooManyRequests, a.RetryAfter)
	case http.StatusBadRequest:
		e = provider.Errorf(provider.Rejected, "", "Look at the trace of the message.", "the push service refuses the message: %.200s", message)
	}
	e.Code, e.RetryAfter = code, a.RetryAfter
	return e
}

// unauthorized tells a wrong signature from a right one for another subscription.
// Who registers a subscription that was made with another key must not stop the
// messages of all others: where the service has taken the signature before, or
// says that the keys differ, it is the subscription. It is not gone all the same,
// because wrong keys in the credential have the same answer.
func unauthorized(message string, proved bool) *provider.Error {
	said := strings.ToLower(message)
	if proved || strings.Contains(said, "mismatch") || strings.Contains(said, "does not correspond") || strings.Contains(said, "do not correspond") {
		return &provider.Error{Kind: provider.Rejected, Text: "the subscription was made with another VAPID key",
			Remedy: "Have the page subscribe anew with the credential's public_key; if the keys were changed, all pages have to."}
	}
	return provider.Errorf(provider.Unauthorized, "", "Check the credential with verify.", "the push service does not take the signature: %.200s", message)
}

// words finds what a push service says beside the status.
func words(body []byte) (code, message string) {
	var said struct {
		Errno   json.Number `json:"errno"`
		Message string      `json:"message"`
		Reason  string      `json:"reason"`
	}
	if json.Unmarshal(body, &said) != nil {
		return "", strings.ToValidUTF8(string(body[:min(len(body), 500)]), "")
	}
	if n, err := strconv.Atoi(said.Errno.String()); err == nil && n > 0 {
		code = strconv.Itoa(n)
	}
	if code == "" && len(said.Reason) <= 100 {
		code = said.Reason
	}
	message = said.Message
	if message == "" {
		message = said.Reason
	}
	return code, message
}
