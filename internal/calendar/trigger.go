package calendar

import (
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// Trigger says when a schedule occurs. It has one of At, Unit and Cron. Times
// are written 2026-12-01T09:00:00, which is in the zone of the schedule, or as
// in RFC 3339 with an offset.
type Trigger struct {
	At       string   `json:"at,omitempty" maxLength:"64" doc:"Once, at this time: 2026-12-01T09:00:00 in the zone of the schedule, or RFC 3339 with an offset. At most a year ahead."`
	Unit     string   `json:"unit,omitempty" enum:"day,week,month" doc:"Again and again: every so many of these, at a time of day."`
	Every    int      `json:"every,omitempty" minimum:"1" maximum:"100" default:"1" doc:"How many units there are from one period to the next. They are counted from the period of the first occurrence, weeks from Monday."`
	Time     string   `json:"time,omitempty" maxLength:"8" doc:"With unit: the time of day, 09:00 or 09:00:30."`
	Weekdays []string `json:"weekdays,omitempty" maxItems:"7" doc:"With the unit week: on which days, mon to sun."`
	Days     []int    `json:"days,omitempty" maxItems:"32" doc:"With the unit month: on which days, 1 to 31, or -1 for the last one. A day that a month does not have is left out."`
	Cron     string   `json:"cron,omitempty" maxLength:"256" doc:"By a cron expression of 5 fields: minute, hour, day of month, month, day of week."`
	Start    string   `json:"start,omitempty" maxLength:"64" doc:"With unit or cron: nothing occurs before. Default: when the schedule was made."`
	End      string   `json:"end,omitempty" maxLength:"64" doc:"With unit or cron: nothing occurs after. Default: no end."`
}

// ZoneRecipient stands in the place of a zone for each recipient's own.
const ZoneRecipient = "recipient"

// earliest is the zone in which each local time comes first: UTC+14.
var earliest = 14 * int(time.Hour/time.Second)

// Units.
const (
	Day   = "day"
	Week  = "week"
	Month = "month"
)

// MaxEvery is how many units a period has at most.
const MaxEvery = 100

// localForm is how a time without a zone is written.
const localForm = "2006-01-02T15:04:05"

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// Zone finds a zone by its IANA name; "" is UTC.
func Zone(name string) (*time.Location, error) {
	if name == ZoneRecipient {
		return time.FixedZone("recipient", earliest), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, herald.Invalid("zone", "Give an IANA name such as Asia/Shanghai or UTC, or recipient.", "%.64q is not a time zone", name)
	}
	return loc, nil
}

// Local writes an instant as the local time that it is in a zone.
func Local(t time.Time, zone *time.Location) string { return t.In(zone).Format(localForm) }

// New checks a trigger and makes its calendar. What starts without saying when
// starts now.
func New(t Trigger, zone string, now time.Time) (*Calendar, error) {
	loc, err := Zone(zone)
	if err != nil {
		return nil, err
	}
	c := &Calendar{zone: loc, every: max(t.Every, 1)}
	if err := t.alone(); err != nil {
		return nil, err
	}
	if t.At != "" {
		c.kind = once
		c.start, err = moment("trigger.at", t.At, zone, loc)
		return c, err
	}
	if err := c.bounds(t, zone, now); err != nil {
		return nil, err
	}
	if t.Cron != "" {
		c.kind = byCron
		if c.cron, err = parseCron(t.Cron); err != nil {
			return nil, herald.Invalid("trigger.cron", "Write minute, hour, day of month, month and day of week, such as \"30 9 * * mon-fri\".", "%s", err)
		}
		return c, nil
	}
	if err := c.repeated(t); err != nil {
		return nil, err
	}
	c.anchor, c.every = c.firstDay(), max(t.Every, 1)
	return c, nil
}

// alone checks that a trigger is of one kind, and has the members of it.
func (t *Trigger) alone() error {
	n := 0
	for _, s := range []string{t.At, t.Unit, t.Cron} {
		if s != "" {
			n++
		}
	}
	if n != 1 {
		return herald.Invalid("trigger", "Give one of at (once), unit with time (every so many days, weeks or months) and cron.", "it is not clear when the schedule occurs")
	}
	strange := func(field, of string) error {
		return herald.Invalid("trigger."+field, "Leave it out.", "%s is for a trigger with %s", field, of)
	}
	switch {
	case t.Unit == "" && t.Time != "":
		return strange("time", "unit")
	case t.Unit == "" && t.Every != 0:
		return strange("every", "unit")
	case t.Unit != Week && len(t.Weekdays) > 0:
		return strange("weekdays", "the unit week")
	case t.Unit != Month && len(t.Days) > 0:
		return strange("days", "the unit month")
	case t.At != "" && t.Start != "":
		return strange("start", "unit or cron")
	case t.At != "" && t.End != "":
		return strange("end", "unit or cron")
	}
	return nil
}

func (c *Calendar) bounds(t Trigger, zone string, now time.Time) (err error) {
	c.start = now.Truncate(time.Second)
	if c.start.Before(now) {
		c.start = c.start.Add(time.Second)
	}
	if t.Start != "" {
		if c.start, err = moment("trigger.start", t.Start, zone, c.zone); err != nil {
			return err
		}
	}
	if t.End == "" {
		return nil
	}
	if c.end, err = moment("trigger.end", t.End, zone, c.zone); err == nil && c.end.Before(c.start) {
		err = herald.Invalid("trigger.end", "Give an end after the start.", "the schedule would end before it starts")
	}
	return err
}

// repeated reads unit, time and days.
func (c *Calendar) repeated(t Trigger) error {
	if t.Every < 0 || t.Every > MaxEvery {
		return herald.Invalid("trigger.every", "Give 1 to 100.", "%d is out of range", t.Every)
	}
	clock, err := time.Parse(time.TimeOnly, t.Time)
	if err != nil {
		clock, err = time.Parse("15:04", t.Time)
	}
	if err != nil || len(t.Time) != len("15:04") && len(t.Time) != len(time.TimeOnly) {
		return herald.Invalid("trigger.time", "Write it as 09:00 or 09:00:30.", "%.20q is not a time of day", t.Time)
	}
	c.clock = [3]int{clock.Hour(), clock.Minute(), clock.Second()}
	switch t.Unit {
	case Day:
		c.kind = byDay
	case Week:
		c.kind = byWeek
		for _, name := range t.Weekdays {
			i := slices.Index(weekdays, strings.ToLower(name))
			if i < 0 {
				return herald.Invalid("trigger.weekdays", "Write mon, tue, wed, thu, fri, sat or sun.", "%.20q is not a day of the week", name)
			}
			c.days |= 1 << i
		}
	case Month:
		c.kind = byMonth
		for _, d := range t.Days {
			if d != lastDay && (d < 1 || d > 31) {
				return herald.Invalid("trigger.days", "Give 1 to 31, or -1 for the last day.", "%d is not a day of a month", d)
			}
			c.days |= 1 << max(d, 0)
		}
	default:
		return herald.Invalid("trigger.unit", "Write day, week or month.", "%.20q is not a unit", t.Unit)
	}
	if c.kind != byDay && c.days == 0 {
		field := map[kind]string{byWeek: "weekdays", byMonth: "days"}[c.kind]
		return herald.Invalid("trigger."+field, "Name at least one day.", "no day is named")
	}
	return nil
}

// moment reads a time, with an offset or of a zone.
func moment(field, s, zone string, loc *time.Location) (time.Time, error) {
	if t, err := time.Parse(localForm, s); err == nil && inYears(t) {
		return resolve(t.Unix(), loc), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !inYears(t) {
		return t, herald.Invalid(field, "Write it as 2026-12-01T09:00:00, or with an offset as 2026-12-01T09:00:00+08:00.", "%.64q is not a time", s)
	}
	if zone == ZoneRecipient {
		return t, herald.Invalid(field, "Write it without an offset, as 2026-12-01T09:00:00.", "a time of the recipients' own zones has no offset")
	}
	return t.UTC().Truncate(time.Second), nil
}

func inYears(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= lastYear }
