package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/herald-push/herald/internal/bench/swarm"
)

// FloorRun measures the bare server that all ratios are to.
type FloorRun struct {
	*Load
	Clients    []int
	Broadcasts int
	// Messages and Batch are those of posts.
	Messages, Batch int
	Posters         int
}

// Check refuses what cannot be run.
func (r *FloorRun) Check() error {
	return errors.Join(r.check(), checkClients(r.Clients), checkPosts(r.Messages, r.Batch, r.Posters))
}

// Floor measures.
func Floor(ctx context.Context, r *FloorRun) (*Report, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	report := newReport("floor", map[string]any{"payload": r.Payload, "broadcasts a round": r.Broadcasts, "messages a round": r.Messages, "batch": r.Batch, "nap": r.Nap})
	defer report.finish()
	for _, n := range r.Clients {
		if err := r.size(ctx, report, n); err != nil {
			return report, err
		}
	}
	return report, nil
}

// size measures with one number of clients.
func (r *FloorRun) size(ctx context.Context, report *Report, n int) (err error) {
	base, err := startFloor(ctx, r.Load)
	if err != nil {
		return err
	}
	empty, _ := base.process.resident()
	c, err := enter(ctx, r.Load, "floor", base, n, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	full, _ := base.process.resident()
	for _, step := range []struct {
		what  string
		round func() (float64, error)
	}{
		{"write to each of %d sockets", func() (float64, error) { return c.round(ctx, r.Load, r.Broadcasts, 1) }},
		{"accept and upgrade, %d connections", func() (float64, error) { return c.reconnect(ctx, r.Load) }},
		{"POST to one of %d sockets", func() (float64, error) { return c.post(ctx, r.Load, base.letters(r.Messages, 0, r.Posters, n)) }},
		{"the same in batches, %d sockets", func() (float64, error) {
			return c.post(ctx, r.Load, base.letters(r.Messages, max(r.Batch, 1), r.Posters, n))
		}},
	} {
		t := &turn{round: step.round}
		what := fmt.Sprintf(step.what, n)
		if err := alternate(ctx, r.Load, what, t); err != nil {
			return err
		}
		report.add(what, "µs", t.took, "", nil)
	}
	report.add(fmt.Sprintf("memory of a connection, %d clients", n), "B", []float64{float64(full-empty) / float64(n)}, "", nil)
	return nil
}

// letters says how messages are posted to the floor.
func (b *bare) letters(messages, batch, posters, clients int) swarm.Post {
	path := "/"
	if batch > 0 {
		path = "/batch"
	}
	return swarm.Post{Address: b.address, Path: path, Size: b.size, Connections: posters, Messages: messages, Batch: batch, Clients: clients}
}
