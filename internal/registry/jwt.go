package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/herald-push/herald"
)

const (
	// JWTLeeway is by how much clocks may differ.
	JWTLeeway = time.Minute
	// MaxJWTAge is for how long a JWT may be good yet when it is used.
	MaxJWTAge = 24 * time.Hour
	// MaxJWTKeys is how many keys for JWTs an app may have.
	MaxJWTKeys = 20

	jwtPrefix = "eyJ" // how an object of JSON begins in base64
)

// isJWT tells by its look whether a token is to be read as a JWT (RFC 7519).
func isJWT(token string) bool {
	return strings.HasPrefix(token, jwtPrefix) && strings.Count(token, ".") == 2
}

// jwtRemedy says what a JWT has to be like.
const jwtRemedy = `Sign {"iss":"<issuer of a key>","aud":"<app key>","sub":"<registration ID>","exp":<Unix time, at most 24 hours ahead>} with a key of GET /v1/jwt_keys, and name its kid and algorithm in the header.`

// errJWT is the same whatever is wrong, so that who guesses learns nothing.
func errJWT() error { return unauthorized(jwtRemedy, "the JWT is not valid") }

// AppOf reads which app a token of a device or a page, or a JWT, names, without
// believing it.
func (r *Registry) AppOf(token string) (herald.AppKey, bool) {
	if isJWT(token) {
		app, _ := r.audience(token)
		if app == nil {
			return "", false
		}
		return app.key, true
	}
	_, key, ok := appOf(token)
	return key, ok
}

// audience finds the app that a JWT is for: the one that its "aud" names, which
// may name others than apps too. The token is not believed yet.
func (r *Registry) audience(token string) (app *App, ok bool) {
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // the decoder would skip them
		return nil, false
	}
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	var claims struct {
		Audience jwt.ClaimStrings `json:"aud"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || len(claims.Audience) > 10 {
		return nil, false
	}
	for _, name := range claims.Audience {
		switch one := r.app(herald.AppKey(name)); {
		case one == nil:
		case app != nil && app != one:
			return nil, false
		default:
			app = one
		}
	}
	return app, app != nil
}

// deviceOfJWT checks a JWT in the place of a device token. The device must be
// there; where its ordinal is not known the record is read.
func (r *Registry) deviceOfJWT(ctx context.Context, token string) (DeviceAuth, error) {
	app, ok := r.audience(token)
	if !ok {
		return DeviceAuth{}, errJWT()
	}
	claims, until, err := r.verifyJWT(app, token)
	if err != nil {
		return DeviceAuth{}, err
	}
	id := herald.RegistrationID(strings.Clone(claims.Subject))
	if !id.Valid() {
		return DeviceAuth{}, errJWT()
	}
	found, err := r.ordinals(ctx, app, app.key, []herald.RegistrationID{id})
	if err != nil {
		return DeviceAuth{}, err
	}
	ord, ok := found[id]
	a := DeviceAuth{App: app.key, ID: id, Ord: ord, Until: until}
	if dead, _ := app.describe(&a); !ok || dead {
		return DeviceAuth{}, unauthorized("Register the device with POST /v1/devices, and sign its registration ID as sub.", "the JWT is that of a device which is not there")
	}
	a.BoundPos = app.boundLately(ord)
	return a, nil
}

// verifyJWT checks signature and claims, and tells when what the token proves
// ends.
func (r *Registry) verifyJWT(app *App, token string) (claims jwt.RegisteredClaims, until time.Time, err error) {
	now := r.now()
	var used *jwtKey
	_, err = jwt.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if _, critical := t.Header["crit"]; critical { // RFC 7515 section 4.1.11: nothing of it is understood here
			return nil, errJWT()
		}
		if used = app.jwtKey(kid, claims.Issuer); used == nil || t.Method.Alg() != used.row.Algorithm {
			return nil, errJWT()
		}
		return r.keyOf(used)
	}, jwt.WithStrictDecoding(), jwt.WithLeeway(JWTLeeway), jwt.WithIssuedAt(), jwt.WithExpirationRequired(),
		jwt.WithAudience(string(app.key)), jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenUnverifiable) || errors.Is(err, jwt.ErrTokenSignatureInvalid) || !errors.Is(err, jwt.ErrTokenExpired):
		return claims, until, errJWT()
	default:
		return claims, until, unauthorized("Have the back end sign a new one.", "the JWT has expired")
	}
	until = claims.ExpiresAt.Add(JWTLeeway)
	if end := used.row.Expires; !end.IsZero() {
		if !now.Before(end) {
			return claims, until, unauthorized("Sign with a key of GET /v1/jwt_keys that is good yet.", "the key of the JWT has expired")
		}
		if end.Before(until) {
			until = end
		}
	}
	if claims.ExpiresAt.After(now.Add(MaxJWTAge + JWTLeeway)) {
		return claims, until, unauthorized("Let exp be at most 24 hours ahead.", "the JWT is good for longer than it may be")
	}
	return claims, until, nil
}
