package v1

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const (
	exampleMessage = `{"id":"245870126268416001","state":"sending","audience":{"tags":["vip"]},"notification":{"title":"Hello","body":"World"},"ttl":86400,"priority":"normal","stored":true,"accepted_at":"2026-11-21T09:30:00Z","expires_at":"2026-11-22T09:30:00Z","unknown":0,"counts":{"target":3,"sent":2,"received":1,"displayed":0,"clicked":0,"states":{"pending":1,"sent":1,"received":1}}}`
	exampleTrace   = `{"message_id":"245870126268416001","registration_id":"06dbnqfs00v8k3m1p2r4","state":"received","summary":"The device received the message 120 ms after it was accepted.","steps":[{"time":"2026-11-21T09:30:00Z","event":"accepted","text":"The message was accepted."},{"time":"2026-11-21T09:30:00.12Z","event":"received","via":"websocket","text":"The device acknowledged it."}]}`
)

type messageInput struct {
	ID string `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"Message ID, as POST /v1/messages answered it." example:"245870126268416001"`
}

type messageListInput struct {
	State  string   `query:"state" enum:"awaiting_approval,scheduled,sending,done,withdrawn,expired,replaced,rejected" doc:"Only messages in this state."`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Messages on a page."`
	FormInput
}

type traceInput struct {
	ID     string `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"Message ID." example:"245870126268416001"`
	Device string `path:"registration_id" pattern:"^[0-9a-v]{20}$" doc:"Registration ID of the device." example:"06dbnqfs00v8k3m1p2r4"`
}

// EstimateRequest is the body of POST /v1/audience/estimate.
type EstimateRequest struct {
	Audience herald.Audience `json:"audience" doc:"Who would be meant: \"all\", or an object."`
}

func (a *API) addMessages() {
	register(a, operation{
		id: "sendMessage", method: "POST", path: "/v1/messages", tag: "Messages", summary: "Send a message", status: http.StatusAccepted, write: true,
		description: "Accepts a message for an audience. The answer comes when message and audience are on stable storage (`stored: true`), except with `ttl: 0`, which reaches only who is connected now. Delivery goes on until each device has acknowledged the message, or its TTL ends, or it is withdrawn or replaced. Needs the scope `messages:send`; a page token may send to its own device.",
		body:        api.SendRequest{},
		example:     `{"audience":{"tags":["vip"]},"notification":{"title":"Hello","body":"World"},"data":{"order":7},"ttl":86400}`,
		answer:      `{"id":"245870126268416001","target":3,"unknown":0,"stored":true}`,
		errors:      []int{http.StatusConflict},
		direct:      a.sendMessage,
	}, undirected[sendInput, sendReply])
	a.addBatch()
	register(a, operation{
		id: "listMessages", method: "GET", path: "/v1/messages", tag: "Messages", summary: "List messages",
		description: "Shows messages, newest first, with their states and counts. With `state` a page may be shorter than `limit`, or empty, before the last one. Answers a page of JSON, or streams all of it as CSV or NDJSON. Needs the scope `messages:read`.",
		list:        api.MessagePage{},
		answer:      `{"messages":[],"next_cursor":"MjQ1ODcwMTI2MjY4NDE2MDAx"}`,
	}, a.listMessages)
	register(a, operation{
		id: "getMessage", method: "GET", path: "/v1/messages/{id}", tag: "Messages", summary: "Show a message with its counts",
		description: "Shows what was sent, its state, and how many devices were sent it, received, displayed and clicked it. The values of `counts.states` sum to the target. Needs the scope `messages:read`.",
		answer:      exampleMessage, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *messageInput) (*reply[api.MessageView], error) {
		id, err := messageID(in.ID)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.Get(ctx, x.p, id))
	})
	register(a, operation{
		id: "withdrawMessage", method: "DELETE", path: "/v1/messages/{id}", tag: "Messages", summary: "Withdraw a message", write: true,
		description: "Ends a message. Once this has answered nobody is sent it any more, and devices that have it are told to remove it, or will be when they connect. Withdrawing it again changes nothing. Needs the scope `messages:send`.",
		answer:      strings.Replace(exampleMessage, `"sending"`, `"withdrawn"`, 1), errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *messageInput) (*reply[api.MessageView], error) {
		id, err := messageID(in.ID)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.Withdraw(ctx, x.p, id))
	})
	a.addApprovals()
	register(a, operation{
		id: "traceMessage", method: "GET", path: "/v1/messages/{id}/devices/{registration_id}", tag: "Messages", summary: "Show what happened to a message on a device",
		description: "Tells step by step, with times, what became of a message on one device; `summary` says why in a sentence. Needs the scope `messages:read`.",
		answer:      exampleTrace, errors: []int{http.StatusNotFound},
	}, a.traceMessage)
	register(a, operation{
		id: "estimateAudience", method: "POST", path: "/v1/audience/estimate", tag: "Messages", summary: "Count an audience without sending",
		description: "Says how many devices an audience comes to now, and how many of them are connected. Needs the scope `messages:send`.",
		body:        EstimateRequest{}, example: `{"audience":{"tags_and":["vip","beta"],"platforms":["web"]}}`,
		answer: `{"devices":120,"online":14,"unknown":0}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.Estimate], error) {
		req, err := decode[EstimateRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Audience.Estimate(ctx, x.p, req.Audience))
	})
	register(a, operation{
		id: "reportReceipts", method: "POST", path: "/v1/receipts", tag: "Devices", summary: "Report what was received, displayed or clicked", write: true,
		description: "A device reports for itself with its device token, by message IDs or with a cursor that says \"I have everything of mine up to here\". A back end reports for any device of its app, with the scope `receipts:write`. A receipt that is reported twice counts once.",
		body:        api.ReceiptsRequest{}, example: `{"receipts":[{"id":"245870126268416001","event":"displayed"}]}`,
		answer: `{"accepted":1,"unknown":0}`,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.ReceiptsAnswer], error) {
		req, err := decode[api.ReceiptsRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Receipts.Report(ctx, x.p, req))
	})
}

func (a *API) listMessages(ctx context.Context, x *exchange, in *messageListInput) (*listed, error) {
	limit, err := in.Limit.int()
	if err != nil {
		return nil, err
	}
	states := []string{"awaiting_approval", "scheduled", "sending", "done", "withdrawn", "expired", "replaced", "rejected"}
	if in.State != "" && !slices.Contains(states, in.State) {
		return nil, herald.Invalid("state", "Use one of: "+strings.Join(states, ", ")+".", "%.20q is not a state of a message", in.State)
	}
	if x.as == asPage {
		v, err := a.service.Messages.List(ctx, x.p, herald.MessageState(in.State), in.Cursor, limit)
		return page(x, v, err)
	}
	return export(a, x, messageTable, func() (iter.Seq2[[]api.MessageView, error], error) {
		return a.service.Messages.EachMessage(ctx, x.p, herald.MessageState(in.State), in.Cursor)
	})
}

func (a *API) traceMessage(ctx context.Context, x *exchange, in *traceInput) (*reply[api.Trace], error) {
	id, err := messageID(in.ID)
	if err != nil {
		return nil, err
	}
	device, err := registrationID(in.Device)
	if err != nil {
		return nil, err
	}
	return answer(a.service.Messages.Trace(ctx, x.p, id, device))
}
