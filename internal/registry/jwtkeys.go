package registry

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Sealer seals secrets that have to be read again; seal.Ring is one.
type Sealer interface {
	// Seal encrypts a secret for a place.
	Seal(place string, secret []byte) []byte
	// Open decrypts it.
	Open(place string, sealed []byte) ([]byte, error)
}

// jwtKey is a key that checks JWTs. What checks is nil until it is needed, and is
// guarded by App.mu.
type jwtKey struct {
	row    record.JWTKey
	checks any
}

// Bounds of secrets, of which RFC 7518 section 3.2 has the lower one, and of RSA
// keys (section 3.3), of which a very long one would make each check dear.
const (
	minJWTSecret = 32
	maxJWTSecret = 1024
	minRSABits   = 2048
	maxRSABits   = 8192
	maxPublicKey = 8 << 10
)

func (r *Registry) loadJWTKeys(ctx context.Context) error {
	list, err := r.store.JWTKeys(ctx)
	for _, k := range list {
		if app := r.app(k.App); app != nil {
			app.jwtKeys = append(app.jwtKeys, &jwtKey{row: k})
		}
	}
	return err
}

// jwtKey finds the key that the head and the issuer of a JWT name.
func (a *App) jwtKey(kid, issuer string) *jwtKey {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.jwtKeys {
		if k.row.KeyID == kid && k.row.Issuer == issuer {
			return k
		}
	}
	return nil
}

// keyOf gives what checks a signature.
func (r *Registry) keyOf(k *jwtKey) (any, error) {
	app := r.app(k.row.App)
	app.mu.Lock()
	defer app.mu.Unlock()
	if k.checks != nil {
		return k.checks, nil
	}
	var err error
	switch {
	case k.row.Algorithm != "HS256":
		k.checks, _, err = parsePublic(k.row.Algorithm, k.row.PublicKey)
	case k.row.Sealed == nil || r.sealer == nil:
		err = errJWT() // its secret was given up
	default:
		var secret []byte
		if secret, err = r.sealer.Open(k.row.Place(), k.row.Sealed); err == nil {
			k.checks = secret
		}
	}
	return k.checks, err
}

// parsePublic reads a public key and gives it in the one form that is kept.
func parsePublic(algorithm, text string) (key any, form string, err error) {
	bad := func(remedy, format string, args ...any) (any, string, error) {
		return nil, "", herald.Invalid("public_key", remedy, format, args...)
	}
	const remedy = "Send the public key as PEM, from -----BEGIN PUBLIC KEY----- on; openssl pkey -pubout writes it."
	if len(text) > maxPublicKey {
		return bad(remedy, "%d bytes are more than %d", len(text), maxPublicKey)
	}
	block, rest := pem.Decode([]byte(text))
	switch {
	case strings.Contains(text, "PRIVATE KEY"):
		return bad("Send the public key, and let the private one stay where it signs; make a new pair, because this one has travelled.", "is a private key")
	case block == nil || block.Type != "PUBLIC KEY" || strings.TrimSpace(string(rest)) != "":
		return bad(remedy, "is not one public key as PEM")
	}
	if key, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		return bad(remedy, "cannot be read")
	}
	fits := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		if fits = algorithm == "RS256"; fits && (k.N.BitLen() < minRSABits || k.N.BitLen() > maxRSABits) {
			return bad("Use an RSA key of 2048 to 8192 bits.", "the key has %d bits", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		fits = algorithm == "ES256" && k.Curve == elliptic.P256()
	case ed25519.PublicKey:
		fits = algorithm == "EdDSA"
	}
	if !fits {
		return bad("Use an RSA key for RS256, one on the curve P-256 for ES256, and one of Ed25519 for EdDSA.", "is not a key for %s", algorithm)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})), nil
}

// CreateJWTKey makes a key for JWTs, of which kid, issuer, algorithm and end are
// given, and a public key or, for HS256, a secret. Without a secret one is made,
// which is told this once.
func (r *Registry) CreateJWTKey(ctx context.Context, key herald.AppKey, row record.JWTKey, secret string) (_ record.JWTKey, made string, err error) {
	app, err := r.App(key)
	if err != nil {
		return row, "", err
	}
	row.App, row.ID, row.Created = key, string(herald.NewAppKey()[:keyIDLen]), r.now().UTC()
	switch {
	case row.Algorithm != "HS256" && secret != "":
		return row, "", herald.Invalid("secret", "Send public_key alone; a secret is for HS256.", "stands beside the algorithm %.20s", row.Algorithm)
	case row.Algorithm != "HS256":
		if _, row.PublicKey, err = parsePublic(row.Algorithm, row.PublicKey); err != nil {
			return row, "", err
		}
	default:
		if made, err = r.sealJWT(&row, secret); err != nil {
			return row, "", err
		}
	}
	app.change.Lock()
	defer app.change.Unlock()
	if err := app.roomForJWT(row); err != nil {
		return row, "", err
	}
	record.AuditOf(ctx).Note(func(a *record.Audit) { a.Object, a.Changes = row.ID, record.Changes(struct{}{}, row.Told()) })
	if err := r.store.CreateJWTKey(ctx, row); err != nil {
		return row, "", err
	}
	app.mu.Lock()
	app.jwtKeys = append(app.jwtKeys, &jwtKey{row: row})
	app.mu.Unlock()
	return row, made, nil
}

// sealJWT seals the secret of a key, or one that it makes and gives.
func (r *Registry) sealJWT(row *record.JWTKey, secret string) (made string, err error) {
	if row.PublicKey != "" {
		return "", herald.Invalid("public_key", "Leave it out: HS256 has a secret.", "stands beside the algorithm HS256")
	}
	if r.sealer == nil {
		return "", herald.Errorf(herald.CodeInternal, "Use a public key.", "there is nothing to seal a secret with")
	}
	if secret == "" {
		made = herald.NewSecret(2 * minJWTSecret)
		secret = made
	}
	if len(secret) < minJWTSecret || len(secret) > maxJWTSecret {
		return "", herald.Invalid("secret", "Use 32 to 1024 random bytes, or leave it out to be given one.", "%d bytes are not between %d and %d", len(secret), minJWTSecret, maxJWTSecret)
	}
	row.Sealed = r.sealer.Seal(row.Place(), []byte(secret))
	return made, nil
}

// roomForJWT checks that there is room for a key, and none like it.
func (a *App) roomForJWT(row record.JWTKey) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.jwtKeys) >= MaxJWTKeys {
		return herald.Errorf(herald.CodeLimitReached, "Delete a key that is not used any more.", "an app has at most %d keys for JWTs", MaxJWTKeys)
	}
	for _, k := range a.jwtKeys {
		if k.row.KeyID == row.KeyID && k.row.Issuer == row.Issuer {
			return herald.Errorf(herald.CodeConflict, "Delete that key, or choose another kid.", "the issuer has a key with this kid")
		}
	}
	return nil
}

// JWTKeys lists the keys of an app for JWTs, oldest first.
func (r *Registry) JWTKeys(key herald.AppKey) (out []record.JWTKey) {
	if app := r.app(key); app != nil {
		app.mu.Lock()
		defer app.mu.Unlock()
		for _, k := range app.jwtKeys {
			out = append(out, k.row)
		}
	}
	slices.SortStableFunc(out, func(a, b record.JWTKey) int { return a.Created.Compare(b.Created) })
	return out
}

// DeleteJWTKey has JWTs of a key be refused from now on.
func (r *Registry) DeleteJWTKey(ctx context.Context, key herald.AppKey, id string) error {
	app, err := r.App(key)
	if err != nil {
		return err
	}
	app.change.Lock()
	defer app.change.Unlock()
	if err := r.store.DeleteJWTKey(ctx, key, id); err != nil {
		return err
	}
	app.mu.Lock()
	defer app.mu.Unlock()
	app.jwtKeys = slices.DeleteFunc(app.jwtKeys, func(k *jwtKey) bool { return k.row.ID == id })
	return nil
}
