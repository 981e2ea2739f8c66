package engine

import (
	"runtime"
	"sync"
)

// How many requests are served at once. Those that become live connections are
// over in a moment, so that few goroutines serve many, and as many others serve
// those that may be held, which have to be looked for in the record first; calls
// may wait for the disk together, and their writes are joined then.
const (
	liveWorkers = 32
	callWorkers = 4096
)

// restingWorkers is how many goroutines there are when there is nothing to do:
// a new one would have to grow its stack again.
const restingWorkers = 8

// workers run tasks, at most so many at a time.
type workers struct {
	most int
	// yields has who can run go first after each task: when thousands connect at
	// once, a worker would else keep its processor for the ten milliseconds that
	// the scheduler gives it, and messages to those who are connected would wait.
	yields bool

	mu      sync.Mutex // guards what follows
	wake    sync.Cond
	waiting []func()
	running int // goroutines
	resting int // of these, that have nothing to do
	over    bool
}

func newWorkers(most int, yields bool) *workers {
	p := &workers{most: most, yields: yields, running: restingWorkers}
	p.wake.L = &p.mu
	for range restingWorkers {
		go p.work()
	}
	return p
}

// run has a task done, in its turn.
func (p *workers) run(task func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, task)
	switch {
	case p.resting > 0:
		p.resting--
		p.wake.Signal()
	case p.running < p.most:
		p.running++
		go p.work()
	}
}

func (p *workers) work() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for len(p.waiting) == 0 {
			if p.over || p.resting >= restingWorkers {
				p.running--
				return
			}
			p.resting++
			p.wake.Wait()
		}
		task := p.waiting[0]
		p.waiting[0] = nil
		if p.waiting = p.waiting[1:]; len(p.waiting) == 0 {
			p.waiting = nil
		}
		p.mu.Unlock()
		task()
		if p.yields {
			runtime.Gosched()
		}
		p.mu.Lock()
	}
}

// close ends the goroutines that rest, and the others when they have nothing
// more to do.
func (p *workers) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over, p.resting = true, 0
	p.wake.Broadcast()
}
