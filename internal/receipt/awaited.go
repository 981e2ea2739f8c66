package receipt

import (
	"context"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// awaitedBlock is how many devices are looked for together.
const awaitedBlock = 256

// awaited knows for which devices direct messages may wait, so that one for
// which none does costs no query when it connects. A block of devices is read
// from the record when one of them asks first; what is released later is added
// as it is tracked, before the backlog shows it. A device leaves it when its
// entries were read and none waits.
type awaited struct {
	mu     sync.Mutex // guards what follows
	blocks map[herald.Ordinal]*devicesAwaited
}

// devicesAwaited is one block.
type devicesAwaited struct {
	bits    [awaitedBlock / 64]uint64
	grown   uint32        // how many times something was added
	reading chan struct{} // closed when the record has been read; nil after that
}

func (b *devicesAwaited) has(o herald.Ordinal) bool {
	return b.bits[o%awaitedBlock/64]&(1<<(o%64)) != 0
}

func (b *devicesAwaited) add(o herald.Ordinal) {
	b.bits[o%awaitedBlock/64] |= 1 << (o % 64)
	b.grown++
}

// add notes that a message was released to devices. Of blocks that nobody has
// asked for yet nothing is kept: they are read from a record that has it.
func (a *awaited) add(ords []herald.Ordinal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.blocks) == 0 {
		return
	}
	for _, o := range ords {
		if b := a.blocks[o/awaitedBlock]; b != nil {
			b.add(o)
		}
	}
}

// Awaiting says whether direct messages may wait for a device.
type Awaiting struct {
	May   bool
	grown uint32 // of its block, when that was asked
}

// Awaits tells whether direct messages that are released may wait for a device.
// read lists the devices between two that have entries, the last one included;
// with an error of it they may.
func (l *Ledger) Awaits(ctx context.Context, app herald.AppKey, o herald.Ordinal, read func(ctx context.Context, first, last herald.Ordinal) (*sets.Set, error)) Awaiting {
	a := &l.book(app).awaited
	for {
		a.mu.Lock()
		b := a.blocks[o/awaitedBlock]
		if b == nil {
			return a.read(ctx, o, read)
		}
		if b.reading == nil {
			defer a.mu.Unlock()
			return Awaiting{b.has(o), b.grown}
		}
		reading := b.reading
		a.mu.Unlock()
		select {
		case <-reading:
		case <-ctx.Done():
			return Awaiting{May: true}
		}
	}
}

// read reads the block of a device. a.mu is held, and is not any more after it.
func (a *awaited) read(ctx context.Context, o herald.Ordinal, read func(ctx context.Context, first, last herald.Ordinal) (*sets.Set, error)) Awaiting {
	at := o / awaitedBlock
	b := &devicesAwaited{reading: make(chan struct{})}
	if a.blocks == nil {
		a.blocks = map[herald.Ordinal]*devicesAwaited{}
	}
	a.blocks[at] = b
	a.mu.Unlock()
	found, err := read(ctx, at*awaitedBlock, at*awaitedBlock+(awaitedBlock-1))
	a.mu.Lock()
	defer a.mu.Unlock()
	close(b.reading)
	b.reading = nil
	if err != nil {
		delete(a.blocks, at)
		return Awaiting{May: true}
	}
	for o := range found.All() {
		b.add(o)
	}
	return Awaiting{b.has(o), b.grown}
}

// NoneWaits says that the entries of a device were read after Awaits had
// answered, and that none of them waits.
func (l *Ledger) NoneWaits(app herald.AppKey, o herald.Ordinal, was Awaiting) {
	a := &l.book(app).awaited
	a.mu.Lock()
	defer a.mu.Unlock()
	// What was released meanwhile may not have been read.
	if b := a.blocks[o/awaitedBlock]; b != nil && b.reading == nil && b.grown == was.grown {
		b.bits[o%awaitedBlock/64] &^= 1 << (o % 64)
	}
}
