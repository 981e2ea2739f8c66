package registry

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
)

// Forms of the credentials: docs/design/002-credentials.md.
const (
	tokenPrefix  = "hd1"
	pagePrefix   = "hp1"
	keyPrefix    = "hk1"
	keyIDLen     = 8
	keySecretLen = 32
	tokenMACLen  = 16
	cursorMACLen = 9
	maxToken     = 4096 // bytes of any credential, checked before parsing

	// PageTokenTTL is how long a page token is good for.
	PageTokenTTL = 30 * 24 * time.Hour
)

// signingKeys are the keys of one app, derived from the server key, so that
// the database alone signs nothing.
type signingKeys struct {
	token, cursor, page *signer
	jwt                 string
}

// signer makes MACs with one key. It is safe for use by several goroutines,
// which share a few states: half of a short MAC is to set up its key.
type signer struct{ states sync.Pool }

type macState struct {
	hash      hash.Hash
	text, sum []byte
}

func newSigner(key []byte) *signer {
	return &signer{sync.Pool{New: func() any { return &macState{hash: hmac.New(sha256.New, key)} }}}
}

func deriveKeys(secret []byte, app herald.AppKey) (k signingKeys, err error) {
	derive := func(purpose string) []byte {
		b, e := hkdf.Key(sha256.New, secret, nil, "herald "+purpose+" v1 "+string(app), 32)
		if e != nil {
			err = fmt.Errorf("registry: deriving the %s key: %w", purpose, e)
		}
		return b
	}
	k.token, k.cursor, k.page = newSigner(derive("device token")), newSigner(derive("cursor")), newSigner(derive("page token"))
	k.jwt = base64.RawURLEncoding.EncodeToString(derive("alias token"))
	return k, err
}

// mac appends the MAC of a text in base64url, cut to a length in bytes.
func (g *signer) mac(b []byte, text string, length int) []byte {
	m := g.states.Get().(*macState)
	defer g.states.Put(m)
	m.hash.Reset()
	m.text = append(m.text[:0], text...)
	m.hash.Write(m.text)
	m.sum = m.hash.Sum(m.sum[:0])
	return base64.RawURLEncoding.AppendEncode(b, m.sum[:length])
}

// signed gives text with its MAC behind the last dot.
func (g *signer) signed(text string, length int) string {
	b := make([]byte, 0, len(text)+1+base64.RawURLEncoding.EncodedLen(length))
	return string(g.mac(append(append(b, text...), '.'), text, length))
}

// verified gives back the text of what signed made, and false if the MAC is
// not that of the key.
func (g *signer) verified(s string, length int) (string, bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", false
	}
	var room [64]byte
	return s[:i], subtle.ConstantTimeCompare([]byte(s[i+1:]), g.mac(room[:0], s[:i], length)) == 1
}

// HashSecret is what the record keeps of a master secret. The secrets have at
// least 142 random bits, which no dictionary reaches, so one round of SHA-256 is
// enough and costs nothing on the hot path.
func HashSecret(s string) []byte { return hashSecret(s) }

func hashSecret(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

func sameSecret(hash []byte, s string) bool {
	return subtle.ConstantTimeCompare(hash, hashSecret(s)) == 1
}

// deviceClaims is what a device token says.
type deviceClaims struct {
	app        herald.AppKey
	epoch      herald.Epoch
	id         herald.RegistrationID
	ord        herald.Ordinal
	generation uint32
}

func (k signingKeys) deviceToken(c deviceClaims) string {
	return k.token.signed(fmt.Sprintf("%s.%s.%d.%s.%d.%d", tokenPrefix, c.app, c.epoch, c.id, c.ord, c.generation), tokenMACLen)
}

// appOf reads which app a credential of ours names, without believing it.
func appOf(token string) (prefix string, app herald.AppKey, ok bool) {
	if len(token) > maxToken {
		return "", "", false
	}
	prefix, rest, _ := strings.Cut(token, ".")
	key, _, found := strings.Cut(rest, ".")
	return prefix, herald.AppKey(key), found && herald.AppKey(key).Valid()
}

func (k signingKeys) parseDeviceToken(token string) (c deviceClaims, ok bool) {
	text, ok := k.token.verified(token, tokenMACLen)
	f := strings.Split(text, ".")
	if !ok || len(f) != 6 || f[0] != tokenPrefix {
		return c, false
	}
	epoch, e1 := strconv.ParseUint(f[2], 10, 32)
	ord, e2 := strconv.ParseUint(f[4], 10, 32)
	gen, e3 := strconv.ParseUint(f[5], 10, 32)
	c = deviceClaims{herald.AppKey(f[1]), herald.Epoch(epoch), herald.RegistrationID(f[3]), herald.Ordinal(ord), uint32(gen)}
	return c, e1 == nil && e2 == nil && e3 == nil && c.id.Valid()
}

func (k signingKeys) pageToken(app herald.AppKey, installation string, expires time.Time) string {
	return k.page.signed(fmt.Sprintf("%s.%s.%s.%d", pagePrefix, app, installation, expires.Unix()), tokenMACLen)
}

func (k signingKeys) parsePageToken(token string) (installation string, expires time.Time, ok bool) {
	text, ok := k.page.verified(token, tokenMACLen)
	f := strings.Split(text, ".")
	if !ok || len(f) != 4 || f[0] != pagePrefix {
		return "", time.Time{}, false
	}
	sec, err := strconv.ParseInt(f[3], 10, 64)
	return f[2], time.Unix(sec, 0), err == nil
}

func formatKey(app herald.AppKey, id, secret string) string {
	return strings.Join([]string{keyPrefix, string(app), id, secret}, ".")
}

func (k signingKeys) formatCursor(epoch herald.Epoch, pos herald.Pos) string {
	return k.cursor.signed(fmt.Sprintf("%d.%d", epoch, pos), cursorMACLen)
}

func (k signingKeys) parseCursor(s string) (epoch herald.Epoch, pos herald.Pos, ok bool) {
	if len(s) > 64 {
		return 0, 0, false
	}
	text, ok := k.cursor.verified(s, cursorMACLen)
	a, b, _ := strings.Cut(text, ".")
	e, err1 := strconv.ParseUint(a, 10, 32)
	p, err2 := strconv.ParseUint(b, 10, 64)
	return herald.Epoch(e), herald.Pos(p), ok && err1 == nil && err2 == nil
}

// aliasOf checks an alias token: a JWT (RFC 7519) of the app's back end, HS256
// and no other algorithm, with iss = app key, aud = "herald", sub = the alias,
// and exp.
func (k signingKeys) aliasOf(app herald.AppKey, token string, now time.Time) (herald.Alias, error) {
	bad := func(format string, args ...any) error {
		return herald.Invalid("alias_token", `Sign {"iss":"<app key>","aud":"herald","sub":"<alias>","exp":<Unix time>} with HS256 and the app's JWT secret.`, format, args...)
	}
	if len(token) > maxToken {
		return "", bad("the token is longer than %d bytes", maxToken)
	}
	// RFC 7515, section 2: no line breaks, which the decoder would skip.
	if strings.ContainsAny(token, "\r\n") {
		return "", bad("the token has a line break")
	}
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return []byte(k.jwt), nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(string(app)), jwt.WithAudience("herald"),
		jwt.WithExpirationRequired(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		return "", bad("the token is refused: %s", strings.TrimPrefix(err.Error(), "token is unverifiable: "))
	}
	if err := herald.ValidName("alias_token.sub", claims.Subject); err != nil {
		return "", err
	}
	return herald.Alias(claims.Subject), nil
}
