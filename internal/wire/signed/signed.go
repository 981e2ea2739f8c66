// Package signed has the secrets and signatures of Standard Webhooks 1.0: what a
// request bears by which who gets it knows who made it, and when.
package signed

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// secretPrefix begins a secret that signs by HMAC, as Standard Webhooks writes
// it.
const secretPrefix = "whsec_"

// NewSecret makes a secret of 32 random bytes.
func NewSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// ParseSecret gives the key in a secret: 24 to 64 bytes. The error is a
// *herald.Error about the field secret, and does not show it.
func ParseSecret(s string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, secretPrefix))
	if err != nil || !strings.HasPrefix(s, secretPrefix) || len(key) < 24 || len(key) > 64 {
		return nil, herald.Invalid("secret", "Write whsec_ and 24 to 64 random bytes in base64, or leave it out and take the one that is made.", "is not a secret of Standard Webhooks")
	}
	return key, nil
}

// Headers gives what a request bears: its ID, when it was made, and a signature
// by each key over both and the body.
func Headers(id string, at time.Time, body []byte, keys ...[]byte) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h := http.Header{}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", stamp)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Herald-Webhook/1.0")
	return h
}
