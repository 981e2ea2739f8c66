package jpush

import (
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// oldestReport is how long ago a report about users may begin.
const oldestReport = 60 // days

type usersAnswer struct {
	Unit     string      `json:"time_unit"`
	Start    string      `json:"start"`
	Duration int         `json:"duration"`
	Items    []usersItem `json:"items"`
}

type usersItem struct {
	Time    string      `json:"time"`
	Android *userCounts `json:"android,omitempty"`
	IOS     *userCounts `json:"ios,omitempty"`
	HMOS    *userCounts `json:"hmos,omitempty"`
	Windows *userCounts `json:"winphone,omitempty"`
}

// userCounts has no member that is zero or not known. How many were online at a
// time that is past nobody has counted.
type userCounts struct {
	New    int64 `json:"new,omitempty"`
	Active int64 `json:"active,omitempty"`
}

// unit is a length of time that users are counted for.
type unit struct {
	form string
	most int
	next func(time.Time) time.Time
}

var units = map[string]unit{
	"HOUR":  {"2006-01-02 15", 24, func(t time.Time) time.Time { return t.Add(time.Hour) }},
	"DAY":   {dayForm, oldestReport, func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	"MONTH": {"2006-01", 2, func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
}

// users counts new and active devices.
func (x *exchange) users() (any, error) {
	name, start := x.query.Get("time_unit"), x.query.Get("start")
	if name == "" || start == "" || x.query.Get("duration") == "" {
		return nil, refuse(codeMissing, "time_unit, start and duration are needed")
	}
	u, ok := units[name]
	if !ok {
		return nil, refuse(codeValue, "time_unit must be HOUR, DAY or MONTH")
	}
	duration, err := strconv.Atoi(x.query.Get("duration"))
	if err != nil || duration < 1 || duration > u.most {
		return nil, refuse(codeValue, "duration must be a whole number from 1 to %d", u.most)
	}
	from, err := time.ParseInLocation(u.form, start, x.a.cfg.Zone)
	if err != nil {
		return nil, refuse(codeReportStart, "start must have the form of %s, such as %s", name, x.a.cfg.Now().In(x.a.cfg.Zone).Format(u.form))
	}
	if u.next(from).Before(x.a.cfg.Now().AddDate(0, 0, -oldestReport-1)) {
		return nil, refuse(codeReportTooOld, "start is more than %d days ago", oldestReport)
	}
	if name == "HOUR" && from.Hour()+duration > 24 {
		return nil, refuse(codeValue, "hours must be of one day")
	}
	out := usersAnswer{name, start, duration, make([]usersItem, duration)}
	periods := make([]api.Period, duration)
	for i := range periods {
		until := u.next(from)
		periods[i] = api.Period{From: from, Until: until}
		if name != "HOUR" {
			periods[i].Days = days(from, until)
		}
		out.Items[i].Time = from.Format(u.form)
		from = until
	}
	numbers, err := x.a.service.Devices.Numbers(x.r.Context(), x.p, periods)
	if err != nil {
		return nil, err
	}
	for i, n := range numbers {
		item := &out.Items[i]
		item.IOS, item.HMOS, item.Windows = userCountsOf(n, herald.PlatformIOS), userCountsOf(n, herald.PlatformHMOS), userCountsOf(n, herald.PlatformWindows)
		item.Android = userCountsOf(n, herald.PlatformAndroid)
	}
	return out, nil
}

// days lists the days from one time to another by their date. The activity of
// devices is kept by the days of UTC; those with the same date are taken.
func days(from, until time.Time) (out []time.Time) {
	for day := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC); day.Before(time.Date(until.Year(), until.Month(), until.Day(), 0, 0, 0, 0, time.UTC)); day = day.AddDate(0, 0, 1) {
		out = append(out, day)
	}
	return out
}

func userCountsOf(n map[herald.Platform]api.Number, platforms ...herald.Platform) *userCounts {
	var out userCounts
	for _, p := range platforms {
		out.New += n[p].New
		out.Active += n[p].Active
	}
	if out == (userCounts{}) {
		return nil
	}
	return &out
}
