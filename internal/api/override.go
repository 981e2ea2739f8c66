package api

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/record"
)

// addFacts puts into a request what is kept beside its content.
func (s *Messages) addFacts(ctx context.Context, app herald.AppKey, r *SendRequest, q *dispatch.Request) error {
	if r.Category != "" {
		if err := herald.ValidName("category", r.Category); err != nil {
			return err
		}
		if err := s.mayBeCapped(app, &q.Message, r.Category); err != nil {
			return err
		}
		factsOf(q).Category = r.Category
	}
	if r.Replaces != 0 {
		if err := s.override(ctx, app, r, q); err != nil {
			return err
		}
	}
	return s.addWay(ctx, app, r, q)
}

// showFacts shows what is kept of a message beside its content.
func showFacts(v *MessageView, f *record.Facts) {
	if f == nil {
		return
	}
	v.Category, v.Replaces, v.Approval = f.Category, f.Replaces, approvalView(f)
	if f.Template != nil {
		v.Template = &TemplateSource{ID: f.Template.ID, Version: f.Template.Version}
	}
	showWay(v, f)
}

// override has a message override an older one of the same app: it takes the
// collapse key by which devices know that one, which is its ID if it was sent
// without.
func (s *Messages) override(ctx context.Context, app herald.AppKey, r *SendRequest, q *dispatch.Request) error {
	switch {
	case r.CollapseKey != "":
		return herald.Invalid("collapse_key", "Leave collapse_key out.", "a message that replaces another one takes the collapse key of that one")
	case q.Message.TTL == 0:
		return herald.Invalid("replaces", "Give a ttl above 0 with replaces.", "a message with TTL 0 cannot replace another one")
	}
	old, err := s.find(ctx, app, r.Replaces)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return herald.Invalid("replaces", "Check the ID, or send without replaces; messages are kept for 30 days after their end, those with TTL 0 for 10 minutes.",
			"there is no message %s to replace", r.Replaces)
	}
	if err != nil {
		return err
	}
	q.Message.CollapseKey = old.CollapseKey
	if q.Message.CollapseKey == "" {
		q.Message.CollapseKey = old.ID.String()
	}
	factsOf(q).Replaces = old.ID
	return nil
}

// factsOf gives the facts of a request, to add to them.
func factsOf(q *dispatch.Request) *record.Facts {
	if q.Facts == nil {
		q.Facts = &record.Facts{}
	}
	return q.Facts
}
