package bench

import (
	"context"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

func checkPosts(messages, batch, posters int) error {
	switch {
	case messages < 1 || messages > 100e6:
		return herald.Invalid("messages", "Give 1 to 100000000.", "%d messages", messages)
	case batch < 0 || batch > 1000:
		return herald.Invalid("batch", "Give at most 1000.", "a batch of %d messages", batch)
	case posters < 1 || posters > 1024:
		return herald.Invalid("posters", "Give 1 to 1024.", "%d connections that send", posters)
	}
	return nil
}

// post sends messages to one client each, and gives the processor time of the server for one, in microseconds.
func (c *contest) post(ctx context.Context, l *Load, p swarm.Post) (float64, error) {
	used := c.Process().cpu()
	if _, err := c.crew.do(ctx, swarm.Command{Do: "post", Post: p, Nap: l.Nap}); err != nil {
		return 0, fmt.Errorf("%w (%s)", err, c.name)
	}
	c.posted += uint64(p.Messages)
	if _, err := c.crew.do(ctx, swarm.Command{Do: "expect", Broadcasts: c.got, Unicasts: c.posted, Nap: l.Nap}); err != nil {
		return 0, fmt.Errorf("%w (%s)", err, c.name)
	}
	rest(ctx, l.Rest)
	return microseconds(c.Process().cpu()-used) / float64(p.Messages), ctx.Err()
}

// reconnect closes all clients and connects them again, and gives the
// processor time of the server for connecting one, in microseconds.
func (c *contest) reconnect(ctx context.Context, l *Load) (float64, error) {
	if err := c.disconnect(ctx); err != nil {
		return 0, err
	}
	rest(ctx, l.Rest)
	used := c.Process().cpu()
	if _, err := c.connect(ctx, l, false); err != nil {
		return 0, err
	}
	rest(ctx, l.Rest)
	return microseconds(c.Process().cpu()-used) / float64(c.clients), ctx.Err()
}

// disconnect closes all clients, and waits until the server knows.
func (c *contest) disconnect(ctx context.Context) error {
	if _, err := c.crew.do(ctx, swarm.Command{Do: "close"}); err != nil {
		return err
	}
	if p, ok := c.rival.(*product); ok {
		return p.online(ctx, 0)
	}
	return nil
}
