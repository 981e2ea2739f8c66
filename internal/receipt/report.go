package receipt

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Funnel counts devices that came at least so far.
type Funnel struct {
	Target int64
	Steps  [len(herald.Progress)]int64
}

// Survey is how a message fares, in more ways than its counts.
type Survey struct {
	Whole Funnel
	// Groups are the funnels of the sets that were asked for; the last one is of
	// the devices in none of them.
	Groups []Funnel
	// Minutes is when devices came so far, by Unix minute. A step that was
	// never reported on its own, because a later one was, has the time of that
	// one. Nil if no times are kept.
	Minutes map[int64]*[len(herald.Progress)]int64
	// Via counts the devices that it was sent to by the transport that took it
	// first. What is in Whole and not here is of unknown time, or transport.
	Via map[string]int64
}

// Survey reads a message part by part, and counts.
func (r *Reading) Survey(ctx context.Context, groups []*sets.Set) (Survey, error) {
	s := Survey{Groups: make([]Funnel, len(groups)+1)}
	if r.m.TTL > 0 {
		s.Minutes, s.Via = map[int64]*[len(herald.Progress)]int64{}, map[string]int64{}
	}
	for _, slab := range r.parts {
		p, err := r.look(ctx, slab)
		if err != nil {
			return s, err
		}
		s.count(p, groups)
		if s.Minutes == nil {
			continue
		}
		if err := s.clock(ctx, r, p); err != nil {
			return s, err
		}
	}
	return s, nil
}

// count adds a part to the funnels.
func (s *Survey) count(p *part, groups []*sets.Set) {
	of := make([]uint8, len(p.ords)) // 1 + the group of each device
	for i, g := range groups {
		if p.wide {
			g = g.Slab(p.slab)
			for o := range g.All() {
				if at := p.at(o); at >= 0 {
					of[at] = uint8(i) + 1
				}
			}
			continue
		}
		for at, o := range p.ords {
			if g.Contains(o) {
				of[at] = uint8(i) + 1
			}
		}
	}
	for at, m := range p.masks {
		g := &s.Groups[len(groups)]
		if of[at] > 0 {
			g = &s.Groups[of[at]-1]
		}
		s.Whole.add(m)
		g.add(m)
	}
}

func (f *Funnel) add(m mask) {
	f.Target++
	for i := range f.Steps {
		if m&(1<<i) != 0 {
			f.Steps[i]++
		}
	}
}

// clock counts when the devices of a part came so far. Each counts once for
// each step, and only if its sets say that it took it.
func (s *Survey) clock(ctx context.Context, r *Reading, p *part) error {
	done := make([]mask, len(p.ords))
	return r.history(ctx, p, func(e *record.Event, at int) {
		step := bit(e.State) & bitsProgress
		if step == 0 {
			return
		}
		fresh := (step | (step - 1)) & p.masks[at] &^ done[at]
		if fresh == 0 {
			return
		}
		done[at] |= fresh
		minute := s.Minutes[e.Time.Unix()/60]
		if minute == nil {
			minute = &[len(herald.Progress)]int64{}
			s.Minutes[e.Time.Unix()/60] = minute
		}
		for i := range minute {
			if fresh&(1<<i) != 0 {
				minute[i]++
			}
		}
		if fresh&bitSent != 0 && e.State == herald.StateSent {
			s.Via[e.Via]++
		}
	})
}

// Delivery is a message on one device.
type Delivery struct {
	Ord   herald.Ordinal
	State herald.DeliveryState
	// Sent, Received, Displayed, Clicked and Ended are when it came to that;
	// zero if it did not, or nobody has said when.
	Sent, Received, Displayed, Clicked, Ended time.Time
	Via                                       string // the transport that it was sent by; "" if that is not known
	Detail                                    string // of the event that led to State
}

// DeliveryFilter selects deliveries.
type DeliveryFilter struct {
	State herald.DeliveryState // "" for any
	Among *sets.Set            // nil for all devices
	From  herald.Ordinal       // devices at or after this one
	Limit int                  // 0 for no limit
}

// Deliveries lists the deliveries of a part, in the order of their devices.
func (r *Reading) Deliveries(ctx context.Context, slab sets.Slab, f DeliveryFilter) ([]Delivery, error) {
	p, err := r.look(ctx, slab)
	if err != nil {
		return nil, err
	}
	size := len(p.ords)
	if f.State != "" || f.Among != nil || f.Limit > 0 {
		size = min(size, f.Limit)
	}
	out := make([]Delivery, 0, size)
	row := make([]int32, len(p.ords)) // 1 + the place of each device in out
	for i, o := range p.ords {
		if o < f.From || f.Among != nil && !f.Among.Contains(o) {
			continue
		}
		state := p.masks[i].state()
		if f.State != "" && state != f.State {
			continue
		}
		out = append(out, Delivery{Ord: o, State: state})
		row[i] = int32(len(out))
		if f.Limit > 0 && len(out) == f.Limit {
			break
		}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, r.history(ctx, p, func(e *record.Event, at int) {
		if row[at] > 0 && p.masks[at]&bit(e.State) != 0 {
			out[row[at]-1].note(e)
		}
	})
}

// note takes the time of a step, if it is the first to tell of it.
func (d *Delivery) note(e *record.Event) {
	var when *time.Time
	switch e.State {
	case herald.StateSent:
		if when = &d.Sent; d.Sent.IsZero() {
			d.Via = e.Via
		}
	case herald.StateReceived:
		when = &d.Received
	case herald.StateDisplayed:
		when = &d.Displayed
	case herald.StateClicked:
		when = &d.Clicked
	case record.ToldState:
		return
	default:
		when = &d.Ended
	}
	if when.IsZero() {
		*when = e.Time
		if e.State == d.State {
			d.Detail = e.Detail
		}
	}
}
