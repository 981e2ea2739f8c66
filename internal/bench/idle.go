package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// IdleRun measures what connections cost that nothing is sent to.
type IdleRun struct {
	*Load
	Clients    []int
	Transports []string
	// Settle is how long the server rests before its memory is read.
	Settle time.Duration
	// Broadcasts are sent before it is read once more.
	Broadcasts int
	// Against is another product.
	Against string
}

// IdleTransports are those of which idle connections are measured.
func IdleTransports() []string {
	return []string{swarm.WebSocket, swarm.SSE, swarm.Stream, swarm.Poll, swarm.TCP, swarm.MQTT}
}

// Check refuses what cannot be run.
func (r *IdleRun) Check() error {
	if r.Settle < 0 || r.Settle > time.Hour || r.Broadcasts < 0 || r.Broadcasts > 1000 {
		return herald.Invalid("settle", "Give at most 1h, and 1000 broadcasts.", "these numbers are out of range")
	}
	return errors.Join(r.check(), checkClients(r.Clients), checkTransports(r.Transports, IdleTransports()), checkRival(r.Against))
}

// Idle measures. The transports are measured at once, each with a server of its own.
func Idle(ctx context.Context, r *IdleRun) (*Report, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	report := newReport("idle", map[string]any{"settle": r.Settle, "broadcasts": r.Broadcasts, "payload": r.Payload})
	defer report.finish()
	for _, n := range r.Clients {
		write, err := r.floor(ctx, n)
		if err != nil {
			return report, err
		}
		report.add(fmt.Sprintf("floor, write, %d clients", n), "µs", write, "", nil)
		if err := r.size(ctx, report, n, median(write)); err != nil {
			return report, err
		}
	}
	return report, nil
}

// floor measures what a write costs at the least.
func (r *IdleRun) floor(ctx context.Context, n int) (took []float64, err error) {
	base, err := startFloor(ctx, r.Load)
	if err != nil {
		return nil, err
	}
	c, err := enter(ctx, r.Load, "floor", base, n, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	writes := &turn{round: func() (float64, error) { return c.round(ctx, r.Load, 5, 1) }}
	err = alternate(ctx, r.Load, "floor", writes)
	return writes.took, err
}

// idleFigures are what one rival was measured at.
type idleFigures struct {
	name          string
	empty         float64 // MiB of the server, with none connected
	before, after float64 // bytes of a connection; after the broadcasts
	cpu           float64 // percent of a core
	pings         float64 // in a second
	err           error
}

// size measures all transports with one number of clients, at once: memory is not in
// each other's way, and time of the processor is counted for each server.
func (r *IdleRun) size(ctx context.Context, report *Report, n int, write float64) error {
	names := r.Transports
	if r.Against != "" {
		names = append(names[:len(names):len(names)], r.Against)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.quiet = true
	found := make([]idleFigures, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			if found[i] = r.measure(ctx, name, n, name == r.Against); found[i].err != nil {
				cancel() // the others need not wait
			}
		})
	}
	r.watch(ctx, &wg, n)
	r.quiet = false
	var errs []error
	for _, f := range found {
		if f.err != nil && !errors.Is(f.err, context.Canceled) {
			errs = append(errs, f.err)
		}
	}
	if len(errs) > 0 || ctx.Err() != nil {
		return errors.Join(append(errs, ctx.Err())...)
	}
	for _, f := range found {
		name := fmt.Sprintf("%s, %d clients, ", f.name, n)
		report.add(name+"memory of the server with none", "MiB", []float64{f.empty}, "", nil)
		report.add(name+"memory of a connection", "B", []float64{f.before}, "", nil)
		report.add(fmt.Sprintf("%safter %d broadcasts", name, r.Broadcasts), "B", []float64{f.after}, "", nil)
		report.add(name+"pings", "/s", []float64{f.pings}, "", nil)
		report.add(name+"processor", "% of a core", []float64{f.cpu}, "", nil)
		report.add(name+"beyond two writes for each ping", "% of a core", []float64{f.cpu - 2*f.pings*write/1e6*100}, "", nil)
	}
	return nil
}

// watch tells how far all are, until they have ended.
func (r *IdleRun) watch(ctx context.Context, wg *sync.WaitGroup, n int) {
	ended := make(chan struct{})
	go func() {
		wg.Wait()
		close(ended)
	}()
	all := int((3*r.Settle + 15*time.Second + time.Duration(n)*time.Millisecond) / time.Second) // a guess
	r.Progress.Begin(fmt.Sprintf("idle, %d clients", n))
	begun := time.Now()
	for {
		select {
		case <-ended:
			r.Progress.End(int(time.Since(begun) / time.Second))
			return
		case <-time.After(time.Second):
			r.Progress.At(min(int(time.Since(begun)/time.Second), all-1), all)
		}
	}
}

// measure measures one rival.
func (r *IdleRun) measure(ctx context.Context, name string, n int, other bool) (f idleFigures) {
	f.name = name
	var server rival
	if other {
		server, f.err = startRival(ctx, r.Load, name, n)
	} else {
		server, f.err = startProduct(ctx, r.Load, name, n, 0)
	}
	if f.err != nil {
		return f
	}
	c, err := enter(ctx, r.Load, name, server, n, false)
	if err != nil {
		f.err = err
		return f
	}
	defer func() { f.err = errors.Join(f.err, c.leave()) }()
	if f.err = c.disconnect(ctx); f.err != nil {
		return f
	}
	if f.err = r.settled(ctx); f.err != nil {
		return f
	}
	empty := c.Process().memory().resident
	f.empty = float64(empty) / (1 << 20)
	if _, f.err = c.connect(ctx, r.Load, false); f.err != nil {
		return f
	}
	if f.err = r.idle(ctx, c, &f); f.err != nil {
		return f
	}
	f.before = float64(c.Process().memory().resident-empty) / float64(n)
	for range r.Broadcasts {
		if _, f.err = c.round(ctx, r.Load, 1, 1); f.err != nil {
			return f
		}
	}
	if f.err = r.settled(ctx); f.err != nil {
		return f
	}
	f.after = float64(c.Process().memory().resident-empty) / float64(n)
	return f
}

func (r *IdleRun) settled(ctx context.Context) error {
	rest(ctx, r.Settle)
	return ctx.Err()
}

// idle waits, and measures the processor time meanwhile. The time of
// connecting is left out by a twelfth of the wait.
func (r *IdleRun) idle(ctx context.Context, c *contest, f *idleFigures) error {
	rest(ctx, r.Settle/12)
	a, err := c.crew.do(ctx, swarm.Command{Do: "look"})
	if err != nil {
		return err
	}
	used, begun := c.Process().cpu(), time.Now()
	rest(ctx, r.Settle-r.Settle/12)
	took := max(time.Since(begun), time.Nanosecond).Seconds()
	f.cpu = 100 * (c.Process().cpu() - used).Seconds() / took
	b, err := c.crew.do(ctx, swarm.Command{Do: "look"})
	f.pings = float64(b.Tally.Pings-a.Tally.Pings) / took
	return errors.Join(err, ctx.Err())
}
