package apns

import (
	"encoding/json"
	"time"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

// meaning is what one of Apple's reasons is for the platform.
type meaning struct {
	kind   provider.Kind
	text   string
	remedy string
}

// reasons are those that Apple documents.
var reasons = map[string]meaning{
	"BadCollapseId":               {provider.Rejected, "the collapse ID is too long", "Use a shorter one."},
	"BadDeviceToken":              {provider.Unregistered, "the token is damaged, or of the other environment", "Register it with the environment that the app was built for."},
	"BadExpirationDate":           {provider.Rejected, "the time of expiry is not valid", "Look at the trace of the message."},
	"BadMessageId":                {provider.Rejected, "the apns-id is not valid", "Look at the trace of the message."},
	"BadPriority":                 {provider.Rejected, "the priority is not 10, 5 or 1", "Leave the priority for apns out."},
	"BadTopic":                    {provider.Rejected, "the topic is not valid", "Check the bundle ID of the credential."},
	"DeviceTokenNotForTopic":      {provider.Rejected, "the token belongs to another app than the topic", "Check the bundle ID of the credential; if it is right, register the token with the app that it is of."},
	"DuplicateHeaders":            {provider.Rejected, "a header was sent twice", "Look at the trace of the message."},
	"IdleTimeout":                 {provider.Unavailable, "the connection was idle for too long", ""},
	"InvalidPushType":             {provider.Rejected, "the push type is not valid", "Use alert, background, voip or another type of Apple's."},
	"MissingDeviceToken":          {provider.Unregistered, "there is no token", "Register the device's token."},
	"MissingTopic":                {provider.Unauthorized, "there is no topic, and the certificate is for several", "Give the credential the bundle ID of the app."},
	"PayloadEmpty":                {provider.Rejected, "the payload is empty", "Look at the trace of the message."},
	"TopicDisallowed":             {provider.Unauthorized, "the credential may not send to this topic", "Check the bundle ID, and that the key or certificate is for this app."},
	"BadCertificate":              {provider.Unauthorized, "Apple does not take the certificate", "Make a new one in Apple's developer account."},
	"BadCertificateEnvironment":   {provider.Unauthorized, "the certificate is of the other environment", "Use one that is for production and sandbox, or a key."},
	"BadEnvironmentKeyIdInToken":  {provider.Unauthorized, "the key is of the other environment", "Use a key that is for production and sandbox."},
	"ExpiredProviderToken":        {provider.Unauthorized, "Apple finds the signature too old", "Check the clock of this machine."},
	"Forbidden":                   {provider.Unauthorized, "Apple refuses the credential", "Check the team, and that the account is in order."},
	"InvalidProviderToken":        {provider.Unauthorized, "Apple does not take the signature", "Check key, key ID and team ID; a key that was revoked does not come back."},
	"MissingProviderToken":        {provider.Unauthorized, "there is neither a certificate nor a token", "Give the credential a key."},
	"UnrelatedKeyIdInToken":       {provider.Unauthorized, "the key is of another team, or another app's", "Check key ID and team ID."},
	"BadPath":                     {provider.Rejected, "the address of the call is not Apple's", "Check the url of the credential."},
	"MethodNotAllowed":            {provider.Rejected, "the address of the call is not Apple's", "Check the url of the credential."},
	"Unregistered":                {provider.Unregistered, "the app was removed from the device", ""},
	"ExpiredToken":                {provider.Unregistered, "the token has ended", ""},
	"PayloadTooLarge":             {provider.TooLarge, "the payload is too large", "Send less data, and have the app fetch the rest."},
	"TooManyProviderTokenUpdates": {provider.Throttled, "the signature is renewed too often", "Use the key on one server at a time, or with one clock."},
	"TooManyRequests":             {provider.Throttled, "too many pushes to one device", "Send less often to one device."},
	"InternalServerError":         {provider.Unavailable, "Apple has a fault", ""},
	"ServiceUnavailable":          {provider.Unavailable, "Apple's service is not available", ""},
	"Shutdown":                    {provider.Unavailable, "Apple's server is going away", ""},
}

// refusal reads an answer that is not 200.
func refusal(a egress.Answer) *provider.Error {
	var said struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp"` // in milliseconds
	}
	known := json.Unmarshal(a.Body, &said) == nil
	m, ok := reasons[said.Reason]
	if !known || !ok {
		e := provider.OfStatus(a.Status, a.RetryAfter)
		if a.Status == 410 {
			e.Kind = provider.Unregistered
		}
		e.Code = said.Reason
		return e
	}
	e := &provider.Error{Kind: m.kind, Code: said.Reason, Text: m.text, Remedy: m.remedy, RetryAfter: a.RetryAfter}
	if m.kind == provider.Unregistered && said.Timestamp > 0 {
		e.Since = time.UnixMilli(said.Timestamp)
	}
	return e
}
