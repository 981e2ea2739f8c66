package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signer reads an Authorization of the scheme vapid (RFC 8292, section 3) and
// gives the key that has signed; "" if there is none.
func (s *Service) signer(authorization string) (key string, _ *problem) {
	if authorization == "" {
		return "", nil
	}
	scheme, rest, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "vapid") {
		return "", &problem{401, 109, "Unsupported authorization scheme"}
	}
	var word string
	for item := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		switch name {
		case "t":
			word = value
		case "k":
			key = value
		}
	}
	if s.barred[key] {
		return "", &problem{403, 109, "This application server is blocked"}
	}
	point, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return "", &problem{401, 109, "Invalid VAPID public key"}
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return "", &problem{401, 109, "Invalid VAPID public key"}
	}
	if err := s.verify(word, public); err != nil {
		return "", &problem{403, 109, "Invalid VAPID token: " + err.Error()}
	}
	return key, nil
}

// verify checks the claims of RFC 8292, section 2, and as Mozilla and Apple do,
// that there is a subject.
func (s *Service) verify(word string, public *ecdsa.PublicKey) error {
	var claims jwt.RegisteredClaims
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(s.cfg.Now), jwt.WithExpirationRequired(), jwt.WithAudience(s.cfg.URL)).
		ParseWithClaims(word, &claims, func(*jwt.Token) (any, error) { return public, nil })
	if err != nil {
		return err
	}
	if claims.ExpiresAt.Sub(s.cfg.Now()) > 24*time.Hour {
		return errors.New("exp is more than 24 hours ahead")
	}
	u, err := url.Parse(claims.Subject)
	if err != nil || u.Scheme != "mailto" && u.Scheme != "https" || strings.HasSuffix(claims.Subject, "localhost") {
		return errors.New("sub is no mailto: or https: URL that leads anywhere")
	}
	return nil
}

func isPoint(key string) bool {
	b, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return false
	}
	_, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	return err == nil
}
