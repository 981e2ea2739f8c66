// Package seal encrypts secrets that have to be read again, such as those of
// webhooks, with keys from outside the database.
//
// A sealed secret names its key, so that keys can be replaced: the first one
// seals, all of them open, and what older ones sealed is sealed anew in steps.
// Nothing here keeps a secret: who does is a [Keeper].
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
	"sync/atomic"

	"github.com/herald-push/herald"
)

// KeyLen is the length of a key in bytes.
const KeyLen = 32

const (
	version  = 2
	idLen    = 8
	nonceLen = 12
	headLen  = 1 + idLen + nonceLen
	tagLen   = 16
)

// Ring is the keys of a server. It is safe for use by several goroutines.
type Ring struct {
	server key
	former former
	state  atomic.Pointer[state]
}

type key struct {
	id   [idLen]byte
	aead cipher.AEAD
}

// state is what a ring is made of at one time.
type state struct {
	order []key // the first one seals
	keys  map[[idLen]byte]key
}

// New makes a ring of the keys that an operator has given, if any, and of one
// that is derived from the server key, which comes last: it seals where no
// other is given, and opens what it sealed before there was another.
func New(serverKey []byte, keys ...[]byte) (*Ring, error) {
	secret, err := hkdf.Key(sha256.New, serverKey, nil, "herald sealing v1", KeyLen)
	if err != nil {
		return nil, fmt.Errorf("seal: deriving a key: %w", err)
	}
	r := &Ring{}
	if r.server, err = derive(secret); err != nil {
		return nil, err
	}
	if r.former, err = newFormer(serverKey); err != nil {
		return nil, err
	}
	return r, r.Use(keys...)
}

// Use puts keys in the place of those that were given before. Those stay to
// open what was sealed until now; a new ring does not have them.
func (r *Ring) Use(keys ...[]byte) error {
	s := &state{keys: map[[idLen]byte]key{}}
	add := func(k key) {
		if _, there := s.keys[k.id]; !there {
			s.keys[k.id], s.order = k, append(s.order, k)
		}
	}
	for i, secret := range keys {
		if len(secret) != KeyLen {
			return herald.Errorf(herald.CodeInvalidRequest, remedyKeys, "seal: key %d has %d bytes, not %d", i+1, len(secret), KeyLen)
		}
		k, err := derive(secret)
		if err != nil {
			return err
		}
		add(k)
	}
	if before := r.state.Load(); before != nil && len(keys) > 0 {
		for _, k := range before.order {
			if k.id != r.server.id {
				add(k)
			}
		}
	}
	add(r.server)
	r.state.Store(s)
	return nil
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

// IDOf names a key.
func IDOf(secret []byte) (string, error) {
	k, err := derive(secret)
	return k.String(), err
}

// ID names the key that seals, for logs and for people.
func (r *Ring) ID() string { return r.state.Load().order[0].String() }

func (k key) String() string { return hex.EncodeToString(k.id[:]) }

// IDs names the keys, the one that seals first. Behind the last one, that of the
// server key, comes the form in which it sealed formerly.
func (r *Ring) IDs() []string {
	var out []string
	for _, k := range r.state.Load().order {
		out = append(out, k.String())
	}
	return append(out, Former)
}

// KeyOf names the key that a secret was sealed with, and tells whether the ring
// has it; "" is for what is no sealed secret.
func (r *Ring) KeyOf(sealed []byte) (id string, known bool) {
	switch {
	case r.former.is(sealed):
		return Former, true
	case len(sealed) < headLen+tagLen || sealed[0] != version:
		return "", false
	}
	k := [idLen]byte(sealed[1:])
	_, known = r.state.Load().keys[k]
	return key{id: k}.String(), known
}

// Seal encrypts a secret (AES-256-GCM with a random nonce). place says what it
// is and where it is kept, such as "webhook APP ID": what is moved to another
// place does not open there.
func (r *Ring) Seal(place string, secret []byte) []byte {
	first := r.state.Load().order[0]
	out := make([]byte, headLen, headLen+len(secret)+tagLen)
	out[0] = version
	copy(out[1:], first.id[:])
	nonce := out[1+idLen : headLen]
	_, _ = rand.Read(nonce) // it never fails
	return first.aead.Seal(out, nonce, secret, bound(out, place))
}

// bound is what a sealed secret is bound to: its head and its place.
func bound(sealed []byte, place string) []byte {
	return append(bytes.Clone(sealed[:1+idLen]), place...)
}

// Open decrypts a secret. stale tells that another key than the first has
// sealed it, so that it should be sealed again.
func (r *Ring) Open(place string, sealed []byte) (secret []byte, stale bool, err error) {
	if r.former.is(sealed) {
		secret, err = r.former.open(place, sealed)
		return secret, true, err
	}
	if len(sealed) < headLen+tagLen || sealed[0] != version {
		return nil, false, herald.Errorf(herald.CodeInternal, remedyRestore, "seal: a secret is not in the form in which secrets are kept")
	}
	s, id := r.state.Load(), [idLen]byte(sealed[1:])
	k, known := s.keys[id]
	if !known {
		return nil, false, herald.Errorf(herald.CodeInternal, remedyAdd, "seal: a secret was sealed with the key %x, which is not among those given", id[:])
	}
	secret, err = k.aead.Open([]byte{}, sealed[1+idLen:headLen], sealed[headLen:], bound(sealed, place))
	if err != nil {
		return nil, false, damaged()
	}
	return secret, id != s.order[0].id, nil
}

func damaged() error {
	return herald.Errorf(herald.CodeInternal, remedyRestore, "seal: a secret is damaged, or was kept in another place")
}

const (
	remedyRestore = "Set the secret anew, or restore the database from a backup."
	remedyAdd     = "Add that key behind the one in use, and restart the server."
	remedyKeys    = "Write one key a line, 32 random bytes as base64 or hex, the one that is to seal first; \"openssl rand -base64 32\" makes one."
)
