package calendar

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"github.com/herald-push/herald"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func made(t *testing.T, trigger Trigger, zone, now string) *Calendar {
	t.Helper()
	c, err := New(trigger, zone, at(t, now))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Each case lists the first occurrences of a trigger, as instants in UTC.
func TestNext(t *testing.T) {
	for _, c := range []struct {
		name    string
		trigger Trigger
		zone    string
		now     string
		want    string // separated by spaces; "-" is the end
	}{
		{"once, in the zone", Trigger{At: "2026-12-01T09:00:00"}, "Asia/Shanghai", "2026-11-22T00:00:00Z", "2026-12-01T01:00:00Z -"},
		{"once, with an offset", Trigger{At: "2026-12-01T09:00:00+01:00"}, "Asia/Shanghai", "2026-11-22T00:00:00Z", "2026-12-01T08:00:00Z -"},
		{"once, at each recipient", Trigger{At: "2026-12-01T09:00:00"}, ZoneRecipient, "2026-11-22T00:00:00Z", "2026-11-30T19:00:00Z -"},

		{"each day", Trigger{Unit: Day, Time: "09:00"}, "UTC", "2026-11-22T08:59:59Z", "2026-11-22T09:00:00Z 2026-11-23T09:00:00Z"},
		{"each day, at its time", Trigger{Unit: Day, Time: "09:00"}, "UTC", "2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z 2026-11-23T09:00:00Z"},
		{"each day, after its time", Trigger{Unit: Day, Time: "09:00:30"}, "UTC", "2026-11-22T09:00:31Z", "2026-11-23T09:00:30Z 2026-11-24T09:00:30Z"},
		{"the next day is another one in the zone", Trigger{Unit: Day, Time: "00:30"}, "Asia/Tokyo", "2026-11-22T15:29:00Z", "2026-11-22T15:30:00Z 2026-11-23T15:30:00Z"},
		{"every third day from the start", Trigger{Unit: Day, Every: 3, Time: "09:00", Start: "2026-11-30T00:00:00"}, "UTC", "2026-11-22T00:00:00Z", "2026-11-30T09:00:00Z 2026-12-03T09:00:00Z 2026-12-06T09:00:00Z"},
		{"every second day, the start after the time", Trigger{Unit: Day, Every: 2, Time: "09:00", Start: "2026-01-01T12:00:00"}, "UTC", "2026-01-01T00:00:00Z", "2026-01-02T09:00:00Z 2026-01-04T09:00:00Z"},
		{"the end counts", Trigger{Unit: Day, Time: "09:00", Start: "2026-01-01T00:00:00", End: "2026-01-02T09:00:00"}, "UTC", "2026-01-01T00:00:00Z", "2026-01-01T09:00:00Z 2026-01-02T09:00:00Z -"},
		{"nothing before the end", Trigger{Unit: Day, Time: "09:00", Start: "2026-01-01T10:00:00", End: "2026-01-01T11:00:00"}, "UTC", "2026-01-01T00:00:00Z", "-"},

		{"days of the week", Trigger{Unit: Week, Time: "18:00", Weekdays: []string{"mon", "FRI"}}, "UTC", "2026-11-22T00:00:00Z", "2026-11-23T18:00:00Z 2026-11-27T18:00:00Z 2026-11-30T18:00:00Z"},
		{"every second week, Sunday ends it", Trigger{Unit: Week, Every: 2, Time: "18:00", Weekdays: []string{"mon", "sun"}}, "UTC", "2026-11-23T00:00:00Z", "2026-11-23T18:00:00Z 2026-11-29T18:00:00Z 2026-12-07T18:00:00Z"},
		{"every second week, from the first occurrence", Trigger{Unit: Week, Every: 2, Time: "09:00", Weekdays: []string{"mon"}, Start: "2026-11-27T00:00:00"}, "UTC", "2026-11-22T00:00:00Z", "2026-11-30T09:00:00Z 2026-12-14T09:00:00Z"},

		{"a day that months lack", Trigger{Unit: Month, Time: "09:00", Days: []int{31}}, "UTC", "2026-01-01T00:00:00Z", "2026-01-31T09:00:00Z 2026-03-31T09:00:00Z 2026-05-31T09:00:00Z"},
		{"the last day", Trigger{Unit: Month, Time: "09:00", Days: []int{-1}}, "UTC", "2027-12-31T10:00:00Z", "2028-01-31T09:00:00Z 2028-02-29T09:00:00Z 2028-03-31T09:00:00Z"},
		{"the last day is named too", Trigger{Unit: Month, Time: "09:00", Days: []int{-1, 28}}, "UTC", "2026-02-01T00:00:00Z", "2026-02-28T09:00:00Z 2026-03-28T09:00:00Z 2026-03-31T09:00:00Z"},
		{"every second month, from one that has the day", Trigger{Unit: Month, Every: 2, Time: "09:00", Days: []int{30}, Start: "2026-01-31T00:00:00"}, "UTC", "2026-01-01T00:00:00Z", "2026-03-30T09:00:00Z 2026-05-30T09:00:00Z"},
		{"each year on the 29th of February", Trigger{Unit: Month, Every: 12, Time: "00:00", Days: []int{29}, Start: "2028-02-01T00:00:00"}, "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z"},
		{"every seventh year on the 29th of February", Trigger{Unit: Month, Every: 84, Time: "00:00", Days: []int{29}, Start: "2072-02-01T00:00:00"}, "UTC", "2026-01-01T00:00:00Z", "2072-02-29T00:00:00Z 2128-02-29T00:00:00Z"},

		{"cron", Trigger{Cron: "*/20 9-10 * * mon-fri"}, "UTC", "2026-11-20T10:30:00Z", "2026-11-20T10:40:00Z 2026-11-23T09:00:00Z 2026-11-23T09:20:00Z"},
		{"cron, a day of either", Trigger{Cron: "0 0 13 * fri"}, "UTC", "2026-11-12T12:00:00Z", "2026-11-13T00:00:00Z 2026-11-20T00:00:00Z 2026-11-27T00:00:00Z 2026-12-04T00:00:00Z 2026-12-11T00:00:00Z 2026-12-13T00:00:00Z"},
		{"cron, a day of both if one is a step of all", Trigger{Cron: "0 0 */2 * mon"}, "UTC", "2026-11-01T00:00:00Z", "2026-11-09T00:00:00Z 2026-11-23T00:00:00Z"},
		{"cron, leap years", Trigger{Cron: "0 12 29 feb ?"}, "UTC", "2096-03-01T00:00:00Z", "2104-02-29T12:00:00Z"},
		{"cron, Sunday is 0 and 7", Trigger{Cron: "0 12 * * 7"}, "UTC", "2026-11-22T00:00:00Z", "2026-11-22T12:00:00Z 2026-11-29T12:00:00Z"},
		{"cron, a word", Trigger{Cron: "@Monthly"}, "UTC", "2026-11-22T00:00:00Z", "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z"},
		{"cron, between start and end", Trigger{Cron: "0 * * * *", Start: "2026-11-22T05:30:00", End: "2026-11-22T07:00:00"}, "UTC", "2026-11-22T00:00:00Z", "2026-11-22T06:00:00Z 2026-11-22T07:00:00Z -"},
		{"cron, each minute", Trigger{Cron: "* * * * *"}, "UTC", "2026-11-22T23:58:30Z", "2026-11-22T23:59:00Z 2026-11-23T00:00:00Z 2026-11-23T00:01:00Z"},

		// In 2026 Berlin's clocks go from 02:00 to 03:00 on March 29, at 01:00 UTC,
		// and from 03:00 to 02:00 on October 25, at 01:00 UTC.
		{"left out by the clocks", Trigger{Unit: Day, Time: "02:30"}, "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
		{"left out at its beginning", Trigger{Unit: Day, Time: "02:00"}, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
		{"right behind what is left out", Trigger{Unit: Day, Time: "03:00"}, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T01:00:00Z"},
		{"comes twice", Trigger{Unit: Day, Time: "02:30"}, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
		{"right behind what comes twice", Trigger{Unit: Day, Time: "03:00"}, "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:00:00Z 2026-10-26T02:00:00Z"},
		{"once, left out", Trigger{At: "2026-03-29T02:30:00"}, "Europe/Berlin", "2026-03-01T00:00:00Z", "2026-03-29T01:00:00Z -"},
		{"once, comes twice", Trigger{At: "2026-10-25T02:30:00"}, "Europe/Berlin", "2026-03-01T00:00:00Z", "2026-10-25T00:30:00Z -"},
		{"cron, left out, in one", Trigger{Cron: "0,15,30 2,3 * * *"}, "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-29T01:15:00Z 2026-03-29T01:30:00Z 2026-03-30T00:00:00Z"},
		{"cron, comes twice, runs once", Trigger{Cron: "0,30 1-2 * * *"}, "Europe/Berlin", "2026-10-24T22:59:00Z", "2026-10-24T23:00:00Z 2026-10-24T23:30:00Z 2026-10-25T00:00:00Z 2026-10-25T00:30:00Z 2026-10-26T00:00:00Z"},
		{"cron, each hour as it passes, spring", Trigger{Cron: "30 * * * *"}, "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z 2026-03-29T01:30:00Z 2026-03-29T02:30:00Z"},
		{"cron, each hour as it passes, autumn", Trigger{Cron: "30 * * * *"}, "Europe/Berlin", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z 2026-10-25T02:30:00Z"},
		// Lord Howe moves by half an hour: from 02:00 (+11:00) to 01:30 (+10:30) on April 5, 2026.
		{"half an hour comes twice", Trigger{Unit: Day, Time: "01:45"}, "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-04T14:45:00Z 2026-04-05T15:15:00Z"},
		// Samoa left out the 30th of December 2011.
		{"a day that is left out", Trigger{Unit: Day, Time: "09:00"}, "Pacific/Apia", "2011-12-29T12:00:00Z", "2011-12-29T19:00:00Z 2011-12-30T10:00:00Z 2011-12-30T19:00:00Z"},
		// Havana goes back from 01:00 to 00:00, so that midnight comes twice, on November 1, 2026.
		{"midnight comes twice", Trigger{Unit: Day, Time: "00:00"}, "America/Havana", "2026-10-31T12:00:00Z", "2026-11-01T04:00:00Z 2026-11-02T05:00:00Z"},
		{"each recipient's clocks are left alone", Trigger{Unit: Day, Time: "02:30"}, ZoneRecipient, "2026-03-27T12:30:00Z", "2026-03-27T12:30:00Z 2026-03-28T12:30:00Z 2026-03-29T12:30:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cal := made(t, c.trigger, c.zone, c.now)
			after := at(t, c.now).Add(-1)
			for _, want := range strings.Fields(c.want) {
				got := cal.Next(after)
				if want == "-" {
					if !got.IsZero() {
						t.Fatalf("after %s: %s, want the end", after, got)
					}
					return
				}
				if !got.Equal(at(t, want)) {
					t.Fatalf("after %s: %s, want %s", after, got, want)
				}
				after = got
			}
		})
	}
}

func TestRefused(t *testing.T) {
	day := Trigger{Unit: Day, Time: "09:00"}
	for _, c := range []struct {
		name    string
		trigger Trigger
		zone    string
		field   string
	}{
		{"nothing", Trigger{}, "UTC", "trigger"},
		{"two kinds", Trigger{At: "2026-12-01T09:00:00", Cron: "@daily"}, "UTC", "trigger"},
		{"unknown zone", day, "Mars/Olympus", "zone"},
		{"the zone of the machine", day, "Local", "zone"},
		{"a path", day, "../etc/passwd", "zone"},
		{"no time", Trigger{At: "tomorrow"}, "UTC", "trigger.at"},
		{"a year that is too late", Trigger{At: "9999-01-01T00:00:00"}, "UTC", "trigger.at"},
		{"an offset for the recipients", Trigger{At: "2026-12-01T09:00:00Z"}, ZoneRecipient, "trigger.at"},
		{"once, with a start", Trigger{At: "2026-12-01T09:00:00", Start: "2026-12-01T09:00:00"}, "UTC", "trigger.start"},
		{"once, with an end", Trigger{At: "2026-12-01T09:00:00", End: "2026-12-01T09:00:00"}, "UTC", "trigger.end"},
		{"once, with a time", Trigger{At: "2026-12-01T09:00:00", Time: "09:00"}, "UTC", "trigger.time"},
		{"cron, with a frequency", Trigger{Cron: "@daily", Every: 2}, "UTC", "trigger.every"},
		{"day, with days of the week", Trigger{Unit: Day, Time: "09:00", Weekdays: []string{"mon"}}, "UTC", "trigger.weekdays"},
		{"week, with days of the month", Trigger{Unit: Week, Time: "09:00", Weekdays: []string{"mon"}, Days: []int{1}}, "UTC", "trigger.days"},
		{"unit", Trigger{Unit: "year", Time: "09:00"}, "UTC", "trigger.unit"},
		{"no time of day", Trigger{Unit: Day}, "UTC", "trigger.time"},
		{"a short time of day", Trigger{Unit: Day, Time: "9:00"}, "UTC", "trigger.time"},
		{"no such time of day", Trigger{Unit: Day, Time: "24:00"}, "UTC", "trigger.time"},
		{"too many units", Trigger{Unit: Day, Every: 101, Time: "09:00"}, "UTC", "trigger.every"},
		{"units below one", Trigger{Unit: Day, Every: -1, Time: "09:00"}, "UTC", "trigger.every"},
		{"no day of the week", Trigger{Unit: Week, Time: "09:00"}, "UTC", "trigger.weekdays"},
		{"no such day of the week", Trigger{Unit: Week, Time: "09:00", Weekdays: []string{"monday"}}, "UTC", "trigger.weekdays"},
		{"no day of the month", Trigger{Unit: Month, Time: "09:00"}, "UTC", "trigger.days"},
		{"day 0", Trigger{Unit: Month, Time: "09:00", Days: []int{0}}, "UTC", "trigger.days"},
		{"day 32", Trigger{Unit: Month, Time: "09:00", Days: []int{32}}, "UTC", "trigger.days"},
		{"start", Trigger{Unit: Day, Time: "09:00", Start: "now"}, "UTC", "trigger.start"},
		{"end", Trigger{Unit: Day, Time: "09:00", End: "never"}, "UTC", "trigger.end"},
		{"an end before the start", Trigger{Unit: Day, Time: "09:00", Start: "2026-12-02T00:00:00", End: "2026-12-01T00:00:00"}, "UTC", "trigger.end"},
		{"cron of 4 fields", Trigger{Cron: "* * * *"}, "UTC", "trigger.cron"},
		{"cron of 6 fields", Trigger{Cron: "0 * * * * *"}, "UTC", "trigger.cron"},
		{"cron, minute 60", Trigger{Cron: "60 * * * *"}, "UTC", "trigger.cron"},
		{"cron, a sign", Trigger{Cron: "+5 * * * *"}, "UTC", "trigger.cron"},
		{"cron, an empty value", Trigger{Cron: "1, * * * *"}, "UTC", "trigger.cron"},
		{"cron, step 0", Trigger{Cron: "*/0 * * * *"}, "UTC", "trigger.cron"},
		{"cron, a step without a number", Trigger{Cron: "*/ * * * *"}, "UTC", "trigger.cron"},
		{"cron, a step past the field", Trigger{Cron: "*/60 * * * *"}, "UTC", "trigger.cron"},
		{"cron, a range backwards", Trigger{Cron: "* * * * fri-mon"}, "UTC", "trigger.cron"},
		{"cron, half a range", Trigger{Cron: "5- * * * *"}, "UTC", "trigger.cron"},
		{"cron, no such name", Trigger{Cron: "* * * mai *"}, "UTC", "trigger.cron"},
		{"cron, ? for minutes", Trigger{Cron: "? * * * *"}, "UTC", "trigger.cron"},
		{"cron, no such day", Trigger{Cron: "0 0 30 2 *"}, "UTC", "trigger.cron"},
		{"cron, no such word", Trigger{Cron: "@reboot"}, "UTC", "trigger.cron"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.trigger, c.zone, at(t, "2026-11-22T00:00:00Z"))
			var e *herald.Error
			if !errors.As(err, &e) || e.Field != c.field || e.Remedy == "" || e.Code != herald.CodeInvalidRequest {
				t.Fatalf("%+v, want a refusal of %s", err, c.field)
			}
		})
	}
}

func TestLastAndCount(t *testing.T) {
	c := made(t, Trigger{Cron: "*/10 9 * jan *"}, "UTC", "2026-01-01T00:00:00Z")
	for _, x := range []struct{ name, at, notBefore, want string }{
		{"itself", "2026-01-05T09:20:00Z", "2026-01-01T00:00:00Z", "2026-01-05T09:20:00Z"},
		{"a moment later", "2026-01-05T09:20:01Z", "2026-01-01T00:00:00Z", "2026-01-05T09:20:00Z"},
		{"half a year later", "2026-07-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-31T09:50:00Z"},
		{"the bound counts", "2026-01-05T09:25:00Z", "2026-01-05T09:20:00Z", "2026-01-05T09:20:00Z"},
		{"none within the bound", "2026-01-05T09:25:00Z", "2026-01-05T09:20:01Z", ""},
		{"none at all", "2025-12-01T00:00:00Z", "2025-01-01T00:00:00Z", ""},
	} {
		got := c.Last(at(t, x.at), at(t, x.notBefore))
		if x.want == "" && !got.IsZero() || x.want != "" && !got.Equal(at(t, x.want)) {
			t.Errorf("%s: %s, want %q", x.name, got, x.want)
		}
	}
	if n := c.Count(at(t, "2026-01-05T09:20:00Z"), at(t, "2026-01-06T09:20:00Z")); n != 6 {
		t.Errorf("counted %d, want 6", n)
	}
	each := made(t, Trigger{Cron: "* * * * *"}, "UTC", "2026-01-01T00:00:00Z")
	if n := each.Count(at(t, "2026-01-01T00:00:00Z"), at(t, "2027-01-01T00:00:00Z")); n != maxCount {
		t.Errorf("counted %d, want %d", n, maxCount)
	}
	one := made(t, Trigger{At: "2026-01-05T09:20:00"}, "Asia/Tokyo", "2026-01-01T00:00:00Z")
	if got := Local(one.Next(time.Time{}), one.Zone()); got != "2026-01-05T09:20:00" || !one.Once() || c.Once() {
		t.Errorf("local time %s", got)
	}
}

// FuzzCron: what is taken has an occurrence, each is later than the one before
// and is what the expression says, and nothing lies between them.
func FuzzCron(f *testing.F) {
	for _, s := range []string{"* * * * *", "*/5 9-17 * * 1-5", "0 0 29 feb *", "@hourly", "1,2,3/2 0 1-31/7 jan-dec sun", "? ? ? ? ?", "5/15 * ? * 1/2", "0 0 31 4,6 mon"} {
		f.Add(s, int64(1795219200), "Europe/Berlin")
	}
	f.Add("30 2 * * *", int64(1774656000), "America/Havana")
	f.Fuzz(func(t *testing.T, s string, from int64, zone string) {
		now := time.Unix(from%(1<<33), 0)
		c, err := New(Trigger{Cron: s}, zone, now)
		if err != nil {
			if e := new(herald.Error); !errors.As(err, &e) || e.Remedy == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		if now.Year() < 1971 || now.Year() > 2200 {
			return
		}
		first := c.Next(now)
		if first.IsZero() || !first.After(now) {
			t.Fatalf("after %s comes %s", now, first)
		}
		if again := c.Next(first.Add(-1)); !again.Equal(first) {
			t.Fatalf("a moment before %s comes %s", first, again)
		}
		second := c.Next(first)
		if middle := c.Next(first.Add(second.Sub(first) / 2)); !second.After(first) || !middle.Equal(second) {
			t.Fatalf("%s, %s, and between them %s", first, second, middle)
		}
	})
}

// FuzzTrigger: whatever is taken gives instants that grow, between start and end.
func FuzzTrigger(f *testing.F) {
	f.Add("day", 2, "09:00", "mon", 31, "2026-01-01T00:00:00", "2027-01-01T00:00:00", "Asia/Shanghai")
	f.Add("week", 3, "02:30:00", "sun", 1, "", "", "Europe/Berlin")
	f.Add("month", 100, "23:59:59", "", -1, "2026-03-29T02:30:00", "", ZoneRecipient)
	f.Fuzz(func(t *testing.T, unit string, every int, clock, weekday string, day int, start, end, zone string) {
		trigger := Trigger{Unit: unit, Every: every, Time: clock, Start: start, End: end}
		if unit == Week {
			trigger.Weekdays = []string{weekday, "wed"}
		}
		if unit == Month {
			trigger.Days = []int{day, 15}
		}
		now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		c, err := New(trigger, zone, now)
		if err != nil {
			if e := new(herald.Error); !errors.As(err, &e) || e.Remedy == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		at := c.start.Add(-1)
		for range 5 {
			next := c.Next(at)
			if next.IsZero() {
				if c.end.IsZero() {
					t.Fatalf("nothing comes after %s", at)
				}
				return
			}
			if !next.After(at) || next.Before(c.start) || !c.end.IsZero() && next.After(c.end) {
				t.Fatalf("after %s comes %s, from %s to %s", at, next, c.start, c.end)
			}
			at = next
		}
	})
}
