package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// ApprovalRule says which messages of an app a second key has to approve.
type ApprovalRule struct {
	Required bool  `json:"required" doc:"Whether any message has to be approved."`
	Above    int64 `json:"above" minimum:"0" doc:"Messages to more devices than these have to be."`
}

// ApprovalView is why a message has to be approved, and what came of it.
type ApprovalView struct {
	Above     int64      `json:"above" doc:"It was for more devices than these."`
	Estimate  int64      `json:"estimate" doc:"Devices in its audience when it was accepted."`
	SentBy    *Actor     `json:"sent_by,omitempty" doc:"Who sent it."`
	DecidedBy *Actor     `json:"decided_by,omitempty" doc:"Who approved or rejected it."`
	DecidedAt *time.Time `json:"decided_at,omitempty" doc:"When that was."`
	Reason    string     `json:"reason,omitempty" doc:"Why it was rejected."`
}

// Actor is who sent a message or decided on it.
type Actor struct {
	Kind string `json:"kind" enum:"master,key,page,group,schedule" doc:"Whose credentials the call had."`
	ID   string `json:"id,omitempty" doc:"ID of the key, of the page's device or of the group."`
	Name string `json:"name,omitempty" doc:"Name of the key or the group, then."`
}

// RejectRequest is the body of POST /v1/messages/{id}:reject.
type RejectRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"Why, for the sender."`
}

// maxReason is how long the reason of a rejection may be, in bytes.
const maxReason = 500

type senderKey struct{}

// withSender gives a context that knows who sends.
func withSender(ctx context.Context, p Principal) context.Context {
	return sentBy(ctx, sender(p))
}

func sentBy(ctx context.Context, who record.Sender) context.Context {
	return context.WithValue(ctx, senderKey{}, &who)
}

// sender is who a principal is in the record.
func sender(p Principal) record.Sender {
	switch p.Kind {
	case Master:
		return record.Sender{Kind: record.AuditMaster}
	case Key:
		return record.Sender{Kind: record.AuditKey, ID: p.KeyID, Name: p.KeyName}
	case GroupOfApps:
		return record.Sender{Kind: "group", ID: string(p.Group)}
	}
	return record.Sender{Kind: record.AuditPage, ID: string(p.Device)}
}

// hold has a message wait for a second key, if its app asks for that and it is
// for more devices than one key may send to.
func (s *Messages) hold(ctx context.Context, app herald.AppKey, w *sending) error {
	a, err := s.c.Registry.App(app)
	if err != nil {
		return err
	}
	rule := a.Row().Settings.Approval
	if !rule.Required || w.target <= rule.Above {
		return nil
	}
	if w.q.Message.TTL == 0 {
		return herald.Invalid("ttl", "Give it a ttl above 0, or send to fewer devices.",
			"the message is for %d devices, a message to more than %d has to be approved, and one with TTL 0 cannot wait for that", w.target, rule.Above)
	}
	facts := factsOf(&w.q)
	facts.Approval = &record.Approval{Above: rule.Above, Estimate: w.target}
	facts.Sender, _ = ctx.Value(senderKey{}).(*record.Sender)
	w.q.Hold = true
	w.answer.Target, w.answer.Estimate, w.answer.Awaiting = nil, &w.target, true
	return nil
}

// Approve lets a message go that another key has sent and that waits for that.
func (s *Messages) Approve(ctx context.Context, p Principal, id herald.MessageID) (MessageView, error) {
	if err := p.may(ScopeSend); err != nil {
		return MessageView{}, err
	}
	m, err := s.c.Dispatch.Approve(ctx, p.App, id, sender(p))
	return s.decided(ctx, m, id, err)
}

// Reject ends a message that waits to be approved. Its sender may do so, too.
func (s *Messages) Reject(ctx context.Context, p Principal, id herald.MessageID, r RejectRequest) (MessageView, error) {
	if err := p.may(ScopeSend); err != nil {
		return MessageView{}, err
	}
	if len(r.Reason) > maxReason {
		return MessageView{}, herald.Invalid("reason", "Shorten it.", "%d bytes are more than %d", len(r.Reason), maxReason)
	}
	m, err := s.c.Dispatch.Reject(ctx, p.App, id, sender(p), r.Reason)
	return s.decided(ctx, m, id, err)
}

func (s *Messages) decided(ctx context.Context, m *record.Message, id herald.MessageID, err error) (MessageView, error) {
	if herald.CodeOf(err) == herald.CodeNotFound {
		return MessageView{}, messageNotFound(id)
	}
	if err != nil {
		return MessageView{}, err
	}
	return s.view(ctx, m)
}

func approvalView(f *record.Facts) *ApprovalView {
	a := f.Approval
	if a == nil {
		return nil
	}
	v := &ApprovalView{Above: a.Above, Estimate: a.Estimate, SentBy: actorView(f.Sender), DecidedBy: actorView(a.By), Reason: a.Reason}
	if !a.At.IsZero() {
		v.DecidedAt = &a.At
	}
	return v
}

func actorView(s *record.Sender) *Actor {
	if s == nil {
		return nil
	}
	return &Actor{Kind: s.Kind, ID: s.ID, Name: s.Name}
}
