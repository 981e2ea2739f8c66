package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/mail"
	"net/url"
	"strings"

	"github.com/herald-push/herald"
)

// NewKeys makes a pair of VAPID keys, in base64url without padding: public is the
// uncompressed point that pages subscribe with, private the number behind it.
func NewKeys() (public, private string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("webpush: %w", err)
	}
	raw, err := key.Bytes()
	if err != nil {
		return "", "", fmt.Errorf("webpush: %w", err)
	}
	public, err = publicOf(key)
	return public, base64.RawURLEncoding.EncodeToString(raw), err
}

func publicOf(key *ecdsa.PrivateKey) (string, error) {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return "", fmt.Errorf("webpush: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(point), nil
}

// complete makes the keys of a credential that has none, and the public one of a
// credential that has the other.
func complete(values map[string]string) error {
	public, private := values["public_key"], values["private_key"]
	switch {
	case private == "" && public != "":
		return herald.Invalid("private_key", "Give the private key too, or leave both out.", "there is a public key without its private key")
	case private == "":
		var err error
		if public, private, err = NewKeys(); err != nil {
			return err
		}
	default:
		_, made, err := readKeys(public, private)
		if err != nil {
			return err
		}
		public = made
	}
	values["public_key"], values["private_key"] = public, private
	return nil
}

// readKeys reads the keys of a credential. The public one may be missing; it is
// given in the form that the push service is told.
func readKeys(public, private string) (*ecdsa.PrivateKey, string, error) {
	const remedy = "Give the pair of keys that pages subscribe with, or leave both out to have a new pair made."
	if private == "" {
		return nil, "", herald.Invalid("private_key", remedy, "there is no private key")
	}
	raw, err := decode(private)
	if err != nil || len(raw) != 32 {
		return nil, "", herald.Invalid("private_key", remedy, "the private key is not 32 bytes in base64url")
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return nil, "", herald.Invalid("private_key", remedy, "the private key is not one of P-256")
	}
	own, err := publicOf(key)
	if err != nil {
		return nil, "", err
	}
	if public == "" {
		return key, own, nil
	}
	given, err := decode(public)
	if err != nil || base64.RawURLEncoding.EncodeToString(given) != own {
		return nil, "", herald.Invalid("public_key", remedy, "the public key does not belong to the private key")
	}
	return key, own, nil
}

// decode reads base64url and base64, with and without padding: browsers and
// libraries differ.
func decode(s string) ([]byte, error) {
	s = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(s, "="))
	return base64.RawURLEncoding.DecodeString(s)
}

// checkSubject: RFC 8292, section 2.1, wants a mailto: or https: URL. Some
// services refuse one that leads nowhere.
func checkSubject(s string) error {
	const remedy = "Write for example mailto:push@example.com or https://example.com/contact."
	u, err := url.Parse(s)
	if err != nil || len(s) > 250 {
		return herald.Invalid("subject", remedy, "the subject is not a URL")
	}
	host := u.Hostname()
	switch u.Scheme {
	case "mailto":
		a, err := mail.ParseAddress(u.Opaque)
		if err != nil || a.Address != u.Opaque {
			return herald.Invalid("subject", remedy, "the subject has no mail address")
		}
		host = a.Address[strings.LastIndexByte(a.Address, '@')+1:]
	case "https":
	default:
		return herald.Invalid("subject", remedy, "the subject is neither a mailto: nor an https: URL")
	}
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return herald.Invalid("subject", remedy, "the subject leads to nobody beyond this machine, which push services refuse")
	}
	return nil
}
