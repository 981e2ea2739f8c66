package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const exampleRetained = `{"topic":"sensor/7/celsius","from":"03e6ljtc02tlelmf5k4s","published_at":"2026-11-21T09:30:00Z","qos":1,"data":21.5}`

type retainedInput struct {
	Topic string `path:"topic" minLength:"1" maxLength:"256" doc:"The topic, percent-encoded: / is %2F." example:"sensor%2F7%2Fcelsius"`
}

type retainedListInput struct {
	Prefix string   `query:"prefix" maxLength:"256" doc:"Only topics that begin with this."`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Retained publications on a page."`
}

// addRetained adds the operations on retained publications.
func (a *API) addRetained() {
	register(a, operation{
		id: "listRetained", method: "GET", path: "/v1/retained", tag: "Topics", summary: "List retained publications",
		description: "Shows the publications that are kept for who subscribes later, in byte order of their topics: of each topic the last that was published with `retain`. Needs the scope `messages:read`.",
		answer:      `{"retained":[` + exampleRetained + `]}`,
	}, func(ctx context.Context, x *exchange, in *retainedListInput) (*reply[api.RetainedPage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Topics.ListRetained(ctx, x.p, in.Prefix, in.Cursor, limit))
	})
	register(a, operation{
		id: "getRetained", method: "GET", path: "/v1/retained/{topic}", tag: "Topics", summary: "Show a retained publication",
		description: "Shows what is kept of a topic. Needs the scope `messages:read`.",
		answer:      exampleRetained, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *retainedInput) (*reply[api.RetainedView], error) {
		return answer(a.service.Topics.Retained(ctx, x.p, herald.Topic(in.Topic)))
	})
	register(a, operation{
		id: "deleteRetained", method: "DELETE", path: "/v1/retained/{topic}", tag: "Topics", summary: "Delete a retained publication", write: true,
		description: "Takes away what is kept of a topic. Who is subscribed is not told. Needs the scope `messages:send`.",
		errors:      []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *retainedInput) (*none, error) {
		return gone(a.service.Topics.DeleteRetained(ctx, x.p, herald.Topic(in.Topic)))
	})
}
