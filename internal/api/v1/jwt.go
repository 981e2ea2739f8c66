package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	exampleJWTKey = `{"id":"q2w8e0r4","kid":"2026-11","issuer":"https://id.shop.example","algorithm":"EdDSA","public_key":"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n","created_at":"2026-11-21T09:30:00Z"}`
	newJWTKey     = `{"kid":"2026-11","issuer":"https://id.shop.example","algorithm":"EdDSA","public_key":"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"}`
)

type jwtKeyInput struct {
	ID string `path:"id" minLength:"1" doc:"ID of the key, as GET /v1/jwt_keys shows it; not its kid." example:"q2w8e0r4"`
}

// addJWT adds the operations on keys that check JWTs of devices.
func (a *API) addJWT() {
	register(a, operation{
		id: "listJWTKeys", method: "GET", path: "/v1/jwt_keys", tag: "App and keys", summary: "List keys for JWTs",
		description: "Shows the keys with which JWTs of devices are checked, without their secrets. Needs the master secret.", answer: `{"keys":[` + exampleJWTKey + `]}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.JWTKeyList], error) {
		return answer(a.service.Apps.JWTKeys(ctx, x.p))
	})
	register(a, operation{
		id: "createJWTKey", method: "POST", path: "/v1/jwt_keys", tag: "App and keys", summary: "Make a key for JWTs", status: http.StatusCreated, write: true,
		description: "Makes a key with which JWTs are checked that devices use in the place of a device token, over every transport and in calls. " +
			"A token names it by `kid` in its header and `iss` in its claims, and has its algorithm. It must have `aud` (the app key), `sub` (the registration ID of a device that is there) and `exp`, at most 24 hours ahead; " +
			"`nbf` and `iat` are checked if they are there, and clocks may differ by 60 seconds. A session is closed with 4001 when its token expires. " +
			"A secret that is made here is in this answer and nowhere else. An app has at most 20 keys. Needs the master secret.",
		body: api.JWTKeyRequest{}, example: newJWTKey, answer: exampleJWTKey, errors: []int{http.StatusConflict},
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.JWTKeyAnswer], error) {
		req, err := decode[api.JWTKeyRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Apps.CreateJWTKey(ctx, x.p, req))
	})
	register(a, operation{
		id: "deleteJWTKey", method: "DELETE", path: "/v1/jwt_keys/{id}", tag: "App and keys", summary: "Delete a key for JWTs", write: true,
		description: "Has JWTs of the key be refused from now on. Sessions that were opened with one stay until it expires. Needs the master secret.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *jwtKeyInput) (*none, error) {
		return gone(a.service.Apps.DeleteJWTKey(ctx, x.p, in.ID))
	})
}
