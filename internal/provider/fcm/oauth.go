package fcm

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

const (
	scope = "https://www.googleapis.com/auth/firebase.messaging"
	// An access token is renewed so long before it ends.
	renewBefore = 5 * time.Minute
)

// oauth gets access tokens for a service account (RFC 7523). All calls share one.
type oauth struct {
	key    *rsa.PrivateKey
	a      account
	url    string
	client *egress.Client
	now    func() time.Time

	turn  chan struct{} // of one: held by who looks at what follows, and asks for a token
	word  string
	until time.Time
}

func newOAuth(a account, tokens string, client *egress.Client, now func() time.Time) (*oauth, error) {
	const remedy = "Give the JSON file as it was downloaded."
	block, _ := pem.Decode([]byte(a.PrivateKey))
	if block == nil {
		return nil, herald.Invalid("service_account", remedy, "its private_key is not PEM")
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := any.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, herald.Invalid("service_account", remedy, "its private_key is not one of RSA in PKCS #8")
	}
	return &oauth{key: key, a: a, url: tokens, client: client, now: now, turn: make(chan struct{}, 1)}, nil
}

// token gives an access token, another one than that which was found stale. One
// call at a time asks for it; the others wait for what it gets.
func (o *oauth) token(ctx context.Context, stale string) (string, error) {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return "", provider.Lost(ctx.Err(), false)
	}
	defer func() { <-o.turn }()
	if o.word != "" && o.word != stale && o.now().Before(o.until) {
		return o.word, nil
	}
	word, lasts, err := o.ask(ctx)
	if err != nil {
		return "", err
	}
	o.word, o.until = word, o.now().Add(max(lasts-renewBefore, lasts/2))
	return word, nil
}

func (o *oauth) ask(ctx context.Context) (word string, lasts time.Duration, _ error) {
	now := o.now()
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": o.a.Email, "scope": scope, "aud": o.url, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	t.Header["kid"] = o.a.KeyID
	assertion, err := t.SignedString(o.key)
	if err != nil {
		return "", 0, &provider.Error{Kind: provider.Unauthorized, Text: "the key does not sign", Err: err}
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	// The body and the answer are secrets: they are in no transcript.
	a, err := o.client.Do(ctx, egress.Request{Method: http.MethodPost, URL: o.url, Body: []byte(form.Encode()),
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}})
	if err != nil {
		return "", 0, provider.Lost(err, false) // no message was sent
	}
	var said struct {
		Token   string `json:"access_token"`
		Lasts   int64  `json:"expires_in"`
		Error   string `json:"error"`
		Details string `json:"error_description"`
	}
	readable := json.Unmarshal(a.Body, &said) == nil
	switch {
	case a.Status == http.StatusOK && readable && said.Token != "":
		return said.Token, time.Duration(min(max(said.Lasts, 60), 24*3600)) * time.Second, nil
	case a.Status >= 500 || a.Status == 429 || a.Status == 200:
		e := provider.OfStatus(max(a.Status, 500), a.RetryAfter)
		e.Text = "Google gives no access token: " + e.Text
		return "", 0, e
	}
	e := provider.Errorf(provider.Unauthorized, said.Error, "Check that the service account and its key still exist, and make a new key if not.",
		"Google does not take the service account: %.200s", said.Details)
	return "", 0, e.BlameClock(a.Header, now)
}
