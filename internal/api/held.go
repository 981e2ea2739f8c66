package api

import (
	"context"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// keptBack says in words why a message does not go to connections of a device, if
// its route keeps it from them; "" if it does not.
func (s *Messages) keptBack(ctx context.Context, m *record.Message, o herald.Ordinal) (string, error) {
	if !m.Held() {
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
	var route herald.Route
	if m.Facts.Route != nil { // else it was erased
		route = *m.Facts.Route
	}
	live := slices.IndexFunc(route.Steps, func(s herald.RouteStep) bool { return s.Channel == herald.ChannelLive })
	switch {
	case live < 0:
		return "By its route it does not go to connections.", nil
	case step.Live != 0:
		return "By its route it does not go to connections of this device: it was " + string(route.Steps[live].Until()) + " before that had its turn.", nil
	case route.Steps[live].After > 0:
		return "By its route it goes to connections at " + stamp(step.At.Add(time.Duration(route.Steps[live].After))) + ", unless it was " + string(route.Steps[live].Until()) + " by then.", nil
	}
	return "By its route it goes to connections when the vendors before have answered, unless one of them has taken it.", nil
}
