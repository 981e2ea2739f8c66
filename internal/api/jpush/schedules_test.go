package jpush

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/calendar"
)

const scheduledPush = `{"platform":"all","audience":"all","notification":{"alert":"Hello"},"options":{"time_to_live":60}}`

func TestSchedules(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	at := n.clock().In(Beijing).Add(48 * time.Hour).Format(secondForm)
	single := `{"single":{"time":"` + at + `"}}`
	a := n.do("POST", "/v3/schedules", `{"name":"一次_1","enabled":true,"trigger":`+single+`,"push":`+scheduledPush+`}`)
	a.want(t, 200, `{"schedule_id":"…","name":"一次_1"}`)
	id := strings.Split(a.text, `"`)[3]
	if len(id) != 36 {
		t.Errorf("the ID is %q", id)
	}
	one := `{"schedule_id":"` + id + `","name":"一次_1","enabled":true,"trigger":` + single + `,"push":` + scheduledPush + `}`
	path := "/v3/schedules/" + id
	n.do("GET", path, "").want(t, 200, one)
	n.do("GET", "/v3/push/schedules/"+id, "").want(t, 200, one)

	// What the schedule makes is the message, in the zone of the configuration.
	number, err := parseScheduleID(id)
	must(t, err)
	v, err := n.service.Schedules.Get(t.Context(), n.master, number)
	must(t, err)
	if v.Zone != "Asia/Shanghai" || v.NextAt == nil || v.NextAt.In(Beijing).Format(secondForm) != at || *v.Message.TTL != 60 || v.Message.Notification.Body != "Hello" {
		t.Errorf("%+v", v)
	}
	n.do("GET", path+"/msg_ids", "").want(t, 200, `{"count":0,"msgids":[]}`)
	run, err := n.service.Schedules.Run(t.Context(), n.master, number, "")
	must(t, err)
	n.do("GET", path+"/msg_ids", "").want(t, 200, `{"count":1,"msgids":["`+run.MessageID.String()+`"]}`)

	for _, c := range []struct{ change, want string }{
		{`{"enabled":false}`, strings.Replace(one, "true", "false", 1)},
		{`{"name":"b"}`, strings.Replace(strings.Replace(one, "true", "false", 1), "一次_1", "b", 1)},
		{`{"enabled":true,"name":"一次_1"}`, one},
		{`{"push":{"platform":"all","audience":"all","message":{"msg_content":"x"}}}`, strings.Replace(one, scheduledPush, `{"platform":"all","audience":"all","message":{"msg_content":"x"}}`, 1)},
		{`{"push":` + scheduledPush + `}`, one},
	} {
		n.do("PUT", path, c.change).want(t, 200, c.want)
		n.do("GET", path, "").want(t, 200, c.want)
	}
	n.do("PUT", path, `{"trigger":{"periodical":{"start":"2026-11-22 00:00:00","end":"2027-01-01 00:00:00","time":"09:00:00","time_unit":"day","frequency":1}}}`).refused(t, 400, codeScheduleValue)
	n.do("DELETE", path, "").want(t, 200, `{}`)
	for method, path := range map[string]string{"GET": path, "DELETE": path, "PUT": path} {
		n.do(method, path, "{}").refused(t, 404, codeScheduleUnknown)
	}
	n.do("GET", path+"/msg_ids", "").refused(t, 404, codeScheduleUnknown)
	n.do("GET", "/v3/schedules/x", "").refused(t, 404, codeScheduleUnknown)
}

func TestPeriodical(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	day := func(d int) string { return n.clock().In(Beijing).AddDate(0, 0, d).Format(dayForm) }
	trigger := func(unit, frequency, point string) string {
		return `{"periodical":{"start":"` + day(-1) + ` 12:00:00","end":"` + day(300) + ` 12:00:00","time":"12:30:00","time_unit":"` + unit + `","frequency":` + frequency + `,"point":` + point + `}}`
	}
	var want []string
	for _, c := range []struct{ asked, shown string }{
		{trigger("day", "3", "null"), trigger("day", "3", "[]")},
		{trigger("WEEK", "2", `["wed","FRI"]`), trigger("week", "2", `["WED","FRI"]`)},
		{trigger("Month", "1", `["01","31"]`), trigger("month", "1", `["01","31"]`)},
	} {
		a := n.do("POST", "/v3/schedules", `{"name":"p","enabled":true,"trigger":`+c.asked+`,"push":`+scheduledPush+`}`)
		a.want(t, 200, `{"schedule_id":"…","name":"p"}`)
		id := strings.Split(a.text, `"`)[3]
		row := `{"schedule_id":"` + id + `","name":"p","enabled":true,"trigger":` + c.shown + `,"push":` + scheduledPush + `}`
		n.do("GET", "/v3/schedules/"+id, "").want(t, 200, row)
		want = append(want, row)
	}
	// What /v1 makes has another form.
	_, err := n.service.Schedules.Create(t.Context(), n.master, api.ScheduleRequest{Name: "v1", Trigger: calendar.Trigger{Cron: "0 9 * * *"},
		Message: api.SendRequest{Audience: herald.Audience{All: true}, Data: json.RawMessage("1")}}, "", nil)
	must(t, err)
	for _, query := range []string{"", "?page=1"} {
		n.do("GET", "/v3/schedules"+query, "").want(t, 200, fmt.Sprintf(`{"total_count":3,"total_pages":1,"page":1,"schedules":[%s]}`, strings.Join(want, ",")))
	}
	n.do("GET", "/v3/schedules?page=2", "").want(t, 200, `{"total_count":3,"total_pages":1,"page":2,"schedules":[]}`)
	n.do("GET", "/v3/schedules?page=0", "").refused(t, 400, codeScheduleValue)
}

func TestSchedulesWithOneCID(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	at := n.clock().In(Beijing).Add(time.Hour).Format(secondForm)
	body := func(name string) string {
		return `{"cid":"c1","name":"` + name + `","enabled":true,"trigger":{"single":{"time":"` + at + `"}},"push":` + scheduledPush + `}`
	}
	first := n.do("POST", "/v3/schedules", body("a"))
	if again := n.do("POST", "/v3/schedules", body("b")); again.text != first.text {
		t.Errorf("made again: %s", again.text)
	}
}

func TestScheduleRefusals(t *testing.T) {
	n := newNode(t)
	n.register(herald.PlatformAndroid, "")
	at := n.clock().In(Beijing).Add(time.Hour).Format(secondForm)
	trigger := `"trigger":{"single":{"time":"` + at + `"}}`
	push := `"push":` + scheduledPush
	periodical := func(change string) string {
		p := map[string]any{"start": at, "end": n.clock().In(Beijing).AddDate(0, 1, 0).Format(secondForm), "time": "09:00:00", "time_unit": "day", "frequency": 1}
		must(t, json.Unmarshal([]byte(change), &p))
		b, _ := json.Marshal(p)
		return `"name":"a","enabled":true,"trigger":{"periodical":` + string(b) + `},` + push
	}
	for name, body := range map[string]string{
		"no name":           `"enabled":true,` + trigger + `,` + push,
		"name of a number":  `"name":1,"enabled":true,` + trigger + `,` + push,
		"name too long":     `"name":"` + strings.Repeat("x", 256) + `","enabled":true,` + trigger + `,` + push,
		"not enabled":       `"name":"a","enabled":false,` + trigger + `,` + push,
		"enabled or not":    `"name":"a",` + trigger + `,` + push,
		"no trigger":        `"name":"a","enabled":true,` + push,
		"empty trigger":     `"name":"a","enabled":true,"trigger":{},` + push,
		"both":              `"name":"a","enabled":true,"trigger":{"single":{"time":"` + at + `"},"periodical":{}},` + push,
		"intelligent":       `"name":"a","enabled":true,"trigger":{"intelligent":{"backup_time":"` + at + `"}},` + push,
		"no push":           `"name":"a","enabled":true,` + trigger,
		"bad push":          `"name":"a","enabled":true,` + trigger + `,"push":{"platform":"all"}`,
		"push of a text":    `"name":"a","enabled":true,` + trigger + `,"push":"x"`,
		"unknown member":    `"name":"a","enabled":true,` + trigger + `,` + push + `,"when":1`,
		"time past":         `"name":"a","enabled":true,"trigger":{"single":{"time":"2020-01-01 00:00:00"}},` + push,
		"time far ahead":    `"name":"a","enabled":true,"trigger":{"single":{"time":"2099-01-01 00:00:00"}},` + push,
		"time in RFC 3339":  `"name":"a","enabled":true,"trigger":{"single":{"time":"2026-12-01T00:00:00Z"}},` + push,
		"cid":               `"cid":"a b","name":"a","enabled":true,` + trigger + `,` + push,
		"end before start":  periodical(`{"end":"2020-01-01 00:00:00"}`),
		"two years":         periodical(`{"end":"2099-01-01 00:00:00"}`),
		"frequency":         periodical(`{"frequency":101}`),
		"unit":              periodical(`{"time_unit":"year","point":["1"]}`),
		"point of a day":    periodical(`{"point":["MON"]}`),
		"no point":          periodical(`{"time_unit":"week"}`),
		"point of a week":   periodical(`{"time_unit":"week","point":["1"]}`),
		"point of a month":  periodical(`{"time_unit":"month","point":["32"]}`),
		"time of day":       periodical(`{"time":"25:00:00"}`),
		"unknown in period": periodical(`{"until":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			n.do("POST", "/v3/schedules", `{`+body+`}`).refused(t, 400, codeScheduleValue)
		})
	}
	n.do("POST", "/v3/schedules", ``).refused(t, 400, codeScheduleValue)
	n.do("POST", "/v3/schedules", `{`).refused(t, 400, codeScheduleValue)
	r := n.do("GET", "/v3/schedules", "")
	r.want(t, 200, `{"total_count":0,"total_pages":0,"page":1,"schedules":[]}`)
	n.secret = "wrong"
	n.do("GET", "/v3/schedules", "").refused(t, 401, codeScheduleAuth)
}

func TestScheduleIDs(t *testing.T) {
	for _, id := range []herald.ScheduleID{1, 250056919048257536, 1<<63 - 1} {
		s := scheduleID(id)
		if got, err := parseScheduleID(strings.ToUpper(s)); err != nil || got != id || len(s) != 36 {
			t.Errorf("%d is %s is %d, %v", id, s, got, err)
		}
	}
	for _, s := range []string{"", "1", "00000000-0000-8000-8000-000000000000", "00000000-0000-8000-8000-0000000000010", "00000000-0000-4000-8000-000000000001", "ffffffff-ffff-8000-8000-00000000ffff", "00000000-0000-8000-8000-000000010000"} {
		if got, err := parseScheduleID(s); err == nil {
			t.Errorf("%q is %d", s, got)
		}
	}
}
