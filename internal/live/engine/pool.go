package engine

import "sync"

// How many requests are served at once. Those that become live connections, or
// are held, are over in a moment, so that few goroutines serve many; the others
// may wait for the disk together, and their writes are joined then.
const (
	liveWorkers = 32
	callWorkers = 4096
)

// workers run tasks, at most so many at a time. There is no goroutine while
// there is nothing to do.
type workers struct {
	most int

	mu      sync.Mutex // guards what follows
	waiting []func()
	running int
}

// run has a task done, in its turn.
func (p *workers) run(task func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running == p.most {
		p.waiting = append(p.waiting, task)
		return
	}
	p.running++
	go func() {
		for task := task; task != nil; task = p.next() {
			task()
		}
	}()
}

// next gives the next task; nil, and one goroutine less runs, if there is none.
func (p *workers) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		p.waiting = nil
		p.running--
		return nil
	}
	task := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	return task
}
