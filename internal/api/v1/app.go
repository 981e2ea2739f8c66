package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	exampleApp = `{"app_key":"k3x9q0a7c5m2p8r1t6v4w0z2","name":"Shop","created_at":"2026-11-01T08:00:00Z","device_aliases":false,"device_tags":false,"origins":["https://shop.example"],"topics":{"subscribe":["#"],"publish":["chat/+","device/{registration_id}/#"]},"approval":{"required":true,"above":1000},"caps":[{"category":"news","max":1,"per":86400}],"quiet_hours":{"from":"22:00","to":"08:00"},"time_zone":"Europe/London","devices":120,"online":14}`
	exampleKey = `{"id":"k7","name":"newsletter","scopes":["messages:send"],"created_at":"2026-11-21T09:30:00Z"}`
	newKey     = `{"id":"k7","name":"newsletter","scopes":["messages:send"],"created_at":"2026-11-21T09:30:00Z","key":"hk1.k3x9q0a7c5m2p8r1t6v4w0z2.k7.secret"}`
)

type keyInput struct {
	ID string `path:"id" minLength:"1" doc:"ID of the key, as GET /v1/keys shows it." example:"k7"`
}

// addApp adds the operations on the app itself and its keys.
func (a *API) addApp() {
	register(a, operation{
		id: "getApp", method: "GET", path: "/v1/app", tag: "App and keys", summary: "Show the app",
		description: "Shows the app that the credentials belong to, with its settings and how many devices it has. Needs a back end's credentials.", answer: exampleApp,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.AppView], error) {
		return answer(a.service.Apps.Get(ctx, x.p))
	})
	register(a, operation{
		id: "updateApp", method: "PATCH", path: "/v1/app", tag: "App and keys", summary: "Change the app", write: true,
		description: "Members that are absent stay as they are. Needs the master secret.\n\n" +
			"`topics` says which topics devices may `subscribe` to (by default all) and `publish` to (by default none), as filters: `+` is any one level, `#` at the end any number of them, the level `{registration_id}` that of the device itself, and `{alias}` its alias, if that has none of `/`, `+`, `#`. A subscription to a filter is allowed if one of the rules covers all of it. Both are checked at each subscribe and publish; subscriptions that a change does not allow any more end at once. What the back end publishes is not bound by them.\n\n" +
			"`caps` say how many messages of a `category` a device gets within a time: where it has had as many, a message ends at once as `rejected`, which its counts show. `approval` has messages to more than so many devices wait until another key approves them.",
		body: api.AppUpdate{}, example: `{"origins":["https://shop.example"],"topics":{"publish":["chat/+","device/{registration_id}/#"]}}`, answer: exampleApp,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.AppView], error) {
		update, err := decode[api.AppUpdate](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Apps.Update(ctx, x.p, update))
	})
	register(a, operation{
		id: "listKeys", method: "GET", path: "/v1/keys", tag: "App and keys", summary: "List keys",
		description: "Shows the Bearer keys of the app, without their secrets. Needs the master secret.", answer: `{"keys":[` + exampleKey + `]}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.KeyList], error) {
		return answer(a.service.Apps.Keys(ctx, x.p))
	})
	register(a, operation{
		id: "createKey", method: "POST", path: "/v1/keys", tag: "App and keys", summary: "Make a key", status: http.StatusCreated, write: true,
		description: "Makes a Bearer key that may do what its scopes say, until `expires_at` and from the addresses in `networks` (as this server sees them, behind the proxies that it trusts). From others it is refused with 403, `address_refused`. The answer is the only time that the key is shown. Needs the master secret.",
		body:        api.KeyRequest{}, example: `{"name":"newsletter","scopes":["messages:send"]}`, answer: newKey,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.KeyAnswer], error) {
		req, err := decode[api.KeyRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Apps.CreateKey(ctx, x.p, req))
	})
	register(a, operation{
		id: "updateKey", method: "PATCH", path: "/v1/keys/{id}", tag: "App and keys", summary: "Change a key", write: true,
		description: "Changes what a key may do, from where and until when. Its secret stays. Members that are absent stay as they are. Needs the master secret.",
		body:        api.KeyUpdate{}, example: `{"networks":["203.0.113.0/24"]}`, answer: exampleKey, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *keyInput) (*reply[api.KeyView], error) {
		req, err := decode[api.KeyUpdate](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Apps.UpdateKey(ctx, x.p, in.ID, req))
	})
	register(a, operation{
		id: "rotateKey", method: "POST", path: "/v1/keys/{id}/rotate", tag: "App and keys", summary: "Give a key a new secret", write: true,
		description: "Gives a key a new secret, which this answer shows the only time. The old one stays good for `keep` seconds (by default a day, at most 30), so that every back end can be changed without a refused call; with 0 it is refused at once. " +
			"A key has two secrets at most: one that an earlier rotation has kept is refused from now on. Needs the master secret.",
		body: api.KeyRotation{}, example: `{"keep":86400}`, answer: newKey, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *keyInput) (*reply[api.KeyAnswer], error) {
		req, err := decode[api.KeyRotation](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Apps.RotateKey(ctx, x.p, in.ID, req))
	})
	register(a, operation{
		id: "deleteKey", method: "DELETE", path: "/v1/keys/{id}", tag: "App and keys", summary: "Delete a key", write: true,
		description: "Makes a key invalid at once. Needs the master secret.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *keyInput) (*none, error) {
		return gone(a.service.Apps.DeleteKey(ctx, x.p, in.ID))
	})
}
