package engine

import (
	"runtime"
	"sync"
)

const (
	readBytes  = 64 << 10
	batchBytes = 64 << 10 // that are written at once to one connection
	manyEvents = 256
	// turn is how many connections are written to, or read, before others get the
	// core.
	turn = 64
	// swept is how many connections a round writes to itself at most: those that
	// its calls have answered, and sent to. More is work for the writer.
	swept = 2 * turn
)

// loop drives the connections whose descriptors it was given.
type loop struct {
	engine *Engine
	kernel Kernel
	poller Poller
	due    deadlines
	batch  *batch // nil if the kernel has none
	reader *reader
	ended  sync.WaitGroup

	table sync.RWMutex // guards conns
	conns []*conn      // by descriptor

	mu    sync.Mutex // guards what follows
	dirty []*conn    // for which something waits to be written
	spare []*conn
	idle  bool // the writer waits for wake
	over  bool
	wake  chan struct{} // capacity 1
}

func newLoop(e *Engine, b Batch) (*loop, error) {
	p, err := e.kernel.NewPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{engine: e, kernel: e.kernel, poller: p, wake: make(chan struct{}, 1)}
	if b != nil {
		l.batch = &batch{Batch: b}
	}
	l.reader = &reader{loop: l, buf: make([]byte, readBytes), events: make([]Event, manyEvents)}
	l.ended.Add(1)
	go l.reader.read()
	l.ended.Go(l.write)
	return l, nil
}

// close ends the loop; its connections are gone.
func (l *loop) close() {
	l.due.stop()
	l.poller.Close()
	l.mu.Lock()
	l.over = true
	l.rouse()
	l.mu.Unlock()
	l.ended.Wait()
	if l.batch != nil {
		l.batch.Close()
	}
}

// put makes a connection known by its descriptor.
func (l *loop) put(c *conn) {
	l.table.Lock()
	defer l.table.Unlock()
	fd := int(c.fd)
	if fd >= len(l.conns) {
		grown := make([]*conn, max(fd+1, 2*len(l.conns)))
		copy(grown, l.conns)
		l.conns = grown
	}
	l.conns[fd] = c
}

func (l *loop) take(fd int) {
	l.table.Lock()
	defer l.table.Unlock()
	l.conns[fd] = nil
}

func (l *loop) get(fd int) *conn {
	l.table.RLock()
	defer l.table.RUnlock()
	if fd < len(l.conns) {
		return l.conns[fd]
	}
	return nil
}

// list gives all connections.
func (l *loop) list() (all []*conn) {
	l.table.RLock()
	defer l.table.RUnlock()
	for _, c := range l.conns {
		if c != nil {
			all = append(all, c)
		}
	}
	return all
}

// later puts a connection on the list of those for which something waits; its
// mark says that it is not on it yet. While calls are served on a loop, it
// writes to the few that come of that: see Engine.sweep.
func (l *loop) later(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dirty = append(l.dirty, c)
	if len(l.dirty) > swept || l.engine.rounds.Load() == 0 {
		l.rouse()
	}
}

// few takes what is on the list, unless it is long, or the writer is coming.
func (l *loop) few(to []*conn) []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.idle || len(l.dirty) > swept {
		return to
	}
	to = append(to, l.dirty...)
	clear(l.dirty)
	l.dirty = l.dirty[:0]
	return to
}

// rouse wakes the writer; l.mu is held.
func (l *loop) rouse() {
	if l.idle {
		l.idle = false
		l.wake <- struct{}{}
	}
}

// write writes to the connections for which something waits.
func (l *loop) write() {
	var frames [][]byte
	for {
		list := l.next()
		if list == nil {
			return
		}
		if l.batch != nil && len(list) >= fewWrites {
			list = l.writeMany(list)
		}
		for i, c := range list {
			frames = c.flush(frames)
			list[i] = nil
			if i%turn == turn-1 {
				runtime.Gosched()
			}
		}
	}
}

// next gives those connections, and nil at the end.
func (l *loop) next() []*conn {
	for {
		l.mu.Lock()
		if len(l.dirty) > 0 {
			list := l.dirty
			l.dirty, l.spare = l.spare[:0], list
			l.mu.Unlock()
			return list
		}
		if l.over {
			l.mu.Unlock()
			return nil
		}
		l.idle = true
		l.mu.Unlock()
		<-l.wake
	}
}
