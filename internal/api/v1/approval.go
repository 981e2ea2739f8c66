package v1

import (
	"context"
	"net/http"
	"strings"

	"github.com/herald-push/herald/internal/api"
)

const approvalOf = `"approval":{"above":1000,"estimate":3,"sent_by":{"kind":"key","id":"k7","name":"newsletter"},"decided_by":{"kind":"master"},"decided_at":"2026-11-21T09:31:00Z"},`

// addApprovals adds the operations by which a second key decides on a message.
func (a *API) addApprovals() {
	approved := strings.Replace(exampleMessage[:strings.Index(exampleMessage, `,"counts"`)]+`}`, `"state":"sending",`, `"state":"scheduled",`+approvalOf, 1)
	register(a, operation{
		id: "approveMessage", method: "POST", path: "/v1/messages/{id}:approve", tag: "Messages", summary: "Approve a message", write: true,
		description: "Lets a message go that is in the state `awaiting_approval`, because it is for more devices than the app lets one key send to (`approval` of the app). It is sent at once or, if that is later, at its `send_at`; its TTL counts and its audience is evaluated from then on. " +
			"The caller has to be another one than the sender: another key, or the master secret, which counts as one. A message that nobody decides on for 7 days expires. Needs the scope `messages:send`.",
		answer: approved, errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *messageInput) (*reply[api.MessageView], error) {
		id, err := messageID(in.ID)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.Approve(ctx, x.p, id))
	})
	register(a, operation{
		id: "rejectMessage", method: "POST", path: "/v1/messages/{id}:reject", tag: "Messages", summary: "Reject a message", write: true,
		description: "Ends a message that is in the state `awaiting_approval`, with a reason for its sender. Nobody is sent it. Its sender may do so, too. Needs the scope `messages:send`.",
		body:        api.RejectRequest{}, example: `{"reason":"The price is wrong."}`,
		answer: strings.Replace(approved, `"scheduled"`, `"rejected"`, 1), errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *messageInput) (*reply[api.MessageView], error) {
		id, err := messageID(in.ID)
		if err != nil {
			return nil, err
		}
		req, err := decode[api.RejectRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Messages.Reject(ctx, x.p, id, req))
	})
}
