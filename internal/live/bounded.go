package live

import (
	"context"
	"sync"
	"time"
)

// bounded is a context that ends at a time, like that of context.WithDeadline,
// and makes a timer only when somebody waits for its end: what a connect asks is
// mostly answered from memory.
type bounded struct {
	context.Context // what it is bounded within
	by              time.Time

	mu    sync.Mutex      // guards what follows
	timed context.Context // nil until somebody waits
	stop  context.CancelFunc
}

// Within is context.WithTimeout, and makes its timer for who waits for the end
// only: most of what is asked of the record is in memory, and waits for nothing.
func Within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	b := within(ctx, d)
	return b, b.end
}

// within is Within for who needs no function to end it.
func within(ctx context.Context, d time.Duration) *bounded {
	return &bounded{Context: ctx, by: time.Now().Add(d)}
}

// Deadline is the time.
func (b *bounded) Deadline() (time.Time, bool) {
	if by, ok := b.Context.Deadline(); ok && by.Before(b.by) {
		return by, true
	}
	return b.by, true
}

// Done makes the timer.
func (b *bounded) Done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timed == nil {
		b.timed, b.stop = context.WithDeadline(b.Context, b.by)
	}
	return b.timed.Done()
}

// Err is not nil when Done is closed.
func (b *bounded) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timed != nil {
		return b.timed.Err()
	}
	if err := b.Context.Err(); err != nil || time.Now().Before(b.by) {
		return err
	}
	return context.DeadlineExceeded
}

// end gives up the timer; nobody waits any more.
func (b *bounded) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		b.stop()
	}
}
