package sim

import "sync"

// Tray keeps what a vendor has taken, the last of it, for who looks. The zero
// value is ready; its methods may be called from any goroutine.
type Tray[T any] struct {
	mu   sync.Mutex // guards list
	list []T
}

// maxTaken is how much a tray keeps.
const maxTaken = 100_000

// Put adds something.
func (t *Tray[T]) Put(v T) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, v)
	t.list = t.list[max(0, len(t.list)-maxTaken):]
}

// Taken gives all of it in its order, and forgets it.
func (t *Tray[T]) Taken() []T {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.list
	t.list = nil
	return out
}
