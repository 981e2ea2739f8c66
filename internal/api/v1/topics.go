package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

type topicListInput struct {
	Topic  []string `query:"topic,explode" maxItems:"100" doc:"Only these topics, in this order, also those that nobody is subscribed to. May be repeated; excludes prefix and cursor."`
	Prefix string   `query:"prefix" maxLength:"256" doc:"Only topics that begin with this."`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Topics on a page."`
}

// addTopics adds the operations on topics.
func (a *API) addTopics() {
	register(a, operation{
		id: "publish", method: "POST", path: "/v1/publish", tag: "Topics", summary: "Publish to a topic", status: http.StatusAccepted, write: true,
		description: "Hands `data` to the devices that are subscribed to the topic at this moment, over whatever transport they are connected by, as a `topic` frame. " +
			"By itself it is not stored; it is not acknowledged and has no receipts; a session whose queue is full misses it. What must arrive is a message: `POST /v1/messages` with the audience `{\"topic\": \"chat/7\"}`.\n\n" +
			"A back end may publish to any topic and needs the scope `messages:send`; subscribers see no `from`. A device publishes with its device token to the topics that the app's settings allow (`topics.publish`, by default none); `from` is its registration ID. " +
			"`data` may have at most 16 KiB as JSON. An idempotency key is not taken: a repeated call publishes again.\n\n" +
			"In place of `data`, `text` and `base64` publish bytes as clients over MQTT do. With `retain` it is kept for who subscribes later (see `GET /v1/retained`); with `qos` 1 it is stored for sessions over MQTT that persist. The answer comes when that is durable.",
		body: api.PublishRequest{}, example: `{"topic":"chat/7","data":{"text":"Hello"}}`, answer: `{"topic":"chat/7","devices":3}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.PublishAnswer], error) {
		req, err := decode[api.PublishRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Topics.Publish(ctx, x.p, req))
	})
	a.addRetained()
	a.addSessions()
	register(a, operation{
		id: "listTopics", method: "GET", path: "/v1/topics", tag: "Topics", summary: "Count subscribers",
		description: "Shows the topics that somebody is subscribed to on this node now, in byte order, with the number of devices and of their sessions. With `topic` it shows the topics asked for, and 0 for those that nobody is subscribed to. Needs the scope `devices:read`.",
		answer:      `{"topics":[{"topic":"chat/7","devices":3,"sessions":4}]}`,
	}, func(ctx context.Context, x *exchange, in *topicListInput) (*reply[api.TopicPage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		q := api.TopicQuery{Prefix: in.Prefix, Cursor: in.Cursor, Limit: limit}
		// As they were sent: an empty name is a mistake, not a name left out.
		for _, t := range x.r.URL.Query()["topic"] {
			q.Topics = append(q.Topics, herald.Topic(t))
		}
		return answer(a.service.Topics.List(ctx, x.p, q))
	})
}
