package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	routeSteps   = `"steps":[{"channel":"live"},{"channel":"vendor","unless":"sent"},{"channel":"sms","unless":"received","after":"1m","notification":{"body":"Your code is 1234."}}]`
	exampleRoute = `{"name":"urgent","steps":[{"channel":"live","unless":"received"},{"channel":"vendor","unless":"sent"},{"channel":"sms","unless":"received","after":"1m","notification":{"body":"Your code is 1234."}}],"created_at":"2026-11-01T08:00:00Z","updated_at":"2026-11-21T09:30:00Z"}`
)

type routeInput struct {
	Name string `path:"name" minLength:"1" maxLength:"128" doc:"The name, percent-encoded: / is %2F. The messages of the app that name no route take the one called default." example:"urgent"`
}

// addRoutes adds the operations on named routes.
func (a *API) addRoutes() {
	register(a, operation{
		id: "putRoute", method: "PUT", path: "/v1/routes/{name}", tag: "Routes", summary: "Save a route", status: http.StatusCreated, write: true,
		description: "Saves the ways by which messages go to people under a name, or changes them. A message names it as `\"route\": \"urgent\"`; messages that name no route take the one called `default`. " +
			"A step is taken when its time has come (`after`, counted from the release of the message), unless the message has come so far by then (`unless`). `sms`, `email`, `chat` and `webhook` act once for a person, `live` and `vendor` for each device. " +
			"A message keeps what its route was when it was accepted. An app has at most 50 routes, of at most 8 steps and 32 KiB each. Needs the scope `messages:send`.",
		body: api.RouteRequest{}, example: `{` + routeSteps + `}`, answer: exampleRoute,
	}, func(ctx context.Context, x *exchange, in *routeInput) (*putReply[api.RouteView], error) {
		req, err := decode[api.RouteRequest](x)
		if err != nil {
			return nil, err
		}
		return put(a.service.Routes.Put(ctx, x.p, in.Name, req))
	})
	register(a, operation{
		id: "listRoutes", method: "GET", path: "/v1/routes", tag: "Routes", summary: "List routes",
		description: "Shows all routes of the app, in byte order of their names. Needs the scope `messages:send`.",
		answer:      `{"routes":[` + exampleRoute + `]}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.RouteList], error) {
		return answer(a.service.Routes.List(ctx, x.p))
	})
	register(a, operation{
		id: "getRoute", method: "GET", path: "/v1/routes/{name}", tag: "Routes", summary: "Show a route",
		description: "Shows a route. Needs the scope `messages:send`.",
		answer:      exampleRoute, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *routeInput) (*reply[api.RouteView], error) {
		return answer(a.service.Routes.Get(ctx, x.p, in.Name))
	})
	register(a, operation{
		id: "deleteRoute", method: "DELETE", path: "/v1/routes/{name}", tag: "Routes", summary: "Delete a route", write: true,
		description: "Deletes a route. Messages that were accepted with it keep it; later ones that name it are refused. Needs the scope `messages:send`.",
		errors:      []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *routeInput) (*none, error) {
		return gone(a.service.Routes.Delete(ctx, x.p, in.Name))
	})
}
