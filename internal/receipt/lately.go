package receipt

import (
	"sync"

	"github.com/herald-push/herald"
)

// mostLately is how many devices are remembered: those that are connecting now.
const mostLately = 16

// lately remembers, of the devices that asked last, which messages of several
// cells were found to wait by the record. A device is sent what waits at once, and asks again for the
// next page: neither has to read the same chunks once more. What is reported
// meanwhile is in a cell or a delta, which go before this, until it is folded;
// then nothing of this is true any more.
type lately struct {
	mu sync.Mutex // guards of
	of map[herald.Ordinal]*foundLately
}

type foundLately struct {
	since uint64 // the fold
	waits map[*group]bool
	words *stripWords // nil if they were not read
}

// note takes whether a message waits for a device, by the record since a fold.
func (l *lately) note(o herald.Ordinal, since uint64, g *group, waits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at(o, since).waits[g] = waits
}

// keep takes what the strips of a device say, read since a fold.
func (l *lately) keep(o herald.Ordinal, since uint64, w *stripWords) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at(o, since).words = w
}

// strips gives that again; nil if it is not remembered.
func (l *lately) strips(o herald.Ordinal, since uint64) *stripWords {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.of[o]; f != nil && f.since == since {
		return f.words
	}
	return nil
}

// at gives what is remembered of a device; l.mu is held.
func (l *lately) at(o herald.Ordinal, since uint64) *foundLately {
	f := l.of[o]
	if f == nil || f.since != since {
		if l.of == nil || len(l.of) >= mostLately {
			l.of = map[herald.Ordinal]*foundLately{}
		}
		f = &foundLately{since: since, waits: map[*group]bool{}}
		l.of[o] = f
	}
	return f
}

// known parts messages into those of which nothing is remembered, those that do
// not wait for a device, and those that do.
func (l *lately) known(o herald.Ordinal, since uint64, list []*group) (rest, done, waits []*group) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.of[o]
	if f == nil || f.since != since {
		return list, nil, nil
	}
	for _, g := range list {
		switch is, ok := f.waits[g]; {
		case !ok:
			rest = append(rest, g)
		case is:
			waits = append(waits, g)
		default:
			done = append(done, g)
		}
	}
	return rest, done, waits
}
