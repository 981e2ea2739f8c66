package bench

import (
	"context"
	"errors"

	"github.com/herald-push/herald/internal/bench/swarm"
)

// ConnectRun measures what a device that connects costs the server.
type ConnectRun struct {
	*Load
	Clients    int
	Transports []string
	Against    string
}

// Check refuses what cannot be run.
func (r *ConnectRun) Check() error {
	return errors.Join(r.check(), checkClients([]int{r.Clients}), checkTransports(r.Transports, FanoutTransports()), checkRival(r.Against))
}

// Connect measures.
func Connect(ctx context.Context, r *ConnectRun) (report *Report, err error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	report = newReport("connect", map[string]any{"clients": r.Clients, "at once": r.Parallel, "rest": r.Rest})
	defer report.finish()
	base, err := startFloor(ctx, r.Load)
	if err != nil {
		return nil, err
	}
	floor, err := enter(ctx, r.Load, "floor", base, r.Clients, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, floor.leave()) }()
	names := r.Transports
	if r.Against != "" {
		names = append(names[:len(names):len(names)], r.Against)
	}
	for _, name := range names {
		if err := r.turns(ctx, report, floor, name); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (r *ConnectRun) turns(ctx context.Context, report *Report, floor *contest, name string) (err error) {
	var server rival
	if name == r.Against {
		server, err = startRival(ctx, r.Load, name, r.Clients)
	} else {
		server, err = startProduct(ctx, r.Load, name, r.Clients, 0)
	}
	if err != nil {
		return err
	}
	c, err := enter(ctx, r.Load, name, server, r.Clients, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	base := &turn{round: func() (float64, error) { return floor.reconnect(ctx, r.Load) }}
	own := &turn{round: func() (float64, error) { return c.reconnect(ctx, r.Load) }}
	if err = alternate(ctx, r.Load, name, base, own); err == nil {
		report.add("floor, accept and upgrade", "µs", base.took, "", nil)
		report.add(name+", connected", "µs", own.took, "floor", base.took)
	}
	return err
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
