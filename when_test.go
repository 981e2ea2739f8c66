package herald_test

import (
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"github.com/herald-push/herald"
)

func TestQuietHoursUntil(t *testing.T) {
	night, noon := herald.QuietHours{From: "22:00", To: "08:00"}, herald.QuietHours{From: "12:00", To: "13:30"}
	for _, tt := range []struct {
		name     string
		q        herald.QuietHours
		zone, at string
		want     string // "" if it is not quiet
	}{
		{"evening", night, "UTC", "2026-11-22T22:00:00Z", "2026-11-23T08:00:00Z"},
		{"before", night, "UTC", "2026-11-22T21:59:59Z", ""},
		{"morning", night, "UTC", "2026-11-22T07:59:59Z", "2026-11-22T08:00:00Z"},
		{"after", night, "UTC", "2026-11-22T08:00:00Z", ""},
		{"elsewhere", night, "Asia/Shanghai", "2026-11-22T14:30:00Z", "2026-11-23T00:00:00Z"},
		{"within a day", noon, "UTC", "2026-11-22T12:30:00Z", "2026-11-22T13:30:00Z"},
		{"not within it", noon, "UTC", "2026-11-22T13:30:00Z", ""},
		{"the clocks go forward", night, "Europe/Berlin", "2026-03-28T22:00:00Z", "2026-03-29T06:00:00Z"},
		{"the clocks go back", night, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T07:00:00Z"},
		{"wrong", herald.QuietHours{From: "25:00", To: "08:00"}, "UTC", "2026-11-22T07:00:00Z", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if until := tt.q.Until(at, zone); !until.IsZero() {
				got = until.Format(time.RFC3339)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestQuietHoursValidate(t *testing.T) {
	for _, tt := range []struct {
		q    herald.QuietHours
		good bool
	}{
		{herald.QuietHours{From: "22:00", To: "08:00"}, true},
		{herald.QuietHours{From: "00:00", To: "23:59"}, true},
		{herald.QuietHours{From: "22:00", To: "22:00"}, false},
		{herald.QuietHours{From: "24:00", To: "08:00"}, false},
		{herald.QuietHours{From: "8:00", To: "09:00"}, false},
		{herald.QuietHours{From: "08:00"}, false},
		{herald.QuietHours{From: "08:00:00", To: "09:00"}, false},
	} {
		if err := tt.q.Validate(); (err == nil) != tt.good {
			t.Errorf("%+v: %v", tt.q, err)
		}
	}
}

func TestSpreadValidate(t *testing.T) {
	for _, tt := range []struct {
		s    herald.Spread
		ttl  time.Duration
		good bool
	}{
		{herald.Spread{Over: 60}, time.Hour, true},
		{herald.Spread{PerSecond: 5}, time.Hour, true},
		{herald.Spread{}, time.Hour, false},
		{herald.Spread{Over: 60, PerSecond: 5}, time.Hour, false},
		{herald.Spread{Over: -60}, time.Hour, false},
		{herald.Spread{Over: 60}, 0, false},
		{herald.Spread{Over: 60}, time.Minute, false},
		{herald.Spread{Over: 1 << 60}, herald.MaxTTL, false},
	} {
		if err := tt.s.Validate(tt.ttl); (err == nil) != tt.good {
			t.Errorf("%+v with %v: %v", tt.s, tt.ttl, err)
		}
	}
}

func FuzzQuietHours(f *testing.F) {
	f.Add("22:00", "08:00", int64(1_700_000_000))
	f.Add("12:00", "13:30", int64(0))
	f.Add("", "x", int64(-5))
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, from, to string, at int64) {
		q := herald.QuietHours{From: from, To: to}
		now := time.Unix(at%(1<<40), 0)
		until := q.Until(now, berlin)
		switch {
		case until.IsZero():
		case q.Validate() != nil:
			t.Error("hours that are none are quiet")
		case !until.After(now) || until.Sub(now) > 26*time.Hour:
			t.Errorf("%v to %v", now, until)
		}
	})
}

func FuzzParseLocal(f *testing.F) {
	f.Add("2026-11-22T09:00:00")
	f.Add("2026-11-22T09:00:00Z")
	f.Add("2026-11-22T09:00:00.5")
	f.Fuzz(func(t *testing.T, s string) {
		at, err := herald.ParseLocal(s)
		if err == nil && at.Format(herald.LocalTime) != s {
			t.Errorf("%q is read as %v", s, at)
		}
	})
}
