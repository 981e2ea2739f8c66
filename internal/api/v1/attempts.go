package v1

import (
	"context"
	"net/http"

	"github.com/herald-push/herald/internal/api"
)

const (
	exampleOutcome = `{"step":1,"channel":"vendor","vendor":"apns","owner":"device","outcome":"failed","code":"unregistered/Unregistered","count":1,"last_at":"2026-11-22T09:30:01Z"}`
	exampleAttempt = `{"step":1,"vendor":"apns","registration_id":"03e6ljtc02tlelmf5k4s","outcome":"failed","code":"unregistered/Unregistered","text":"the address leads to no device any more","remedy":"Nothing has to be done: it is not used again.","tries":1,"at":"2026-11-22T09:30:01Z"}`
	exampleDead    = `{"message_id":"245870126268416001","step":1,"vendor":"apns","owner":"device","outcome":"failed","code":"rejected/BadTopic","count":120,"last_at":"2026-11-22T09:30:01Z"}`
)

type deadInput struct {
	Limit pageSize `query:"limit" doc:"Rows of the record that are looked at, the newest."`
}

// addAttempts adds the operations on what came of messages with vendors.
func (a *API) addAttempts() {
	register(a, operation{
		id: "getMessageAttempts", method: "GET", path: "/v1/messages/{id}/attempts", tag: "Messages", summary: "Show what vendors said",
		description: "Tells what came of the steps of a message's route that go beyond the live channel: how many came to which outcome and, where it is kept, each attempt with the vendor's answer in words, the remedy, " +
			"and of messages with `debug` the whole conversation without secrets. Needs the scopes `messages:read` and `devices:read`.",
		answer: `{"message_id":"245870126268416001","outcomes":[` + exampleOutcome + `],"attempts":[` + exampleAttempt + `],"pending":[{"step":2,"due_at":"2026-11-22T09:35:00Z"}]}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *messageInput) (*reply[api.AttemptReport], error) {
		id, err := messageID(in.ID)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.Attempts(ctx, x.p, id))
	})
	register(a, operation{
		id: "listDeadLetters", method: "GET", path: "/v1/dead_letters", tag: "Messages", summary: "List dead letters",
		description: "Lists who was not reached by a vendor and is not tried again, by message, step, vendor and cause, newest first. Needs the scope `messages:read`.",
		answer:      `{"dead_letters":[` + exampleDead + `]}`,
	}, func(ctx context.Context, x *exchange, in *deadInput) (*reply[api.DeadLetterList], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.DeadLetters(ctx, x.p, limit))
	})
	register(a, operation{
		id: "retryDeadLetters", method: "POST", path: "/v1/dead_letters:retry", tag: "Messages", summary: "Retry dead letters", write: true,
		description: "Has vendors be asked again for those whom a message has not come to by another way meanwhile, as long as its TTL lasts. Needs the scope `messages:send`.",
		body:        api.DeadLetterRequest{}, example: `{"vendor":"apns","code":"rejected/BadTopic"}`, answer: `{"count":120}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.DeadLetterDone], error) {
		q, err := decode[api.DeadLetterRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.RetryDeadLetters(ctx, x.p, q))
	})
	register(a, operation{
		id: "discardDeadLetters", method: "POST", path: "/v1/dead_letters:discard", tag: "Messages", summary: "Discard dead letters", write: true,
		description: "Has dead letters be listed no more. They count as discarded from then on. Needs the scope `messages:send`.",
		body:        api.DeadLetterRequest{}, example: `{"message_id":"245870126268416001"}`, answer: `{"count":3}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.DeadLetterDone], error) {
		q, err := decode[api.DeadLetterRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.DiscardDeadLetters(ctx, x.p, q))
	})
}
