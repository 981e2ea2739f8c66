package api

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Period is a time that devices are counted for.
type Period struct {
	From, Until time.Time
	// Days are the days of UTC whose activity is counted; nil for none.
	Days []time.Time
}

// Number is how many devices there were in a period.
type Number struct {
	New    int64 // registered in it for the first time, those removed since among them
	Active int64 // seen on one of its days; 0 also for days that are longer ago than 30
}

// Numbers counts devices by platform, for each of some periods.
func (s *Devices) Numbers(ctx context.Context, p Principal, periods []Period) ([]map[herald.Platform]Number, error) {
	if err := p.may(ScopeDevicesRead); err != nil {
		return nil, err
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return nil, err
	}
	var next uint64
	app.Index.View(func(v sets.View) { next = v.Next() })
	first := map[time.Time]herald.Ordinal{}
	at := func(t time.Time) (herald.Ordinal, error) {
		o, ok := first[t]
		if !ok {
			if o, err = s.firstSince(ctx, p.App, t, herald.Ordinal(next)); err != nil {
				return 0, err
			}
			first[t] = o
		}
		return o, nil
	}
	out := make([]map[herald.Platform]Number, len(periods))
	for i, period := range periods {
		from, err := at(period.From)
		if err != nil {
			return nil, err
		}
		until, err := at(period.Until)
		if err != nil {
			return nil, err
		}
		out[i] = map[herald.Platform]Number{}
		registered := sets.Minus(sets.Range(uint64(until)), sets.Range(uint64(from)))
		app.Index.View(func(v sets.View) {
			active := sets.New()
			for _, day := range period.Days {
				active.Or(v.Set(record.SeenSet(day)))
			}
			for _, q := range herald.Platforms {
				on := v.Set(record.PlatformSet(q))
				if n := (Number{New: sets.Common(registered, on), Active: sets.Common(active, on)}); n != (Number{}) {
					out[i][q] = n
				}
			}
		})
	}
	return out, nil
}

// firstSince gives the ordinal of the first device that registered at or after a
// time; end if there is none. Ordinals are in the order of registration, except
// where the clock went back.
func (s *Devices) firstSince(ctx context.Context, app herald.AppKey, t time.Time, end herald.Ordinal) (herald.Ordinal, error) {
	low, high := herald.Ordinal(0), end
	for low < high {
		middle := low + (high-low)/2
		list, err := s.c.Registry.Devices(ctx, app, record.DeviceFilter{}, middle, 1)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 || list[0].Ord >= high || !list[0].Created.Before(t) {
			high = middle
		} else {
			low = list[0].Ord + 1
		}
	}
	return low, nil
}
