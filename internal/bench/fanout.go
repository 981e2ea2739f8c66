package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

// FanoutRun measures what a delivery of a message to all costs the server.
type FanoutRun struct {
	*Load
	// Clients are the numbers of clients, each measured with a server of its own.
	Clients    []int
	Transports []string
	// Broadcasts are how many messages a round has, one after the other, each
	// when all have got the last; with Burst they are sent Burst at a time.
	Broadcasts, Burst int
	// Ack measures with clients that acknowledge, too.
	Ack bool
	// TTL of the messages; 0 are not kept.
	TTL int
	// Slow clients do not read, to see what that does to the others.
	// Each is sent Flood large messages in a round: more than the sockets
	// and the queue of a session hold together.
	Slow, Flood int
	// Against is another product.
	Against string
}

// FanoutTransports are what fan-out is measured over.
func FanoutTransports() []string {
	return []string{swarm.WebSocket, swarm.SSE, swarm.Stream, swarm.TCP, swarm.MQTT}
}

// Check refuses what cannot be run.
func (r *FanoutRun) Check() error {
	if err := errors.Join(r.check(), checkClients(r.Clients), checkTransports(r.Transports, FanoutTransports())); err != nil {
		return err
	}
	if r.Broadcasts < 1 || r.Burst < 1 || r.Broadcasts%r.Burst != 0 || (r.Broadcasts*r.Rounds > herald.MaxPending/2 && r.TTL > 0) {
		return herald.Invalid("broadcasts", fmt.Sprintf("Give a multiple of the burst, and no more than %d in all rounds.", herald.MaxPending/2),
			"%d broadcasts a round in bursts of %d", r.Broadcasts, r.Burst)
	}
	if r.Slow < 0 || r.Slow > 1000 || r.Slow > 0 && r.Flood < 1 {
		return herald.Invalid("slow", "Give at most 1000, and at least 1 message for each.", "%d slow clients", r.Slow)
	}
	return checkRival(r.Against)
}

// contest is a rival with its clients.
type contest struct {
	rival
	name    string
	crew    crew
	clients int
	seq     uint32
	got     uint64 // broadcasts that all clients have got together
	posted  uint64 // and unicasts
}

// enter connects clients to a rival.
func enter(ctx context.Context, l *Load, name string, r rival, clients int, ack bool) (*contest, error) {
	c := &contest{rival: r, name: name, clients: clients}
	child, err := startChild(ctx, l, ofCrowd)
	if err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	c.crew = crew{child}
	if _, err := c.connect(ctx, l, ack); err != nil {
		return nil, errors.Join(err, c.leave())
	}
	return c, nil
}

// connect connects the clients.
func (c *contest) connect(ctx context.Context, l *Load, ack bool) (swarm.Answer, error) {
	target, tokens := c.Target()
	ids := ""
	if p, ok := c.rival.(*product); ok && target.Proto == swarm.MQTT {
		ids = p.ids()
	}
	a, err := c.crew.do(ctx, swarm.Command{
		Do: "connect", IDs: ids, Target: target, Clients: c.clients, Parallel: l.Parallel, Tokens: tokens, Ack: ack, Nap: l.Nap,
		Address: l.address(c.clients),
	})
	if err != nil {
		return a, fmt.Errorf("%w (%s)", err, c.name)
	}
	c.seq, c.got, c.posted = 0, 0, 0
	if p, ok := c.rival.(*product); ok {
		err = p.online(ctx, c.clients+p.others())
	}
	return a, err
}

// leave ends the clients and the server.
func (c *contest) leave() error {
	if c == nil {
		return nil
	}
	return errors.Join(c.crew.stop(), c.Stop())
}

// round sends broadcasts and gives the processor time of the server for one delivery,
// in microseconds.
func (c *contest) round(ctx context.Context, l *Load, broadcasts, burst int) (float64, error) {
	used := c.Process().cpu()
	for n := 0; n < broadcasts; n += burst {
		if err := c.Broadcast(ctx, c.seq+1, burst); err != nil {
			return 0, fmt.Errorf("%w (%s)", err, c.name)
		}
		c.seq += uint32(burst)
		c.got += uint64(burst * c.clients)
		if _, err := c.crew.do(ctx, swarm.Command{Do: "expect", Broadcasts: c.got, Unicasts: c.posted, Nap: l.Nap}); err != nil {
			return 0, fmt.Errorf("%w (%s)", err, c.name)
		}
	}
	if err := c.Settle(ctx); err != nil {
		return 0, err
	}
	rest(ctx, l.Rest)
	return microseconds(c.Process().cpu()-used) / float64(broadcasts*c.clients), ctx.Err()
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// turn is one of several things that are measured in turns.
type turn struct {
	round func() (float64, error)
	took  []float64 // by round
}

// alternate takes rounds in turns, after one that does not count.
func alternate(ctx context.Context, l *Load, what string, turns ...*turn) error {
	progress := l.progress()
	progress.Begin(what)
	for i := range l.Rounds + 1 {
		for k, t := range turns {
			v, err := t.round()
			if err = errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			if i > 0 {
				t.took = append(t.took, v)
			}
			progress.At(i*len(turns)+k+1, (l.Rounds+1)*len(turns))
		}
	}
	progress.End((l.Rounds + 1) * len(turns))
	return nil
}

// Fanout measures.
func Fanout(ctx context.Context, r *FanoutRun) (*Report, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	report := newReport("fanout", map[string]any{"payload": r.Payload, "broadcasts a round": r.Broadcasts, "burst": r.Burst, "ttl": r.TTL, "nap": r.Nap, "rest": r.Rest})
	defer report.finish()
	for _, n := range r.Clients {
		if err := r.size(ctx, report, n); err != nil {
			return report, err
		}
	}
	return report, nil
}

// size measures with one number of clients.
func (r *FanoutRun) size(ctx context.Context, report *Report, n int) (err error) {
	base, err := startFloor(ctx, r.Load)
	if err != nil {
		return err
	}
	floor, err := enter(ctx, r.Load, "floor", base, n, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, floor.leave()) }()
	for _, transport := range r.Transports {
		acks := []bool{false}
		if r.Ack && slices.Contains([]string{swarm.WebSocket, swarm.TCP, swarm.MQTT}, transport) {
			acks = append(acks, true)
		}
		for _, ack := range acks {
			name := fmt.Sprintf("%s, %d clients", transport, n)
			if ack {
				name += ", acknowledged"
			}
			c, err := r.herald(ctx, name, transport, n, ack)
			if err != nil {
				return err
			}
			if err := r.duel(ctx, report, floor, c); err != nil {
				return err
			}
		}
	}
	if r.Slow > 0 {
		if err := r.slow(ctx, report, n); err != nil {
			return err
		}
	}
	if r.Against == "" {
		return nil
	}
	other, err := startRival(ctx, r.Load, r.Against, n)
	if err != nil {
		return err
	}
	c, err := enter(ctx, r.Load, fmt.Sprintf("%s, %d clients", r.Against, n), other, n, false)
	if err != nil {
		return err
	}
	return r.duel(ctx, report, floor, c)
}

// herald connects clients to Herald.
func (r *FanoutRun) herald(ctx context.Context, name, transport string, n int, ack bool) (*contest, error) {
	p, err := startProduct(ctx, r.Load, transport, n, 0)
	if err != nil {
		return nil, err
	}
	p.ttl, p.acked = r.TTL, ack
	if r.Burst > 1 {
		p.batched, err = p.takesBatches(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return enter(ctx, r.Load, name, p, n, ack)
}

// duel measures a rival and the floor in turns, and bursts beside single messages.
func (r *FanoutRun) duel(ctx context.Context, report *Report, floor, c *contest) (err error) {
	defer func() { err = errors.Join(err, c.leave()) }()
	of := func(c *contest, burst int) *turn {
		return &turn{round: func() (float64, error) { return c.round(ctx, r.Load, r.Broadcasts, burst) }}
	}
	base, single, burst := of(floor, 1), of(c, 1), of(c, r.Burst)
	turns := []*turn{base, single}
	if r.Burst > 1 {
		turns = append(turns, burst)
	}
	if err := alternate(ctx, r.Load, c.name, turns...); err != nil {
		return err
	}
	report.add("floor, "+c.name, "µs", base.took, "", nil)
	report.add(c.name, "µs", single.took, "floor", base.took)
	if r.Burst > 1 {
		report.add(fmt.Sprintf("%s, bursts of %d", c.name, r.Burst), "µs", burst.took, "single", single.took)
	}
	return nil
}
