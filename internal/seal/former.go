package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"strings"
)

// Former stands for the key of secrets in the form in which those of webhooks
// were sealed with the server key before keys had names.
const Former = "server-key-1"

// former opens that form: a version, a nonce, and what is sealed, bound to
// "APP/ID".
type former struct{ aead cipher.AEAD }

const formerVersion = 1

func newFormer(serverKey []byte) (f former, err error) {
	secret, err := hkdf.Key(sha256.New, serverKey, nil, "herald webhook secrets 1", KeyLen)
	if err != nil {
		return f, fmt.Errorf("seal: deriving a key: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return f, fmt.Errorf("seal: %w", err)
	}
	if f.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return f, fmt.Errorf("seal: %w", err)
	}
	return f, nil
}

func (former) is(sealed []byte) bool { return len(sealed) > 0 && sealed[0] == formerVersion }

func (f former) open(place string, sealed []byte) ([]byte, error) {
	where := strings.Replace(strings.TrimPrefix(place, "webhook "), " ", "/", 1)
	secret, err := f.aead.Open([]byte{}, nil, sealed[1:], []byte(where))
	if err != nil {
		return nil, damaged()
	}
	return secret, nil
}
