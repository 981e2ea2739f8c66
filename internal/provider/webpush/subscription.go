package webpush

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/url"

	"github.com/herald-push/herald/internal/provider"
)

const (
	authSize = 16
	saltSize = 16
	keySize  = 65 // an uncompressed point of P-256
	// recordSize is that of the one record of a message (RFC 8291, section 4).
	recordSize = 4096
	// maxPayload is the largest text of a body of 4096 bytes, which each push
	// service takes: without the header, the delimiter and the tag.
	maxPayload = 4096 - (saltSize + 4 + 1 + keySize) - 1 - 16
)

// subscription is what a browser gives a page: where to post, and the keys to
// encrypt with.
type subscription struct {
	endpoint *url.URL
	key      *ecdh.PublicKey
	auth     []byte
}

// readSubscription reads an address, which is the JSON that a PushSubscription
// makes of itself. What cannot be read will never lead to anybody.
func readSubscription(token string) (*subscription, error) {
	bad := func(what string) (*subscription, error) {
		return nil, provider.Errorf(provider.Unregistered, "", "Register JSON.stringify(subscription) as the browser gives it.", "the address is no subscription: %s", what)
	}
	var said struct {
		Endpoint string `json:"endpoint"`
		Keys     struct {
			P256DH string `json:"p256dh"`
			Auth   string `json:"auth"`
		} `json:"keys"`
	}
	if json.Unmarshal([]byte(token), &said) != nil {
		return bad("it is not JSON with endpoint and keys")
	}
	endpoint, err := url.Parse(said.Endpoint)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "https" && endpoint.Scheme != "http" {
		return bad("its endpoint is not a URL")
	}
	point, err := decode(said.Keys.P256DH)
	if err != nil {
		return bad("its p256dh is not base64url")
	}
	s := &subscription{endpoint: endpoint}
	if s.key, err = ecdh.P256().NewPublicKey(point); err != nil {
		return bad("its p256dh is not a point of P-256")
	}
	if s.auth, err = decode(said.Keys.Auth); err != nil || len(s.auth) != authSize {
		return bad("its auth is not 16 bytes in base64url")
	}
	return s, nil
}

// seal encrypts a text for the browser, with a new key and a new salt.
func (s *subscription) seal(text []byte) ([]byte, error) {
	own, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, &provider.Error{Kind: provider.Unavailable, Text: "no key can be made", Err: err}
	}
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return nil, &provider.Error{Kind: provider.Unavailable, Text: "no salt can be made", Err: err}
	}
	body, err := s.sealWith(own, salt, text)
	if err != nil {
		return nil, &provider.Error{Kind: provider.Rejected, Text: "the message cannot be encrypted for the browser", Err: err}
	}
	return body, nil
}

// sealWith makes the body of a request: RFC 8291, sections 3.3 and 3.4, and the
// header of RFC 8188, section 2.1. The text is one record, the last one, without
// padding.
func (s *subscription) sealWith(own *ecdh.PrivateKey, salt, text []byte) ([]byte, error) {
	shared, err := own.ECDH(s.key)
	if err != nil {
		return nil, err
	}
	public := own.PublicKey().Bytes()
	ikm, err := hkdf.Key(sha256.New, shared, s.auth, "WebPush: info\x00"+string(s.key.Bytes())+string(public), 32)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	body := append(make([]byte, 0, recordSize), salt...)
	body = binary.BigEndian.AppendUint32(body, recordSize)
	body = append(append(body, keySize), public...)
	const last = 2 // the delimiter of the last record
	return gcm.Seal(body, nonce, append(append(make([]byte, 0, len(text)+1), text...), last), nil), nil
}
