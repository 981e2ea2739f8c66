package cli

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// traceWait is how long --trace waits for vendors.
const traceWait = 30 * time.Second

// trace waits until the steps of a message that fall due have outcomes, and
// prints what was said with vendors.
func (c *command) trace(ctx context.Context, cl *client.Client, sent client.Sent, asJSON bool) error {
	r, err := c.outcomes(ctx, cl, sent.ID)
	if r == nil {
		return err
	}
	if asJSON {
		if out := c.printJSON(struct {
			client.Sent
			client.AttemptReport
		}{sent, *r}); out != nil {
			return out
		}
		return err
	}
	switch {
	case sent.Target == nil && len(r.Outcomes) == 0:
		c.printf("It is not released yet, and vendors are asked then.\n")
	default:
		if out := c.printConversations(*r); out != nil {
			return out
		}
	}
	if len(r.Pending) > 0 || sent.Target == nil {
		c.printf("  later: %s attempts %s --trace\n", c.Self, sent.ID)
	}
	return err
}

// outcomes asks what came of a message until no step is left that could have
// outcomes by the end of the wait. Whoever breaks off gets what was seen last,
// with the error.
func (c *command) outcomes(ctx context.Context, cl *client.Client, id herald.MessageID) (last *client.AttemptReport, err error) {
	until := c.Now().Add(traceWait)
	ctx, cancel := context.WithTimeout(ctx, traceWait)
	defer cancel()
	for {
		r, err := cl.Attempts(ctx, id)
		switch {
		case err != nil && last != nil && ctx.Err() != nil:
			return last, brokenOff(ctx)
		case err != nil:
			return nil, err
		}
		last = &r
		waits := false
		for _, p := range r.Pending {
			waits = waits || !p.DueAt.After(until)
		}
		if !waits {
			return last, nil
		}
		if !pause(ctx, 200*time.Millisecond) {
			return last, brokenOff(ctx)
		}
	}
}

// brokenOff is the error of who stopped waiting; that the time is over is none.
func brokenOff(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil
	}
	return ctx.Err()
}
