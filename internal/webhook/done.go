package webhook

import (
	"context"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// findDone looks for messages that are done among those that receipts came for
// since it looked last.
func (s *Sender) findDone(ctx context.Context, app herald.AppKey) error {
	done, last, err := s.c.Store.WebhookDone(ctx, app)
	if err != nil || done >= last {
		return err
	}
	seen := map[herald.MessageID]bool{}
	var msgs []herald.MessageID
	at := done
	if err := s.c.Store.WebhookLog(ctx, app, done, 100*rowsAtOnce, func(e record.WebhookEntry) error {
		at = e.N
		for _, r := range e.Events {
			if kind := receiptType(r.State); kind != "" && kind != herald.EventSent && !seen[r.Msg] {
				seen[r.Msg] = true
				msgs = append(msgs, r.Msg)
			}
		}
		return nil
	}); err != nil {
		return err
	}
	var closed []herald.MessageID
	if len(msgs) > 0 {
		if closed, err = s.c.Done(ctx, app, msgs); err != nil {
			return err
		}
	}
	if at == done {
		at = last // what was there is gone
	}
	return s.c.Store.TellDone(ctx, app, at, closed)
}

// skipDone lets apps whose webhooks are not told of messages that are done go
// on, so that one that is from some time on is not told of old ones.
func (s *Sender) skipDone(ctx context.Context) {
	list, err := s.c.Store.Webhooks(ctx, "")
	apps := map[herald.AppKey]bool{}
	for i := range list {
		apps[list[i].App] = apps[list[i].App] || !list[i].Disabled && subscription(list[i].Events).wants(herald.EventMsgDone)
	}
	for app, told := range apps {
		if told || err != nil {
			continue
		}
		var done, last uint64
		if done, last, err = s.c.Store.WebhookDone(ctx, app); err == nil && done < last {
			err = s.c.Store.TellDone(ctx, app, last, nil)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.c.Log.ErrorContext(ctx, "webhook: the record was not read; trying again", "error", err)
	}
}
