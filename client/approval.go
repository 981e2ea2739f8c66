package client

import (
	"context"
	"net/http"
	"time"

	"github.com/herald-push/herald"
)

// ApprovalRule says which messages of an app another key than the sender's has
// to approve: those to more devices than Above, if any has.
type ApprovalRule struct {
	Required bool  `json:"required"`
	Above    int64 `json:"above"`
}

// Approval is why a message has to be approved, and what came of it.
type Approval struct {
	Above     int64      `json:"above"`
	Estimate  int64      `json:"estimate"` // devices in its audience when it was accepted
	SentBy    *Actor     `json:"sent_by,omitempty"`
	DecidedBy *Actor     `json:"decided_by,omitempty"` // nil until somebody has
	DecidedAt *time.Time `json:"decided_at,omitempty"`
	Reason    string     `json:"reason,omitempty"` // why it was rejected
}

// Actor is who sent a message or decided on it.
type Actor struct {
	Kind string `json:"kind"`           // master, key, page, group, schedule
	ID   string `json:"id,omitempty"`   // of the key, the page's device or the group
	Name string `json:"name,omitempty"` // of the key or the group, then
}

// Approve lets a message go that another key has sent and that is in the state
// [herald.MessageAwaiting].
func (c *Client) Approve(ctx context.Context, id herald.MessageID) (MessageView, error) {
	var out MessageView
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/messages/" + id.String() + ":approve", into: &out})
	return out, err
}

// Reject ends a message that waits to be approved, with a reason for its
// sender, which may be "".
func (c *Client) Reject(ctx context.Context, id herald.MessageID, reason string) (MessageView, error) {
	body := struct {
		Reason string `json:"reason,omitempty"`
	}{reason}
	var out MessageView
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/messages/" + id.String() + ":reject", body: body, into: &out})
	return out, err
}
