// Package seal encrypts secrets that have to be read again, such as those of
// webhooks, with keys from outside the database.
//
// A sealed secret names its key, so that keys can be replaced: the first one
// seals, all of them open.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/herald-push/herald"
)

// KeyLen is the length of a key in bytes.
const KeyLen = 32

const (
	version  = 1
	idLen    = 8
	nonceLen = 12
	headLen  = 1 + idLen + nonceLen
	tagLen   = 16
)

// Ring is the keys of a server. It is safe for use by several goroutines.
type Ring struct {
	first key
	keys  map[[idLen]byte]key
}

type key struct {
	id   [idLen]byte
	aead cipher.AEAD
}

// New makes a ring. The first key seals; the others open what they have
// sealed.
func New(keys ...[]byte) (*Ring, error) {
	if len(keys) == 0 {
		return nil, herald.Errorf(herald.CodeInvalidRequest, remedyKeys, "there is no key")
	}
	r := &Ring{keys: map[[idLen]byte]key{}}
	for i, secret := range keys {
		if len(secret) != KeyLen {
			return nil, herald.Errorf(herald.CodeInvalidRequest, remedyKeys, "key %d has %d bytes, not %d", i+1, len(secret), KeyLen)
		}
		k, err := derive(secret)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r.first = k
		}
		r.keys[k.id] = k
	}
	return r, nil
}

// FromServerKey makes a ring of the server key, for an installation that names
// no keys of its own.
func FromServerKey(serverKey []byte) (*Ring, error) {
	secret, err := hkdf.Key(sha256.New, serverKey, nil, "herald sealing v1", KeyLen)
	if err != nil {
		return nil, fmt.Errorf("seal: deriving a key: %w", err)
	}
	return New(secret)
}

// derive makes the key that is used, and its ID, from what was given: the ID
// tells nothing of either (RFC 5869).
func derive(secret []byte) (k key, err error) {
	used, err := hkdf.Key(sha256.New, secret, nil, "herald seal v1 key", KeyLen)
	if err != nil {
		return k, fmt.Errorf("seal: deriving a key: %w", err)
	}
	id, err := hkdf.Key(sha256.New, secret, nil, "herald seal v1 id", idLen)
	if err != nil {
		return k, fmt.Errorf("seal: deriving the ID of a key: %w", err)
	}
	copy(k.id[:], id)
	block, err := aes.NewCipher(used)
	if err != nil {
		return k, fmt.Errorf("seal: %w", err)
	}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		return k, fmt.Errorf("seal: %w", err)
	}
	return k, nil
}

// ID names the key that seals, for logs and for people.
func (r *Ring) ID() string { return hex.EncodeToString(r.first.id[:]) }

// Seal encrypts a secret (AES-256-GCM with a random nonce). place says what it
// is and where it is kept, such as "webhook APP ID": what is moved to another
// place does not open there.
func (r *Ring) Seal(place string, secret []byte) []byte {
	out := make([]byte, headLen, headLen+len(secret)+tagLen)
	out[0] = version
	copy(out[1:], r.first.id[:])
	nonce := out[1+idLen : headLen]
	_, _ = rand.Read(nonce) // it never fails
	return r.first.aead.Seal(out, nonce, secret, bound(out, place))
}

// bound is what a sealed secret is bound to: its head and its place.
func bound(sealed []byte, place string) []byte {
	return append(bytes.Clone(sealed[:1+idLen]), place...)
}

// Open decrypts a secret. stale tells that another key than the first has
// sealed it, so that it should be sealed again.
func (r *Ring) Open(place string, sealed []byte) (secret []byte, stale bool, err error) {
	if len(sealed) < headLen+tagLen || sealed[0] != version {
		return nil, false, herald.Errorf(herald.CodeInternal, remedyRestore, "seal: a secret is not in the form in which secrets are kept")
	}
	id := [idLen]byte(sealed[1:])
	k, known := r.keys[id]
	if !known {
		return nil, false, herald.Errorf(herald.CodeInternal, "Add that key behind the one in use, and restart the server.", "seal: a secret was sealed with the key %x, which is not among those given", id[:])
	}
	secret, err = k.aead.Open([]byte{}, sealed[1+idLen:headLen], sealed[headLen:], bound(sealed, place))
	if err != nil {
		return nil, false, herald.Errorf(herald.CodeInternal, remedyRestore, "seal: a secret is damaged, or was kept in another place")
	}
	return secret, id != r.first.id, nil
}

const (
	remedyRestore = "Set the secret anew, or restore the database from a backup."
	remedyKeys    = "Write one key a line, 32 random bytes as base64 or hex, the one that is to seal first; \"openssl rand -base64 32\" makes one."
)
