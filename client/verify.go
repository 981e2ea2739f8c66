package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// WebhookTolerance is how much the clock of a webhook's sender may differ from
// ours. Older requests are refused: somebody may have recorded them.
const WebhookTolerance = 5 * time.Minute

// Errors of [VerifyWebhook], for errors.Is.
var (
	ErrWebhookHeaders   = errors.New("client: the request has no webhook-id, webhook-timestamp and webhook-signature")
	ErrWebhookTime      = errors.New("client: the webhook was signed too long ago, or in the future; compare the clocks")
	ErrWebhookSignature = errors.New("client: no signature of the webhook fits; check the secret")
)

// VerifyWebhook checks that a request was signed with one of the secrets
// ("whsec_…") as Standard Webhooks 1.0 says, and reads its events. body is the
// body as it came. Who is called twice with the same webhook-id header may
// answer 200 to the second and do nothing.
//
//	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
//	hook, err := client.VerifyWebhook(r.Header, body, secret)
func VerifyWebhook(header http.Header, body []byte, secrets ...string) (herald.WebhookBody, error) {
	return verifyWebhook(header, body, time.Now(), secrets)
}

func verifyWebhook(header http.Header, body []byte, now time.Time, secrets []string) (out herald.WebhookBody, err error) {
	id, stamp, given := header.Get("webhook-id"), header.Get("webhook-timestamp"), header.Get("webhook-signature")
	if id == "" || stamp == "" || given == "" {
		return out, ErrWebhookHeaders
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return out, ErrWebhookHeaders
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > WebhookTolerance || age < -WebhookTolerance {
		return out, ErrWebhookTime
	}
	if !signed(id, stamp, given, body, secrets) {
		return out, ErrWebhookSignature
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return herald.WebhookBody{}, fmt.Errorf("client: the body of the webhook is not what this version understands: %w", err)
	}
	return out, nil
}

// signed reports whether one of the signatures is by one of the secrets.
func signed(id, stamp, given string, body []byte, secrets []string) bool {
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 {
			continue
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		want := mac.Sum(nil)
		for s := range strings.FieldsSeq(given) {
			version, text, _ := strings.Cut(s, ",")
			sum, err := base64.StdEncoding.DecodeString(text)
			if version == "v1" && err == nil && hmac.Equal(sum, want) {
				return true
			}
		}
	}
	return false
}
