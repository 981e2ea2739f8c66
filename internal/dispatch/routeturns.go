package dispatch

import (
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// routesAtOnce is of how many messages it is asked at the same time who is to be
// reached by a step of their routes.
const routesAtOnce = 32

// routeTurns has steps of routes planned: those of one message one after the
// other, because one may ask what came of those before it, and those of several
// messages at once, because one to millions takes as long as reading their
// addresses does, and keeps nobody else waiting.
type routeTurns struct {
	places chan struct{}
	going  sync.WaitGroup

	mu    sync.Mutex                              // guards what follows
	queue map[herald.MessageID][]record.RouteStep // behind the one that is being planned
}

func newRouteTurns() *routeTurns {
	return &routeTurns{places: make(chan struct{}, routesAtOnce), queue: map[herald.MessageID][]record.RouteStep{}}
}

// add has steps of one message planned, in their order, by a goroutine of its own.
// It waits for a place, unless the message has one.
func (r *routeTurns) add(steps []record.RouteStep, plan func(record.RouteStep)) {
	id := steps[0].Msg
	r.mu.Lock()
	waiting, going := r.queue[id]
	r.queue[id] = append(waiting, steps...)
	r.mu.Unlock()
	if going {
		return
	}
	r.places <- struct{}{}
	r.going.Go(func() {
		defer func() { <-r.places }()
		for s, ok := r.next(id); ok; s, ok = r.next(id) {
			plan(s)
		}
	})
}

func (r *routeTurns) next(id herald.MessageID) (s record.RouteStep, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.queue[id]
	if len(list) == 0 {
		delete(r.queue, id)
		return s, false
	}
	r.queue[id] = list[1:]
	return list[0], true
}

// wait waits for what was added.
func (r *routeTurns) wait() { r.going.Wait() }

// renewEvery is how often the lease of a step is renewed while it is planned.
const renewEvery = routeLease / 3

// renewed does what may take longer than the lease of a step, and keeps it
// meanwhile. A lease that is lost, or cannot be renewed, is found where the step is
// written to.
func (d *Dispatcher) renewed(ctx context.Context, s record.RouteStep, f func() error) error {
	ctx, stop := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	defer renewing.Wait()
	defer stop()
	renewing.Go(func() {
		tick := time.NewTicker(renewEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = d.c.Routes.Live.PutOffStep(ctx, s, d.c.Now().Add(routeLease))
			}
		}
	})
	return f()
}
