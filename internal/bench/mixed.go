package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// MixedRun measures how long messages take while everything happens at once.
type MixedRun struct {
	*Load
	Clients   int
	Transport string
	// In a round: messages to all, messages to one, over Posters connections,
	// and devices that connect anew.
	Broadcasts, Messages, Posters, Connects int
}

// Check refuses what cannot be run.
func (r *MixedRun) Check() error {
	err := errors.Join(r.check(), checkClients([]int{r.Clients + r.Connects}), checkPosts(r.Messages, 0, r.Posters),
		checkTransports([]string{r.Transport}, []string{swarm.WebSocket, swarm.TCP}))
	if err == nil && (r.Broadcasts < 1 || r.Connects < 1 || r.Broadcasts*(r.Rounds+1) > herald.MaxPending) {
		err = herald.Invalid("broadcasts", fmt.Sprintf("Give 1 to %d in all rounds, and at least one that connects.", herald.MaxPending),
			"%d broadcasts in a round", r.Broadcasts)
	}
	return err
}

// crews are the processes of the run beside that with the clients.
type crews struct{ posters, comers crew }

// Mixed measures.
func Mixed(ctx context.Context, r *MixedRun) (report *Report, err error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	report = newReport("mixed", map[string]any{"clients": r.Clients, "transport": r.Transport, "payload": r.Payload, "to all": r.Broadcasts,
		"to one": r.Messages, "connect": r.Connects})
	defer report.finish()
	p, err := startProduct(ctx, r.Load, r.Transport, r.Clients, r.Connects)
	if err != nil {
		return nil, err
	}
	p.acked = true
	r.Nap = 0 // who is timed is woken by each message
	c, err := enter(ctx, r.Load, "mixed", p, r.Clients, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	var others crews
	for _, to := range []*crew{&others.posters, &others.comers} {
		child, err := startChild(ctx, r.Load, ofCrowd)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, child.stop()) }()
		*to = crew{child}
	}
	var p50, p99, most, used []float64
	r.Progress.Begin("mixed")
	for i := range r.Rounds + 1 {
		a, cpu, err := r.round(ctx, p, c, others)
		if err != nil {
			return nil, err
		}
		if r.Progress.At(i+1, r.Rounds+1); i == 0 {
			continue
		}
		ms := float64(time.Millisecond)
		p50, p99, most = append(p50, float64(a.P50)/ms), append(p99, float64(a.P99)/ms), append(most, float64(a.Max)/ms)
		used = append(used, microseconds(cpu)/float64(r.Broadcasts*r.Clients+r.Messages))
	}
	r.Progress.End(r.Rounds + 1)
	report.add("delivery, p50", "ms", p50, "", nil)
	report.add("delivery, p99", "ms", p99, "", nil)
	report.add("delivery, most", "ms", most, "", nil)
	report.add("processor time of a delivery, with all else", "µs", used, "", nil)
	return report, nil
}

// round does everything at once, and waits until all of it is done.
func (r *MixedRun) round(ctx context.Context, p *product, c *contest, others crews) (swarm.Latency, time.Duration, error) {
	if _, err := c.crew.do(ctx, swarm.Command{Do: "clear", Timed: true}); err != nil {
		return swarm.Latency{}, 0, err
	}
	used := c.Process().cpu()
	ended := make(chan error, 3)
	go func() {
		letters := p.letters(r.Messages, 0, r.Posters, r.Clients, broadcastTTL)
		_, err := others.posters.do(ctx, swarm.Command{Do: "post", Post: letters})
		ended <- err
	}()
	go func() { ended <- others.comers.again(ctx, r.Load, p, r.Connects) }()
	go func() {
		for range r.Broadcasts {
			c.seq++
			if err := p.Broadcast(ctx, c.seq, 1); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	err := errors.Join(<-ended, <-ended, <-ended)
	if err != nil {
		return swarm.Latency{}, 0, err
	}
	c.got += uint64(r.Broadcasts * r.Clients)
	c.posted += uint64(r.Messages)
	a, err := c.crew.do(ctx, swarm.Command{Do: "expect", Broadcasts: c.got, Unicasts: c.posted})
	if err != nil {
		return swarm.Latency{}, 0, err
	}
	if err := c.Settle(ctx); err != nil {
		return swarm.Latency{}, 0, err
	}
	rest(ctx, r.Rest)
	return a.Latency, c.Process().cpu() - used, ctx.Err()
}
