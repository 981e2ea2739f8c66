package live

import (
	"context"
	"runtime"
	"sync"
)

// pool is the queue of sessions that have something to do which may read the
// record: open, take a cursor, replay a page. A session stands in it at most
// once, and takes a turn per page, so that a long replay does not hold up
// others.
type pool struct {
	mu          sync.Mutex
	wake        *sync.Cond
	first, last *Session // linked by poolNext
	stopped     bool
}

func newPool() *pool {
	p := &pool{}
	p.wake = sync.NewCond(&p.mu)
	return p
}

// push queues a session. If it stands in the queue already, nothing changes;
// if a worker is at it, it gets another turn afterwards.
func (p *pool) push(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s.poolState {
	case poolIdle:
		p.append(s)
	case poolWorking:
		s.poolState = poolAgain
	}
}

func (p *pool) append(s *Session) {
	s.poolState, s.poolNext = poolQueued, nil
	if p.last == nil {
		p.first = s
	} else {
		p.last.poolNext = s
	}
	p.last = s
	p.wake.Signal()
}

// work gives sessions their turns until the pool is stopped. What a turn does
// ends early when ctx ends.
func (p *pool) work(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.first == nil && !p.stopped {
			p.wake.Wait()
		}
		if p.stopped {
			return
		}
		s := p.first
		if p.first = s.poolNext; p.first == nil {
			p.last = nil
		}
		s.poolNext, s.poolState = nil, poolWorking
		p.mu.Unlock()
		again := s.turn(ctx)
		// Whoever can run goes first: a worker with a long queue before it would
		// else keep its processor for the ten milliseconds that the scheduler
		// gives it, at each step of a message that goes out live.
		runtime.Gosched()
		p.mu.Lock()
		p.after(s, again)
	}
}

// after notes that a turn is over; p.mu is held.
func (p *pool) after(s *Session, again bool) {
	if again || s.poolState == poolAgain {
		p.append(s)
	} else {
		s.poolState = poolIdle
	}
}

// begin has the first turn of a session be the caller's own.
func (p *pool) begin(s *Session, turn func() (again bool)) {
	p.mu.Lock()
	s.poolState = poolWorking
	p.mu.Unlock()
	again := turn()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after(s, again)
}

func (p *pool) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.wake.Broadcast()
}

// poolState is where a session stands with the pool; guarded by pool.mu.
type poolState uint8

const (
	poolIdle poolState = iota
	poolQueued
	poolWorking
	poolAgain // a worker is at it, and there is more to do
)
