package calendar

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cron is an expression of 5 fields, each as a set of the values that it allows.
type cron struct {
	minutes, hours, days, months, weekdays uint64
	// everyHour: the field of hours is *, so that a change of the clocks neither
	// leaves out nor repeats anything: the hours follow each other as they do.
	everyHour bool
	// either: both fields of days choose, and a day of either occurs.
	either bool
}

// field describes one field of an expression.
type field struct {
	name     string
	min, max int
	names    []string // of min, min+1, ...
}

var fields = [5]field{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

var errCronFields = errors.New("a cron expression has 5 fields")

func parseCron(s string) (c cron, err error) {
	if m, ok := macros[strings.ToLower(strings.TrimSpace(s))]; ok {
		s = m
	}
	texts := strings.Fields(s)
	if len(texts) != len(fields) {
		return c, errCronFields
	}
	for i, set := range []*uint64{&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays} {
		if *set, err = fields[i].parse(texts[i]); err != nil {
			return c, err
		}
	}
	c.weekdays = c.weekdays&0x7f | c.weekdays>>7&1 // 7 is Sunday, as 0 is
	c.everyHour = texts[1] == "*"
	c.either = !free(texts[2]) && !free(texts[4])
	if !c.ever() {
		return c, errors.New("there is no such day in any of these months")
	}
	return c, nil
}

// free reports whether a field of days leaves the choice to the other one.
func free(s string) bool { return s[0] == '*' || s[0] == '?' }

// ever reports whether there is a day that the expression allows.
func (c cron) ever() bool {
	if c.either {
		return true // there is every day of the week in every month
	}
	longest := [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	for m := 1; m <= 12; m++ {
		if c.months&(1<<m) != 0 && c.days&(1<<(longest[m]+1)-1) != 0 {
			return true
		}
	}
	return false
}

// parse reads a field: a list of values, ranges and steps.
func (f field) parse(s string) (set uint64, err error) {
	for _, part := range strings.Split(s, ",") {
		span, by, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(by); err != nil || step < 1 || step > f.max || by[0] == '+' {
				return 0, fmt.Errorf("%.20q is not a step of the %s", by, f.name)
			}
		}
		from, to := f.min, f.max
		if to == 7 { // Sunday is the 0 already
			to = 6
		}
		switch first, last, isRange := strings.Cut(span, "-"); {
		case span == "*", span == "?" && f.max != 59 && f.max != 23:
		case isRange:
			if from, err = f.value(first); err == nil {
				to, err = f.value(last)
			}
		default:
			from, err = f.value(span)
			if !stepped {
				to = from
			}
		}
		if err != nil {
			return 0, err
		}
		if from > to {
			return 0, fmt.Errorf("the range %.20q of the %s goes backwards", span, f.name)
		}
		for v := from; v <= to; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f field) value(s string) (int, error) {
	if i := slices.Index(f.names, strings.ToLower(s)); i >= 0 {
		return f.min + i, nil
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < f.min || v > f.max || len(s) > 2 || s[0] == '+' {
		return 0, fmt.Errorf("%.20q is not a %s", s, f.name)
	}
	return v, nil
}

func (c cron) on(m time.Month, day, weekday int) bool {
	if c.months&(1<<m) == 0 {
		return false
	}
	byDay, byWeekday := c.days&(1<<day) != 0, c.weekdays&(1<<weekday) != 0
	if c.either {
		return byDay || byWeekday
	}
	return byDay && byWeekday
}

// cronWithin gives the first occurrence on a day and after an instant.
func (c *Calendar) cronWithin(day int, after time.Time) time.Time {
	if c.cron.everyHour {
		return c.minuteWithin(day, after)
	}
	for h := range 24 {
		if c.cron.hours&(1<<h) == 0 {
			continue
		}
		for m := range 60 {
			if c.cron.minutes&(1<<m) == 0 {
				continue
			}
			if t := resolve(int64(day)*daySecs+int64(h*3600+m*60), c.zone); t.After(after) {
				return t
			}
		}
	}
	return time.Time{}
}

// minuteWithin goes through a day as it passes, whatever the clocks show.
func (c *Calendar) minuteWithin(day int, after time.Time) time.Time {
	t, end := resolve(int64(day)*daySecs, c.zone), resolve(int64(day+1)*daySecs, c.zone)
	if !t.After(after) {
		t = after.Truncate(time.Minute).Add(time.Minute)
	}
	for ; t.Before(end); t = t.Add(time.Minute) {
		if c.cron.minutes&(1<<t.In(c.zone).Minute()) != 0 {
			return t
		}
	}
	return time.Time{}
}
