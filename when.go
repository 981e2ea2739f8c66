package herald

import (
	"strings"
	"time"
)

// Spread says over which time a message is released. Exactly one of Over and
// PerSecond is set.
type Spread struct {
	Over      int64 `json:"over,omitempty" minimum:"1" maximum:"2592000" doc:"Seconds from the first device to the last."`
	PerSecond int64 `json:"per_second,omitempty" minimum:"1" doc:"Devices a second, about."`
	// ActiveFirst releases the message tier by tier: to those who were active
	// within a day, within 7, within 30, and the rest. nil means true.
	ActiveFirst *bool `json:"active_first,omitempty" default:"true" doc:"Who was active lately gets it first: within a day, 7 days, 30 days, the rest."`
}

// ByActivity reports whether active devices come first.
func (s *Spread) ByActivity() bool { return s.ActiveFirst == nil || *s.ActiveFirst }

// Validate checks a spread of a message with a TTL.
func (s *Spread) Validate(ttl time.Duration) error {
	switch {
	case s.Over < 0 || s.PerSecond < 0 || (s.Over == 0) == (s.PerSecond == 0):
		return Invalid("spread", "Give over (seconds), or per_second (devices), above 0.", "needs one of over and per_second")
	case s.Over > int64(MaxTTL/time.Second):
		return Invalid("spread.over", "Give seconds up to 2592000 (30 days).", "%d is out of range", s.Over)
	case ttl == 0:
		return Invalid("ttl", "Give a ttl above 0 with spread.", "a message with TTL 0 goes to whoever is connected now, and cannot be spread")
	case time.Duration(s.Over)*time.Second >= ttl:
		return Invalid("spread.over", "Give a longer ttl, or spread it over less.", "the ttl of %d seconds, which counts from the start, ends before the last devices get the message", int64(ttl/time.Second))
	}
	return nil
}

// LocalTime is a time without a time zone: it is reached in each zone in turn.
const LocalTime = "2006-01-02T15:04:05"

// ParseLocal reads such a time; it has the zone UTC, which means nothing.
func ParseLocal(s string) (time.Time, error) {
	t, err := time.Parse(LocalTime, s)
	if err != nil || t.Format(LocalTime) != s { // which takes fractions

		return t, Invalid("send_at_local", "Write it as 2026-11-22T09:00:00, without a time zone.", "%.40q is not a local time", s)
	}
	return t, nil
}

// InZone is when the clocks of a zone show a time without one.
func InZone(local time.Time, zone *time.Location) time.Time {
	y, m, d := local.Date()
	return time.Date(y, m, d, local.Hour(), local.Minute(), local.Second(), 0, zone)
}

// How far the clocks of the world are apart: a local time is reached first at
// UTC+14 and last at UTC-12.
const (
	FirstZone = 14 * time.Hour
	LastZone  = 12 * time.Hour
)

// QuietHours are the hours of the day, by the clock of a device, in which it is
// not sent anything that can wait. They may pass midnight.
type QuietHours struct {
	From string `json:"from" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" doc:"When they begin, as 22:00."`
	To   string `json:"to" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" doc:"When they end, as 08:00; before from, it is of the next day."`
}

// clock reads a time of the day, as minutes.
func clock(s string) (int, bool) {
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err == nil && len(s) == len("15:04")
}

// Validate checks quiet hours.
func (q *QuietHours) Validate() error {
	for _, x := range [...]struct{ field, at string }{{"quiet_hours.from", q.From}, {"quiet_hours.to", q.To}} {
		if _, ok := clock(x.at); !ok {
			return Invalid(x.field, "Write a time of the day as 22:00.", "%.20q is not a time of the day", x.at)
		}
	}
	if q.From == q.To {
		return Invalid("quiet_hours.to", "Let them end at another time than they begin.", "the quiet hours would last for ever, or not at all")
	}
	return nil
}

// Until is when the quiet hours end in which a zone is at a time; zero if it is
// in none.
func (q *QuietHours) Until(t time.Time, zone *time.Location) time.Time {
	from, ok1 := clock(q.From)
	to, ok2 := clock(q.To)
	if !ok1 || !ok2 || from == to {
		return time.Time{}
	}
	local := t.In(zone)
	now, days := local.Hour()*60+local.Minute(), 0
	switch {
	case from < to && (now < from || now >= to), from > to && now < from && now >= to:
		return time.Time{}
	case from > to && now >= from:
		days = 1
	}
	y, m, d := local.Date()
	end := time.Date(y, m, d+days, to/60, to%60, 0, 0, zone)
	if !end.After(t) { // the clocks go back over it
		end = t.Add(time.Minute)
	}
	return end.UTC()
}

// String writes them as "22:00 to 08:00".
func (q *QuietHours) String() string { return strings.Join([]string{q.From, "to", q.To}, " ") }

// What a message may say of the quiet hours of its app.
const (
	QuietRespect = "respect"
	QuietIgnore  = "ignore"
)
