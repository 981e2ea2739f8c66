package bench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
)

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

// UnicastRun measures what a message to one connected device costs the server.
type UnicastRun struct {
	*Load
	Clients    int
	Transport  string
	Messages   int // in a round
	Posters    int // connections that send
	Batch      int // more than 0: also in batches
	Durable    bool
	Recipients int // of the clients, that get messages
}

// Check refuses what cannot be run.
func (r *UnicastRun) Check() error {
	err := errors.Join(r.check(), checkClients([]int{r.Clients}), checkTransports([]string{r.Transport}, FanoutTransports()),
		checkPosts(r.Messages, r.Batch, r.Posters))
	if err == nil && (r.Recipients < 0 || r.Recipients > r.Clients) {
		err = herald.Invalid("recipients", "Give no more than there are clients.", "%d of %d clients", r.Recipients, r.Clients)
	}
	if per := r.Messages * (r.Rounds + 1) * 2 / max(r.to(), 1); err == nil && r.Durable && per > herald.MaxPending/2 {
		err = herald.Invalid("messages", fmt.Sprintf("A device keeps %d messages that it has not acknowledged: send fewer, or to more clients.", herald.MaxPending),
			"%d messages for each device are too many", per)
	}
	return err
}

// to is how many clients get messages.
func (r *UnicastRun) to() int {
	if r.Recipients > 0 {
		return r.Recipients
	}
	return r.Clients
}

// Unicast measures.
func Unicast(ctx context.Context, r *UnicastRun) (report *Report, err error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	report = newReport("unicast", map[string]any{"transport": r.Transport, "clients": r.Clients, "payload": r.Payload, "messages a round": r.Messages,
		"connections that send": r.Posters, "batch": r.Batch})
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
	p, err := startProduct(ctx, r.Load, r.Transport, r.Clients, 0)
	if err != nil {
		return nil, err
	}
	c, err := enter(ctx, r.Load, "herald", p, r.Clients, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.leave()) }()
	batches := []int{0}
	if r.Batch > 0 {
		takes, err := p.takesBatches(ctx)
		if err != nil {
			return nil, err
		}
		if !takes {
			return nil, herald.Errorf(herald.CodeNotFound, "Measure without --batch.", "the server has no POST /v1/messages:batch")
		}
		batches = append(batches, r.Batch)
	}
	ttls := []int{0}
	if r.Durable {
		ttls = append(ttls, broadcastTTL)
	}
	for _, ttl := range ttls {
		for _, batch := range batches {
			if err := r.turns(ctx, report, floor, c, p, ttl, batch); err != nil {
				return report, err
			}
		}
	}
	return report, nil
}

// turns measures one way of sending and the floor's POST, in turns.
func (r *UnicastRun) turns(ctx context.Context, report *Report, floor, c *contest, p *product, ttl, batch int) error {
	what := "POST /v1/messages"
	if batch > 0 {
		what = fmt.Sprintf("POST /v1/messages:batch, %d", batch)
	}
	if ttl > 0 {
		what += ", durable"
	}
	base, ok := floor.rival.(*bare)
	if !ok {
		return errors.New("bench: the floor is none")
	}
	var speed []float64
	bare := &turn{round: func() (float64, error) {
		return floor.post(ctx, r.Load, base.letters(r.Messages, 0, r.Posters, r.to()))
	}}
	own := &turn{round: func() (float64, error) {
		begun := time.Now()
		v, err := c.post(ctx, r.Load, p.letters(r.Messages, batch, r.Posters, r.to(), ttl))
		speed = append(speed, float64(r.Messages)/max(time.Since(begun)-r.Rest, 1).Seconds())
		return v, err
	}}
	if ttl > 0 {
		return r.durable(ctx, report, what, p, own, &speed)
	}
	if err := alternate(ctx, r.Load, what, bare, own); err != nil {
		return err
	}
	report.add("floor, POST to one socket", "µs", bare.took, "", nil)
	report.add(what, "µs", own.took, "floor", bare.took)
	report.add(what+", speed", "/s", speed[1:], "", nil)
	return nil
}

// durable measures messages that are stored, and in turns a process that does
// nothing but write their rows into the same tables.
func (r *UnicastRun) durable(ctx context.Context, report *Report, what string, p *product, own *turn, speed *[]float64) (err error) {
	loop, err := startRows(ctx, r.Load, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.stop()) }()
	var rows []float64
	bare := &turn{round: func() (float64, error) {
		took, n, err := loop.round(ctx, r.Messages)
		rows = append(rows, n)
		return took, err
	}}
	if err := alternate(ctx, r.Load, what, bare, own); err != nil {
		return err
	}
	report.add("rows only", "µs", bare.took, "", nil)
	report.add(what, "µs", own.took, "rows", bare.took)
	report.add("rows only, speed", "/s", rows[1:], "", nil)
	report.add(what+", speed", "/s", (*speed)[1:], "rows", rows[1:])
	return nil
}

// letters says how messages are posted to Herald.
func (p *product) letters(messages, batch, posters, clients, ttl int) swarm.Post {
	path := "/v1/messages"
	if batch > 0 {
		path += ":batch"
	}
	secret := base64.StdEncoding.EncodeToString([]byte(string(p.seeded.AppKey) + ":" + p.seeded.MasterSecret))
	return swarm.Post{Address: p.host(), Path: path, Size: p.load.Payload, Connections: posters, Messages: messages, Batch: batch,
		Secret: "Basic " + secret, IDs: p.ids(), TTL: ttl, Clients: clients}
}
