package webpush

import (
	"crypto/ecdsa"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald/internal/provider"
)

const (
	// tokenFor is how long a signature is good; RFC 8292, section 2, allows 24
	// hours. It is used for half of that, so that a clock may be some hours wrong.
	tokenFor = 12 * time.Hour
	// maxOrigins bounds the signatures that are kept. There are a handful of push
	// services, unless a credential calls any host.
	maxOrigins = 1000
)

// vapid signs for push services: one signature for each of them, for all calls.
type vapid struct {
	key             *ecdsa.PrivateKey
	public, subject string
	now             func() time.Time

	mu      sync.Mutex // guards what follows
	origins map[string]*signed
}

// signed is a signature for one push service.
type signed struct {
	text  string
	made  time.Time
	taken atomic.Bool // the service has taken a message with it
}

// token gives the signature for a push service, by its origin.
func (v *vapid) token(origin string) (*signed, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.now()
	if s := v.origins[origin]; s != nil && !now.Before(s.made) && now.Sub(s.made) < tokenFor/2 {
		return s, nil
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"aud": origin, "exp": now.Add(tokenFor).Unix(), "sub": v.subject}).SignedString(v.key)
	if err != nil {
		return nil, &provider.Error{Kind: provider.Unauthorized, Text: "the key does not sign", Err: err}
	}
	if len(v.origins) >= maxOrigins {
		clear(v.origins)
	}
	s := &signed{text: text, made: now}
	v.origins[origin] = s
	return s, nil
}
