package certs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

var errClosed = errors.New("certs: the folder of certificates is closed")

// closeWithin is how long close waits for what is under way. By then its
// context has ended, so that it only has to notice.
const closeWithin = 10 * time.Second

// gate is a storage that can be closed: the library works in goroutines that
// nobody can wait for, and a folder must be left alone once its server has
// stopped.
type gate struct {
	certmagic.Storage

	mu     sync.Mutex
	closed bool // no lock is given any more
	sealed bool // nothing is done any more
	busy   int  // calls under way, and locks held
	idle   chan struct{}
	locks  map[string]chan struct{} // closed when it is let go
}

func newGate(s certmagic.Storage) *gate {
	return &gate{Storage: s, idle: make(chan struct{}), locks: map[string]chan struct{}{}}
}

// enter reports whether a call may be made; then leave is called after it.
// A closed gate gives no lock, but lets calls in until it is sealed, so that who
// holds a lock can come to an end.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sealed {
		return false
	}
	g.busy++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	g.settle()
}

// settle seals a closed gate behind the last who left. g.mu is held.
func (g *gate) settle() {
	if g.closed && !g.sealed && g.busy == 0 {
		g.sealed = true
		close(g.idle)
	}
}

// close waits for what is under way, and lets nothing in any more.
func (g *gate) close(within time.Duration) {
	g.mu.Lock()
	g.closed = true
	g.settle()
	g.mu.Unlock()
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-g.idle:
	case <-t.C:
		g.mu.Lock()
		g.sealed = true
		g.mu.Unlock()
	}
}

// Lock counts as busy until Unlock. The lock is one of this process: a folder
// has one server, and a lock file would outlive a server that was killed.
func (g *gate) Lock(ctx context.Context, name string) error {
	for {
		ok, held := g.take(name)
		if ok {
			return nil
		}
		if held == nil {
			return errClosed
		}
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TryLock implements certmagic.TryLocker.
func (g *gate) TryLock(_ context.Context, name string) (bool, error) {
	ok, held := g.take(name)
	if !ok && held == nil {
		return false, errClosed
	}
	return ok, nil
}

// take gives the lock, or a channel that is closed when who has it lets it go;
// nil if the gate is closed.
func (g *gate) take(name string) (ok bool, held <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false, nil
	}
	if c := g.locks[name]; c != nil {
		return false, c
	}
	g.locks[name] = make(chan struct{})
	g.busy++
	return true, nil
}

// Unlock is always let in.
func (g *gate) Unlock(_ context.Context, name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.locks[name]
	if c == nil {
		return fmt.Errorf("certs: %s is not locked", name)
	}
	close(c)
	delete(g.locks, name)
	g.busy--
	g.settle()
	return nil
}

// Store implements certmagic.Storage, as does what follows.
func (g *gate) Store(ctx context.Context, key string, value []byte) error {
	if !g.enter() {
		return errClosed
	}
	defer g.leave()
	return g.Storage.Store(ctx, key, value)
}

func (g *gate) Load(ctx context.Context, key string) ([]byte, error) {
	if !g.enter() {
		return nil, errClosed
	}
	defer g.leave()
	return g.Storage.Load(ctx, key)
}

func (g *gate) Delete(ctx context.Context, key string) error {
	if !g.enter() {
		return errClosed
	}
	defer g.leave()
	return g.Storage.Delete(ctx, key)
}
