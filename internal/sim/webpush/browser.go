package webpush

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Subscription is that of a browser, with the keys that only the browser has.
type Subscription struct {
	Endpoint string
	Key      *ecdh.PrivateKey
	Auth     []byte
}

// Subscribe plays a browser that subscribes. publicKey is the VAPID key of the
// only one who may send to it; "" lets anybody.
func (s *Service) Subscribe(publicKey string) (*Subscription, error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	b := &Subscription{Key: key, Auth: make([]byte, 16)}
	if _, err := rand.Read(b.Auth); err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	s.add(publicKey, b)
	return b, nil
}

// MarshalJSON writes what a page gets: PushSubscription.toJSON of the Push API.
func (b *Subscription) MarshalJSON() ([]byte, error) {
	encode := base64.RawURLEncoding.EncodeToString
	return json.Marshal(map[string]any{
		"endpoint": b.Endpoint, "expirationTime": nil,
		"keys": map[string]string{"p256dh": encode(b.Key.PublicKey().Bytes()), "auth": encode(b.Auth)},
	})
}

// Open decrypts a message as the browser does before it wakes the service worker:
// RFC 8291, and RFC 8188 for the one record.
func (b *Subscription) Open(body []byte) ([]byte, error) {
	salt, sender, sealed, err := open(body)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	shared, err := b.Key.ECDH(sender)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		out, e := hkdf.Key(sha256.New, secret, salt, info, n)
		err = errors.Join(err, e)
		return out
	}
	both := append(b.Key.PublicKey().Bytes(), sender.Bytes()...)
	ikm := derive(shared, b.Auth, "WebPush: info\x00"+string(both), 32)
	key, nonce := derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16), derive(ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	text, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	// The text ends with 2, for the last record, and then zeros.
	text = bytes.TrimRight(text, "\x00")
	if !bytes.HasSuffix(text, []byte{2}) {
		return nil, errors.New("sim: the record does not end as the last one does")
	}
	return text[:len(text)-1], nil
}

// open takes the body of a push apart: the header of RFC 8188, section 2.1, and
// the one record.
func open(body []byte) (salt []byte, sender *ecdh.PublicKey, sealed []byte, _ error) {
	const salts, fixed, point, overhead = 16, 16 + 4 + 1, 65, 17
	if len(body) < fixed+point+overhead {
		return nil, nil, nil, errors.New("it is too short")
	}
	size := binary.BigEndian.Uint32(body[salts:])
	if body[fixed-1] != point {
		return nil, nil, nil, errors.New("its key ID is not a public key")
	}
	sealed = body[fixed+point:]
	if size < overhead+1 || uint64(len(sealed)) > uint64(size) {
		return nil, nil, nil, errors.New("it has more than one record")
	}
	sender, err := ecdh.P256().NewPublicKey(body[fixed : fixed+point])
	return body[:salts], sender, sealed, err
}
