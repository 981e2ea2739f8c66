package apns

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

// Apple takes a token for an hour, and a new one not more often than every 20
// minutes.
const (
	tokenFor   = 50 * time.Minute
	tokenRests = 20 * time.Minute
)

// bearer makes the tokens that say who sends. All calls share one.
type bearer struct {
	key        *ecdsa.PrivateKey
	keyID, iss string
	now        func() time.Time

	mu   sync.Mutex // guards what follows
	word string
	made time.Time
}

func newBearer(text, keyID, teamID string, now func() time.Time) (*bearer, error) {
	if len(keyID) != 10 {
		return nil, herald.Invalid("key_id", "It is in the name of the file: AuthKey_<key ID>.p8.", "a key ID has 10 characters")
	}
	if len(teamID) != 10 {
		return nil, herald.Invalid("team_id", "It is in Apple's developer account, under Membership.", "a team ID has 10 characters")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, herald.Invalid("key", "Give the whole text of the .p8 file, with the lines BEGIN and END.", "the key is not PEM")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, herald.Invalid("key", "Give the .p8 file of a key for APNs.", "the key is not one of P-256 in PKCS #8")
	}
	return &bearer{key: key, keyID: keyID, iss: teamID, now: now}, nil
}

// token gives the token; a new one if it is old, or if Apple found it too old
// and it is not one that was made a moment ago.
func (b *bearer) token(fresh bool) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	age := now.Sub(b.made)
	if b.word != "" && age >= 0 && (age < tokenRests || !fresh && age < tokenFor) {
		return b.word, nil
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": b.iss, "iat": now.Unix()})
	t.Header["kid"] = b.keyID
	delete(t.Header, "typ")
	word, err := t.SignedString(b.key)
	if err != nil {
		return "", &provider.Error{Kind: provider.Unauthorized, Text: "the key does not sign", Err: err}
	}
	b.word, b.made = word, now
	return word, nil
}

// readCertificate reads a certificate with its key: PEM, or PKCS #12 in base64.
func readCertificate(text, password string, now time.Time) (tls.Certificate, error) {
	var pair tls.Certificate
	var err error
	if strings.Contains(text, "-----BEGIN") {
		pair, err = tls.X509KeyPair([]byte(text), []byte(text))
	} else {
		pair, err = readPKCS12(text, password)
	}
	if err != nil {
		return pair, herald.Invalid("certificate", "Give the certificate and its private key as PEM, or the .p12 file in base64 and its password.", "the certificate cannot be read: %v", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return pair, herald.Invalid("certificate", "Export it again.", "the certificate cannot be read: %v", err)
	}
	if now.After(leaf.NotAfter) {
		return pair, herald.Invalid("certificate", "Make a new one in Apple's developer account, or use a key, which does not end.", "the certificate ended on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	pair.Leaf = leaf
	return pair, nil
}

func readPKCS12(text, password string) (tls.Certificate, error) {
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return tls.Certificate{}, err
	}
	key, leaf, chain, err := pkcs12.DecodeChain(b, password)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return pair, nil
}
