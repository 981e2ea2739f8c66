package offline

import (
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const (
	// settledRoom is of how many devices it is kept up to where nothing waits.
	settledRoom = 1 << 16
	// settledWorth is how many entries a search must have read for nothing
	// until it is worth remembering.
	settledWorth = 32
)

// settled says, of devices that were asked for, up to which position none of
// their direct messages waits. An entry stays until its message ends, so that
// who gets many messages in a day would read all of them at each connection.
//
// It is a memory and no record: a delivery that is received or has ended stays
// so, and what is released later has a higher position.
type settled struct {
	mu   sync.Mutex // guards upto
	upto map[settledKey]herald.Pos
}

type settledKey struct {
	app herald.AppKey
	ord herald.Ordinal
}

func (s *settled) of(d Device) herald.Pos {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upto[settledKey{d.App, d.Ord}]
}

// note keeps what a whole search after a position has found: so many entries,
// newest first, of which the given ones wait.
func (s *settled) note(d Device, newest herald.Pos, read int, waiting []record.EntryMessage) {
	if read-len(waiting) < settledWorth {
		return
	}
	upto := newest
	if n := len(waiting); n > 0 {
		upto = waiting[n-1].Pos - 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := settledKey{d.App, d.Ord}
	if upto <= s.upto[k] {
		return
	}
	if s.upto == nil {
		s.upto = map[settledKey]herald.Pos{}
	}
	if len(s.upto) >= settledRoom && s.upto[k] == 0 {
		for other := range s.upto { // any: it will be found again
			delete(s.upto, other)
			break
		}
	}
	s.upto[k] = upto
}
