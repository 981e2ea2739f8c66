package calendar

import "time"

type kind int

const (
	once kind = iota
	byDay
	byWeek
	byMonth
	byCron
)

const (
	lastDay  = -1   // of a month
	lastYear = 2500 // in which anything may start or end
	// horizon is how far ahead an occurrence is looked for, in days: the 29th of
	// February every 7 years comes at most 56 years apart.
	horizon = 60 * 366
	daySecs = 24 * 60 * 60
)

// Calendar is a trigger that was checked.
type Calendar struct {
	kind       kind
	zone       *time.Location
	start, end time.Time // once: start is when; end may be zero
	every      int
	days       uint64 // weekdays from Monday, or days of the month, of which 0 is the last
	clock      [3]int
	anchor     int // the day of the first occurrence, from which periods are counted
	cron       cron
}

// Zone is where the calendar's local times are.
func (c *Calendar) Zone() *time.Location { return c.zone }

// Once reports whether it occurs no more than once.
func (c *Calendar) Once() bool { return c.kind == once }

// Next gives the first occurrence after an instant; zero if there is none.
func (c *Calendar) Next(after time.Time) time.Time {
	if c.kind == once {
		if c.start.After(after) {
			return c.start.UTC()
		}
		return time.Time{}
	}
	if before := c.start.Add(-1); after.Before(before) {
		after = before
	}
	// One day before, because a local time may be resolved to a later one.
	day := dayOf(after.In(c.zone)) - 1
	if c.kind != byCron {
		day = max(day, c.anchor)
	}
	for last := day + horizon; day <= last; day++ {
		if !c.on(day) {
			continue
		}
		if t := c.within(day, after); !t.IsZero() {
			if !c.end.IsZero() && t.After(c.end) {
				return time.Time{}
			}
			return t.UTC()
		}
		if !c.end.IsZero() && resolve(int64(day)*daySecs, c.zone).After(c.end) {
			break
		}
	}
	return time.Time{}
}

// Last gives the last occurrence at or before an instant and not before another;
// zero if there is none.
func (c *Calendar) Last(at, notBefore time.Time) time.Time {
	for step := time.Minute; ; step *= 2 {
		from := at.Add(-step)
		if from.Before(notBefore) {
			from = notBefore.Add(-1)
		}
		t := c.Next(from)
		if t.IsZero() || t.After(at) {
			if from.Before(notBefore) {
				return time.Time{}
			}
			continue
		}
		for {
			next := c.Next(t)
			if next.IsZero() || next.After(at) {
				return t
			}
			t = next
		}
	}
}

// maxCount is where Count stops.
const maxCount = 10_000

// Count gives how many occurrences there are from one instant on and before
// another, up to 10,000.
func (c *Calendar) Count(from, before time.Time) int {
	n := 0
	for t := c.Next(from.Add(-1)); !t.IsZero() && t.Before(before) && n < maxCount; t = c.Next(t) {
		n++
	}
	return n
}

// firstDay is the day of the first occurrence if there were one in each unit. It
// comes soon: what a month lacks is in the month before or after it.
func (c *Calendar) firstDay() int {
	c.every, c.anchor = 1, dayOf(c.start.In(c.zone))-1
	for day := c.anchor; ; day++ {
		if c.on(day) && !c.within(day, c.start.Add(-1)).IsZero() {
			return day
		}
	}
}

// on reports whether something occurs on a day, counted from 1970-01-01.
func (c *Calendar) on(day int) bool {
	switch c.kind {
	case byDay:
		return (day-c.anchor)%c.every == 0
	case byWeek:
		return c.days&(1<<weekday(day)) != 0 && (week(day)-week(c.anchor))%c.every == 0
	}
	y, m, d := time.Unix(int64(day)*daySecs, 0).UTC().Date()
	if c.kind == byCron {
		return c.cron.on(m, d, (weekday(day)+1)%7)
	}
	hit := c.days&(1<<d) != 0
	if c.days&1 != 0 && time.Unix(int64(day+1)*daySecs, 0).UTC().Day() == 1 {
		hit = true
	}
	if !hit {
		return false
	}
	ay, am, _ := time.Unix(int64(c.anchor)*daySecs, 0).UTC().Date()
	return ((y-ay)*12+int(m)-int(am))%c.every == 0
}

// within gives the first occurrence on a day and after an instant.
func (c *Calendar) within(day int, after time.Time) time.Time {
	if c.kind == byCron {
		return c.cronWithin(day, after)
	}
	t := resolve(int64(day)*daySecs+int64(c.clock[0]*3600+c.clock[1]*60+c.clock[2]), c.zone)
	if t.After(after) {
		return t
	}
	return time.Time{}
}

// dayOf counts the days from 1970-01-01 to that of a local time.
func dayOf(t time.Time) int {
	y, m, d := t.Date()
	secs := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix()
	return int((secs - (secs%daySecs+daySecs)%daySecs) / daySecs)
}

// weekday counts from Monday: 1970-01-01 was a Thursday.
func weekday(day int) int { return ((day+3)%7 + 7) % 7 }

func week(day int) int { return (day + 3 - weekday(day)) / 7 }

// resolve gives the instant at which a local time comes, written as the seconds
// that it would be in UTC: the first one if it comes twice, the first instant
// after the gap if it does not come.
func resolve(local int64, zone *time.Location) time.Time {
	u := time.Unix(local, 0).UTC()
	t := time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), 0, zone)
	_, offset := t.Zone()
	from, until := t.ZoneBounds()
	switch wall := t.Unix() + int64(offset); {
	case wall > local: // the gap ends where the zone of t begins
		return from.UTC()
	case wall < local:
		return until.UTC()
	}
	if from.IsZero() {
		return t.UTC()
	}
	_, before := from.Add(-1).Zone()
	if first := time.Unix(local-int64(before), 0); first.Before(from) {
		return first.UTC()
	}
	return t.UTC()
}
