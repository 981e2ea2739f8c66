package dispatch

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

const (
	maxSteps  = 3600        // that a slow push makes
	stepEvery = time.Second // at least
)

// tiers are the days within which devices were active that get a slow push one
// tier after the other; the rest comes last.
var tiers = [...]int{1, 7, 30}

// cut decides whether a message is released in steps, or is held, and if so cuts
// its target into parts. What is decided here about activity and time zones stays.
func (d *Dispatcher) cut(m *record.Message, t Target, now time.Time) error {
	if m.TTL == 0 || t.Devices == 0 {
		return nil
	}
	when := record.When{}
	if m.Facts != nil && m.Facts.When != nil {
		when = *m.Facts.When
	}
	app, err := d.c.Registry.App(m.App)
	if err != nil {
		return err
	}
	quiet := quietHours(m, when, app)
	held := d.heldBack(m)
	if when.Spread == nil && when.Local == "" && quiet == nil && !held {
		return nil
	}
	whole := t.Group
	if whole == nil {
		whole = sets.New(t.Direct...)
	} else if dead := d.c.Registry.DeadAt(m.App, t.Pos); !dead.Empty() {
		whole = sets.Minus(whole, dead)
	}
	c := cutter{app: app, now: now, when: when, plan: &record.PlanStart{Plan: record.Plan{App: m.App, Msg: m.ID, Quiet: quiet, Held: held}}}
	if err := c.cut(whole); err != nil {
		return err
	}
	p := c.plan
	switch atOnce := when.Spread == nil && when.Local == "" && !keptBack(&p.Plan, now); {
	case atOnce && !held:
		return nil // nobody is in quiet hours: it goes at once, to all
	case atOnce:
		p = atOnceTo(m, whole)
	default:
		pace(&p.Plan, when.Spread)
		p.Next = p.NextAt(now)
	}
	facts := record.Facts{}
	if m.Facts != nil {
		facts = *m.Facts
	}
	facts.Planned, facts.Held = true, held
	m.Facts, m.Plan = &facts, p
	return nil
}

// quietHours gives those that a message keeps to; nil if to none. What is urgent
// goes at any time, and so does what has a local time of its own, unless the
// sender says otherwise.
func quietHours(m *record.Message, when record.When, app *registry.App) *herald.QuietHours {
	if when.Quiet == herald.QuietIgnore || when.Quiet == "" && (m.Priority == herald.PriorityHigh || when.Local != "") {
		return nil
	}
	return app.QuietHours()
}

// keptBack reports whether a part may not be released at a time.
func keptBack(p *record.Plan, now time.Time) bool {
	for i := range p.Parts {
		if p.ReadyAt(i, now).After(now) {
			return true
		}
	}
	return false
}

// pace says how quickly a plan goes on.
func pace(p *record.Plan, s *herald.Spread) {
	if s == nil {
		return
	}
	n, _ := p.Devices()
	over := s.Over
	if s.PerSecond > 0 {
		over = (n + s.PerSecond - 1) / s.PerSecond
	}
	p.Steps = max(1, min(over, maxSteps, n))
	p.Every = max(stepEvery, time.Duration(over)*time.Second/time.Duration(p.Steps))
}

// cutter cuts a target into parts.
type cutter struct {
	app  *registry.App
	now  time.Time
	when record.When
	plan *record.PlanStart
}

// cut makes a part of each zone within each tier.
func (c *cutter) cut(whole *sets.Set) error {
	zones, err := c.zones(whole)
	if err != nil {
		return err
	}
	for _, tier := range c.tiers(whole) {
		for _, z := range zones {
			s := sets.Intersect(tier.set, z.set)
			if s.Empty() {
				continue
			}
			c.plan.Parts = append(c.plan.Parts, record.PlanPart{Tier: tier.days, Zone: z.zone, At: z.at, Devices: s.Len()})
			c.plan.Sets = append(c.plan.Sets, s)
		}
	}
	return nil
}

type tier struct {
	days int
	set  *sets.Set
}

// tiers cuts a target by when its devices were active last.
func (c *cutter) tiers(whole *sets.Set) []tier {
	if c.when.Spread == nil || !c.when.Spread.ByActivity() {
		return []tier{{0, whole}}
	}
	var names []string
	for i := range tiers[len(tiers)-1] + 1 {
		names = append(names, record.SeenSet(c.now.AddDate(0, 0, -i)))
	}
	view := c.app.Index.Snapshot(names)
	active := c.app.JustSeen()
	rest := whole
	var out []tier
	seen := 0
	for _, days := range tiers {
		for ; seen <= days; seen++ {
			if s := view.Set(names[seen]); s != nil {
				active = sets.Union(active, s)
			}
		}
		out = append(out, tier{days, sets.Intersect(rest, active)})
		rest = sets.Minus(rest, active)
	}
	return append(out, tier{0, rest})
}

// zone is devices whose clocks count as one.
type zone struct {
	zone string
	at   time.Time // when their part may be released first; zero: now
	set  *sets.Set
}

// zones cuts a target by time zones: by the moment at which they reach a local
// time or, for quiet hours, by how late it is there now. A device without a zone
// has that of the app.
func (c *cutter) zones(whole *sets.Set) ([]zone, error) {
	if c.when.Local == "" && c.plan.Quiet == nil {
		return []zone{{set: whole}}, nil
	}
	var local time.Time
	if c.when.Local != "" {
		var err error
		if local, err = herald.ParseLocal(c.when.Local); err != nil {
			return nil, err
		}
	}
	var names []string
	c.app.Index.View(func(v sets.View) { names = v.Names(record.ZonePrefix) })
	view := c.app.Index.Snapshot(names)
	var out []zone
	at := map[int64]int{}
	add := func(name string, s *sets.Set) {
		where := record.Zone(name)
		z := zone{zone: name, set: s}
		_, offset := c.now.In(where).Zone()
		key := int64(offset)
		if c.when.Local != "" {
			key = 0
			if when := herald.InZone(local, where); when.After(c.now) {
				z.at, key = when.UTC(), when.Unix()
			}
			if c.plan.Quiet != nil {
				key = key*86400*2 + int64(offset)
			}
		}
		if i, ok := at[key]; ok {
			out[i].set = sets.Union(out[i].set, s)
			return
		}
		at[key] = len(out)
		out = append(out, z)
	}
	rest := whole
	for _, name := range names {
		if s := sets.Intersect(whole, view.Set(name)); !s.Empty() {
			add(strings.TrimPrefix(name, record.ZonePrefix), s)
			rest = sets.Minus(rest, s)
		}
	}
	if !rest.Empty() {
		add(c.app.Row().Settings.TimeZone, rest)
	}
	slices.SortStableFunc(out, func(x, y zone) int { return x.at.Compare(y.at) })
	return out, nil
}

// begun has the first step of a message made without delay.
func (d *Dispatcher) begun(m *record.Message) {
	d.routed(m)
	if m.Plan == nil || m.Plan.Next.After(d.c.Now()) {
		return
	}
	select {
	case d.due <- struct{}{}:
	default:
	}
}

// ChangePlan pauses, resumes or stops the release of a message. When it returns
// after a stop, who was not sent the message never is; after a pause nobody more
// is until it goes on.
func (d *Dispatcher) ChangePlan(ctx context.Context, app herald.AppKey, id herald.MessageID, c record.PlanChange) error {
	_, pos, err := d.c.Store.ChangePlan(ctx, app, id, c)
	if err != nil {
		return err
	}
	if f := d.follower(app); f != nil && pos > 0 {
		return f.reach(ctx, pos)
	}
	return nil
}

// PlanOf gives how a message is released in steps; not_found if it is not.
func (d *Dispatcher) PlanOf(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Plan, error) {
	return d.c.Store.PlanOf(ctx, app, id)
}
