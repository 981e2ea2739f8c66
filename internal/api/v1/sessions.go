package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const exampleSession = `{"client_id":"pump-7","registration_id":"06dbnqfs00v8k3m1p2r4","connected":false,"expires_in":604800,"ends_at":"2026-11-28T09:30:00Z","mqtt_version":"5.0","dropped":0`

type sessionListInput struct {
	Device string   `query:"registration_id" pattern:"^[0-9a-v]{20}$" doc:"Only sessions of this device."`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Sessions on a page."`
}

type sessionInput struct {
	Client string `path:"client_id" minLength:"1" maxLength:"128" doc:"The client ID, percent-encoded: / is %2F." example:"pump-7"`
}

// addSessions adds the operations on persistent sessions.
func (a *API) addSessions() {
	register(a, operation{
		id: "listSessions", method: "GET", path: "/v1/sessions", tag: "Topics", summary: "List persistent sessions",
		description: "Shows the sessions over MQTT that outlive their connections, in byte order of their client IDs. Needs the scope `devices:read`.",
		answer:      `{"sessions":[` + exampleSession + `}]}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *sessionListInput) (*reply[api.SessionPage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		q := api.SessionQuery{Cursor: in.Cursor, Limit: limit}
		if in.Device != "" {
			if q.Device, err = registrationID(in.Device); err != nil {
				return nil, err
			}
		}
		return answer(a.service.Sessions.List(ctx, x.p, q))
	})
	register(a, operation{
		id: "getSession", method: "GET", path: "/v1/sessions/{client_id}", tag: "Topics", summary: "Show a persistent session",
		description: "Shows a session with its subscriptions and the number of stored publications that wait for it. Needs the scope `devices:read`.",
		answer:      exampleSession + `,"waiting":3,"subscriptions":[{"filter":"pumps/7/#","qos":1}]}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *sessionInput) (*reply[api.SessionView], error) {
		return answer(a.service.Sessions.Get(ctx, x.p, in.Client))
	})
	register(a, operation{
		id: "endSession", method: "DELETE", path: "/v1/sessions/{client_id}", tag: "Topics", summary: "End a persistent session", write: true,
		description: "Ends a session whose client is away, with its subscriptions and what waits for it. While the client is connected it is a conflict. Needs the scope `devices:write`.",
		errors:      []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *sessionInput) (*none, error) {
		return gone(a.service.Sessions.End(ctx, x.p, in.Client))
	})
}
