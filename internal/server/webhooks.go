package server

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/telemetry"
	"github.com/herald-push/herald/internal/webhook"
)

// openWebhooks makes what calls app servers.
func (s *Server) openWebhooks() (err error) {
	c := s.cfg.Egress
	if s.egress, err = egress.New(egress.Config{Allow: c.Allow, Ports: c.Ports, HTTP: c.HTTP}); err != nil {
		return err
	}
	s.webhooks = webhook.New(webhook.Config{
		Store: s.store, Egress: s.egress, Seal: s.secrets.ring, InFlight: s.cfg.Webhooks.InFlight, Done: s.done, Owner: strconv.Itoa(s.cfg.Node),
		Observe: s.metrics.Webhook, Log: s.log, Now: faults.Now,
	})
	s.metrics.Webhooks(func() telemetry.Webhooks {
		n := s.webhooks.Stats()
		return telemetry.Webhooks{Good: n.Good, Failing: n.Failing, Disabled: n.Disabled, Behind: n.Behind, Dropped: n.Dropped}
	})
	return nil
}

// settleTime bounds how long it is waited until receipts count.
const settleTime = 10 * time.Second

// done gives those of some messages of which nothing more can be delivered, and
// that have not ended. What is in the log is counted a moment later.
func (s *Server) done(ctx context.Context, app herald.AppKey, ids []herald.MessageID) (out []herald.MessageID, err error) {
	wait, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	if err := s.ledger.Settled(wait, app); err != nil {
		return nil, err
	}
	for _, id := range ids {
		over, err := s.over(ctx, app, id)
		if errors.Is(err, record.ErrDamaged) {
			s.log.ErrorContext(ctx, "webhooks are not told whether a message is done, because it cannot be read", "app", app, "message", id, "error", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		if over {
			out = append(out, id)
		}
	}
	return out, nil
}

// over reports whether nothing more can be delivered of a message that has not
// ended.
func (s *Server) over(ctx context.Context, app herald.AppKey, id herald.MessageID) (bool, error) {
	m, err := s.store.Message(ctx, app, id)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return false, nil // it was purged
	}
	if err != nil || m.State != herald.MessageSending {
		return false, err
	}
	c, err := s.ledger.Counts(ctx, m)
	return err == nil && !c.Open(), err
}
