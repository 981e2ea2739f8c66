package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// keptBack says in words why a message does not go to connections of a device, if
// its route keeps it from them; "" if it does not.
func (s *Messages) keptBack(ctx context.Context, m *record.Message, o herald.Ordinal) (string, error) {
	if !m.Held() || m.Facts.Route == nil { // which is gone with what was erased
		return "", nil
	}
	step, released, err := s.c.Ledger.StepOf(ctx, m, o)
	if err != nil || !released {
		return "", err
	}
	at, err := s.c.Ledger.LiveOf(ctx, m, o)
	if err != nil || at != 0 {
		return "", err
	}
	place := m.Facts.Route.LiveStep()
	if place < 0 {
		return "By its route it does not go to connections.", nil
	}
	live := m.Facts.Route.Steps[place]
	switch {
	case step.Live != 0:
		return "By its route it does not go to connections of this device: it was sent before that had its turn.", nil
	case live.After > 0:
		unless := herald.StateReceived // who has it is given no second copy, whatever the step says
		if live.Until() == herald.StateSent {
			unless = herald.StateSent
		}
		return "By its route it goes to connections at " + stamp(step.At.Add(time.Duration(live.After))) + ", unless it was " + string(unless) + " by then.", nil
	}
	return "By its route it goes to connections when the vendors before have answered, unless one of them has taken it.", nil
}
