package fcm

import (
	"encoding/json"
	"strings"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// refusal reads an answer that is not 200: the code of FCM in its details, or
// else the status of Google's API.
func refusal(a egress.Answer) *provider.Error {
	var said struct {
		Error struct {
			Status  string            `json:"status"`
			Message string            `json:"message"`
			Details []json.RawMessage `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal(a.Body, &said) != nil {
		return provider.OfStatus(a.Status, a.RetryAfter)
	}
	code, field := said.Error.Status, ""
	for _, raw := range said.Error.Details {
		var d struct {
			Code   string `json:"errorCode"`
			Fields []struct {
				Field string `json:"field"`
			} `json:"fieldViolations"`
		}
		if json.Unmarshal(raw, &d) != nil {
			continue
		}
		if d.Code != "" {
			code = d.Code
		}
		for _, f := range d.Fields {
			field = f.Field
		}
	}
	e := of(code, field, said.Error.Message)
	if e == nil {
		e = provider.OfStatus(a.Status, a.RetryAfter)
	}
	e.Code, e.RetryAfter = code, a.RetryAfter
	return e
}

func of(code, field, message string) *provider.Error {
	switch code {
	case "UNREGISTERED", "NOT_FOUND":
		return &provider.Error{Kind: provider.Unregistered, Text: "the app was removed from the device, or its token has ended"}
	case "INVALID_ARGUMENT":
		if field == "message.token" || strings.Contains(message, "registration token") {
			return &provider.Error{Kind: provider.Unregistered, Text: "the token is damaged", Remedy: "Register the token as the app gets it."}
		}
		return provider.Errorf(provider.Rejected, code, "Look at the trace of the message.", "Google refuses the message: %.200s", message)
	case "SENDER_ID_MISMATCH":
		return &provider.Error{Kind: provider.Rejected, Text: "the token belongs to another Firebase project",
			Remedy: "Check that the service account is of the project that the app was built with."}
	case "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED":
		return &provider.Error{Kind: provider.Throttled, Text: "the quota of the project, or of the device, is used up", Remedy: "Send more slowly, or ask Google for a higher quota."}
	case "UNAVAILABLE":
		return &provider.Error{Kind: provider.Unavailable, Text: "Google's service is not available"}
	case "INTERNAL":
		return &provider.Error{Kind: provider.Unavailable, Text: "Google has a fault"}
	case "THIRD_PARTY_AUTH_ERROR":
		return &provider.Error{Kind: provider.Unauthorized, Text: "the project has no good key for APNs or Web Push", Remedy: "Upload it in the Firebase console, under Cloud Messaging."}
	case "UNAUTHENTICATED":
		return &provider.Error{Kind: provider.Unauthorized, Text: "Google does not take the access token", Remedy: "Check the service account with verify."}
	case "PERMISSION_DENIED":
		return provider.Errorf(provider.Unauthorized, code, "Give the service account the role Firebase Cloud Messaging API Admin, and enable that API in the project.",
			"the service account may not send: %.200s", message)
	}
	return nil
}
