package webhook

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// secretPrefix begins a secret that signs by HMAC, as Standard Webhooks writes
// it.
const secretPrefix = "whsec_"

// newSecret makes a secret of 32 random bytes.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return secretPrefix + base64.StdEncoding.EncodeToString(b[:])
}

// parseSecret gives the key in a secret: 24 to 64 bytes.
func parseSecret(s string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, secretPrefix))
	if err != nil || !strings.HasPrefix(s, secretPrefix) || len(key) < 24 || len(key) > 64 {
		return nil, herald.Invalid("secret", "Write whsec_ and 24 to 64 random bytes in base64, or leave it out and take the one that is made.", "is not a secret of Standard Webhooks")
	}
	return key, nil
}

// headers gives what a request bears: its ID, when it was made, and a signature
// by each key over both and the body.
func headers(id string, at time.Time, body []byte, keys ...[]byte) http.Header {
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

// seal keeps secrets of webhooks readable by this server only: the record and
// its backups hold them encrypted with a key that is not in them.
type seal struct{ aead cipher.AEAD }

func newSeal(serverKey []byte) (seal, error) {
	key, err := hkdf.Key(sha256.New, serverKey, nil, "herald webhook secrets 1", 32)
	if err != nil {
		return seal{}, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return seal{}, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return seal{aead}, err
}

// bound says whose secret it is, so that one cannot be put into the place of
// another.
func bound(app herald.AppKey, id string) []byte { return []byte(string(app) + "/" + id) }

func (s seal) close(app herald.AppKey, id, secret string) []byte {
	return s.aead.Seal([]byte{1}, nil, []byte(secret), bound(app, id)) //nolint:gosec // 1 is the version; the nonce is random and not given
}

func (s seal) open(app herald.AppKey, id string, sealed []byte) (string, error) {
	if len(sealed) == 0 || sealed[0] != 1 {
		return "", errors.New("webhook: a secret is sealed in a way that this release does not know")
	}
	b, err := s.aead.Open(nil, nil, sealed[1:], bound(app, id))
	if err != nil {
		return "", errors.New("webhook: a secret was sealed with another server key; rotate it")
	}
	return string(b), nil
}

// keys opens the secrets of a webhook that sign at a time.
func (s seal) keys(w *record.Webhook, now time.Time) ([][]byte, error) {
	var out [][]byte
	for _, k := range w.Secrets {
		if !k.Until.IsZero() && !now.Before(k.Until) {
			continue
		}
		text, err := s.open(w.App, w.ID, k.Sealed)
		if err != nil {
			return nil, err
		}
		key, err := parseSecret(text)
		if err != nil {
			return nil, err
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errors.New("webhook: there is no secret that is valid")
	}
	return out, nil
}
