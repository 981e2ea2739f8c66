package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/bench/swarm"
)

// floodPayload is the size of what is sent to clients that are slow.
const floodPayload = swarm.MaxPayload

// slow measures how long broadcasts take to those who read, beside clients that do not,
// and beside the same clients that do. These are sent large messages all the time.
func (r *FanoutRun) slow(ctx context.Context, report *Report, n int) (err error) {
	p, err := startProduct(ctx, r.Load, swarm.WebSocket, n, r.Slow)
	if err != nil {
		return err
	}
	p.ttl = r.TTL
	awake := *p.load // those who are timed are woken by each message
	awake.Nap = 0
	c, err := enter(ctx, &awake, "clients beside a slow one", p, n, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	child, err := startChild(ctx, r.Load, ofCrowd)
	if err != nil {
		return err
	}
	others := crew{child}
	defer func() { err = errors.Join(err, others.stop()) }()
	of := func(stall bool) *turn {
		return &turn{round: func() (float64, error) { return r.beside(ctx, &awake, p, c, others, stall) }}
	}
	read, stalled := of(false), of(true)
	if err := alternate(ctx, r.Load, fmt.Sprintf("%d slow", r.Slow), read, stalled); err != nil {
		return err
	}
	name := fmt.Sprintf("websocket, %d clients, p99 ", n)
	report.add(name+fmt.Sprintf("beside %d that read", r.Slow), "ms", read.took, "", nil)
	report.add(name+fmt.Sprintf("beside %d that do not", r.Slow), "ms", stalled.took, "those that read", read.took)
	if m := c.Process().memory(); m.ok {
		report.add("memory of the server at most", "MiB", []float64{float64(m.peak) / (1 << 20)}, "", nil)
	}
	return nil
}

// beside gives the p99 of broadcasts in milliseconds, while others read what
// they are sent or do not.
func (r *FanoutRun) beside(ctx context.Context, l *Load, p *product, c *contest, others crew, stall bool) (float64, error) {
	if err := others.again(ctx, l, p, r.Slow); err != nil {
		return 0, err
	}
	defer func() { _, _ = others.do(ctx, swarm.Command{Do: "close"}) }() // the next command finds what is wrong
	if stall {
		if _, err := others.do(ctx, swarm.Command{Do: "stall", Clients: r.Slow}); err != nil {
			return 0, err
		}
	}
	if _, err := c.crew.do(ctx, swarm.Command{Do: "clear", Timed: true}); err != nil {
		return 0, err
	}
	flood := p.letters(r.Flood*r.Slow, 0, 1, r.Slow, 0)
	flood.IDs, flood.Size = p.ids()+ofMore, floodPayload
	flooded := make(chan error, 1)
	go func() {
		_, err := others.do(ctx, swarm.Command{Do: "post", Post: flood})
		flooded <- err
	}()
	_, err := c.round(ctx, l, r.Broadcasts, 1)
	err = errors.Join(err, <-flooded)
	if err != nil {
		return 0, err
	}
	a, err := c.crew.do(ctx, swarm.Command{Do: "look"})
	return float64(a.Latency.P99) / float64(time.Millisecond), err
}

// again connects the devices of another crew anew. They have what was sent
// to them before in their own time.
func (c crew) again(ctx context.Context, l *Load, p *product, n int) error {
	if _, err := c.do(ctx, swarm.Command{Do: "close"}); err != nil {
		return err
	}
	target, tokens := p.Target()
	_, err := c.do(ctx, swarm.Command{Do: "connect", Target: target, Clients: n, Parallel: l.Parallel, Tokens: tokens + ofMore, Lossy: true,
		Address: l.address(n)})
	return err
}
