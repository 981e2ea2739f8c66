package jpush

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/calendar"
)

func (a *API) scheduleCalls() []call {
	return []call{
		on(http.MethodPost, "schedules", "createSchedule", (*exchange).createSchedule),
		on(http.MethodGet, "schedules", "listSchedules", (*exchange).listSchedules),
		on(http.MethodGet, "schedules/{id}", "showSchedule", (*exchange).showSchedule),
		changing(http.MethodPut, "schedules/{id}", "updateSchedule", (*exchange).updateSchedule),
		changing(http.MethodDelete, "schedules/{id}", "deleteSchedule", (*exchange).deleteSchedule),
		on(http.MethodGet, "schedules/{id}/msg_ids", "scheduleMessages", (*exchange).scheduleMessages),
	}
}

// schedulePage is how many schedules a page of the list has.
const schedulePage = 50

// scheduleID writes the ID of a schedule as a UUID, which is what JPush's are
// and some clients keep: one of version 8 (RFC 9562, section 5.8) that holds the
// number.
func scheduleID(id herald.ScheduleID) string {
	return fmt.Sprintf("%08x-%04x-8000-8000-%012x", uint64(id)>>32, uint64(id)>>16&0xffff, uint64(id)&0xffff)
}

func parseScheduleID(s string) (herald.ScheduleID, error) {
	var high, middle, low uint64
	n, err := fmt.Sscanf(strings.ToLower(s), "%08x-%04x-8000-8000-%012x", &high, &middle, &low)
	id := herald.ScheduleID(high<<32 | middle<<16 | low)
	if err != nil || n != 3 || id <= 0 || scheduleID(id) != strings.ToLower(s) {
		return 0, noSchedule()
	}
	return id, nil
}

func noSchedule() *refusal {
	return &refusal{status: http.StatusNotFound, code: codeScheduleUnknown, message: "there is no such schedule"}
}

// schedule is what a request says of one.
type schedule struct {
	cid     string
	name    *string
	enabled *bool
	trigger *calendar.Trigger
	message *api.SendRequest
	push    json.RawMessage
}

// readSchedule reads a schedule, of which members may be absent.
func (x *exchange) readSchedule() (*schedule, error) {
	o, err := readObject(x.body)
	if err != nil {
		return nil, x.valued(err)
	}
	s := &schedule{cid: o.text("cid")}
	if !validCID(s.cid) {
		o.r.refuse(codeScheduleValue, "cid must have at most 64 letters, digits, - and _")
	}
	if o.has("name") {
		name := o.text("name")
		s.name = &name
	}
	s.enabled = o.truth("enabled")
	if in := o.object("trigger"); in != nil {
		s.trigger = readTrigger(in)
	}
	if push := o.raw("push"); push != nil {
		in := o.r.object("push", push)
		if in == nil {
			return nil, x.valued(o.r.err)
		}
		p, err := readPayload(in, kind{nested: true})
		if err != nil {
			return nil, x.valued(err)
		}
		s.message, s.push = &p.req, compact(push)
	}
	o.done()
	if o.r.err != nil {
		return nil, x.valued(o.r.err)
	}
	return s, nil
}

// readTrigger reads when a schedule occurs.
func readTrigger(o *object) *calendar.Trigger {
	t := &calendar.Trigger{}
	kinds := 0
	if in := o.object("single"); in != nil {
		kinds++
		t.At = momentIn(in, "time")
		in.done()
	}
	if in := o.object("periodical"); in != nil {
		kinds++
		readPeriodical(in, t)
	}
	if kinds != 1 {
		o.r.refuse(codeScheduleValue, "trigger must have one of single and periodical")
	}
	o.done()
	return t
}

// localForm is how Herald's own schedules write a time of their zone.
const localForm = "2006-01-02T15:04:05"

// momentIn reads a time without a zone.
func momentIn(o *object, name string) string {
	s := o.text(name)
	t, err := time.Parse(secondForm, s)
	if err != nil {
		o.r.refuse(codeScheduleValue, "%s must be written as 2006-01-02 15:04:05", o.path(name))
		return ""
	}
	return t.Format(localForm)
}

// maxSpan is how long a schedule may go on.
const maxSpan = 366 * 24 * time.Hour

func readPeriodical(o *object, t *calendar.Trigger) {
	t.Start, t.End = momentIn(o, "start"), momentIn(o, "end")
	from, _ := time.Parse(localForm, t.Start)
	until, _ := time.Parse(localForm, t.End)
	if span := until.Sub(from); span < 0 || span > maxSpan {
		o.r.refuse(codeScheduleValue, "%s must be after start, and at most a year", o.path("end"))
	}
	t.Time, t.Unit, t.Every = o.text("time"), strings.ToLower(o.text("time_unit")), 1
	if _, err := time.Parse(time.TimeOnly, t.Time); err != nil {
		o.r.refuse(codeScheduleValue, "%s must be written as 15:04:05", o.path("time"))
	}
	if n := o.number("frequency", 1, 100); n != nil {
		t.Every = int(*n)
	}
	points := o.texts("point", 31)
	o.done()
	switch {
	case t.Unit == "day" && len(points) > 0:
		o.r.refuse(codeScheduleValue, "%s is not for the unit day", o.path("point"))
	case t.Unit == "day":
	case len(points) == 0:
		o.r.refuse(codeScheduleValue, "%s names no day", o.path("point"))
	case t.Unit == "week":
		for _, p := range points {
			t.Weekdays = append(t.Weekdays, strings.ToLower(p))
		}
	case t.Unit == "month":
		for _, p := range points {
			day, err := strconv.Atoi(p)
			if err != nil || day < 1 || day > 31 {
				o.r.refuse(codeScheduleValue, "%s has %.10q", o.path("point"), p)
			}
			t.Days = append(t.Days, day)
		}
	default:
		o.r.refuse(codeScheduleValue, "%s must be day, week or month", o.path("time_unit"))
	}
}

type scheduleMade struct {
	ID   string `json:"schedule_id"`
	Name string `json:"name"`
}

// valuedSchedule gives an error of the service the code of the schedule API.
func valuedSchedule(err error) error {
	if herald.CodeOf(err) == herald.CodeNotFound {
		return noSchedule()
	}
	return err
}

func (x *exchange) createSchedule() (any, error) {
	s, err := x.readSchedule()
	if err != nil {
		return nil, err
	}
	switch {
	case s.name == nil || *s.name == "":
		return nil, refuse(codeScheduleValue, "name is missing")
	case s.enabled == nil || !*s.enabled:
		return nil, refuse(codeScheduleValue, "enabled must be true for a new schedule")
	case s.trigger == nil:
		return nil, refuse(codeScheduleValue, "trigger is missing")
	case s.message == nil:
		return nil, refuse(codeScheduleValue, "push is missing")
	}
	key, body := "", []byte(nil)
	if s.cid != "" {
		key = "jpush/schedule/" + s.cid
		body = []byte(key)
	}
	v, err := x.a.service.Schedules.Create(x.r.Context(), x.p, api.ScheduleRequest{
		Name: *s.name, Trigger: *s.trigger, Zone: x.a.cfg.Zone.String(), Message: *s.message, Origin: s.push,
	}, key, body)
	if err != nil {
		return nil, valuedSchedule(err)
	}
	return scheduleMade{scheduleID(v.ID), v.Name}, nil
}

// scheduleShown is a schedule as it is shown.
type scheduleShown struct {
	ID      string          `json:"schedule_id"`
	Name    string          `json:"name"`
	Enabled bool            `json:"enabled"`
	Trigger triggerShown    `json:"trigger"`
	Push    json.RawMessage `json:"push"`
}

type triggerShown struct {
	Single     *single     `json:"single,omitempty"`
	Periodical *periodical `json:"periodical,omitempty"`
}

type single struct {
	Time string `json:"time"`
}

type periodical struct {
	Start     string   `json:"start"`
	End       string   `json:"end"`
	Time      string   `json:"time"`
	Unit      string   `json:"time_unit"`
	Frequency int      `json:"frequency"`
	Point     []string `json:"point"`
}

func shown(v api.ScheduleView) scheduleShown {
	out := scheduleShown{ID: scheduleID(v.ID), Name: v.Name, Enabled: v.State == herald.ScheduleActive, Push: v.Origin}
	plain := func(s string) string { return strings.Replace(s, "T", " ", 1) }
	t := v.Trigger
	if t.At != "" {
		out.Trigger.Single = &single{plain(t.At)}
		return out
	}
	p := &periodical{plain(t.Start), plain(t.End), t.Time, t.Unit, max(1, t.Every), []string{}}
	for _, day := range t.Weekdays {
		p.Point = append(p.Point, strings.ToUpper(day))
	}
	for _, day := range t.Days {
		p.Point = append(p.Point, fmt.Sprintf("%02d", day))
	}
	out.Trigger.Periodical = p
	return out
}

type scheduleList struct {
	Total     int             `json:"total_count"`
	Pages     int             `json:"total_pages"`
	Page      int             `json:"page"`
	Schedules []scheduleShown `json:"schedules"`
}

// listSchedules lists the schedules that are not over, in the order in which
// they were made. Those that were made by /v1, whose triggers and messages have
// no form here, are left out.
func (x *exchange) listSchedules() (any, error) {
	page := 1
	if s := x.query.Get("page"); s != "" {
		var err error
		if page, err = strconv.Atoi(s); err != nil || page < 1 {
			return nil, refuse(codeScheduleValue, "page must be a whole number from 1")
		}
	}
	var all []scheduleShown
	for cursor := ""; ; {
		list, err := x.a.service.Schedules.List(x.r.Context(), x.p, api.ScheduleQuery{Cursor: cursor, Limit: herald.MaxPageSize})
		if err != nil {
			return nil, err
		}
		for _, v := range list.Schedules {
			if v.Origin != nil && v.State != herald.ScheduleEnded {
				all = append(all, shown(v))
			}
		}
		if cursor = list.NextCursor; cursor == "" {
			break
		}
	}
	out := scheduleList{Total: len(all), Pages: (len(all) + schedulePage - 1) / schedulePage, Page: page, Schedules: []scheduleShown{}}
	if page <= out.Pages {
		first := (page - 1) * schedulePage
		out.Schedules = all[first:min(first+schedulePage, len(all))]
	}
	return out, nil
}

// scheduled finds the schedule of the path.
func (x *exchange) scheduled() (api.ScheduleView, error) {
	id, err := parseScheduleID(x.args[0])
	if err != nil {
		return api.ScheduleView{}, err
	}
	v, err := x.a.service.Schedules.Get(x.r.Context(), x.p, id)
	if err == nil && v.Origin == nil {
		err = noSchedule()
	}
	return v, valuedSchedule(err)
}

func (x *exchange) showSchedule() (any, error) {
	v, err := x.scheduled()
	if err != nil {
		return nil, err
	}
	return shown(v), nil
}

func (x *exchange) updateSchedule() (any, error) {
	s, err := x.readSchedule()
	if err != nil {
		return nil, err
	}
	v, err := x.scheduled()
	switch {
	case err != nil:
		return nil, err
	case v.State == herald.ScheduleEnded:
		return nil, refuse(codeScheduleValue, "the schedule is over")
	case s.trigger != nil && (s.trigger.At == "") != (v.Trigger.At == ""):
		return nil, refuse(codeScheduleValue, "single and periodical cannot become each other")
	}
	u := api.ScheduleUpdate{Name: s.name, Trigger: s.trigger, Message: s.message, Origin: s.push}
	if s.enabled != nil {
		paused := !*s.enabled
		u.Paused = &paused
	}
	if v, err = x.a.service.Schedules.Update(x.r.Context(), x.p, v.ID, u); err != nil {
		return nil, valuedSchedule(err)
	}
	return shown(v), nil
}

func (x *exchange) deleteSchedule() (any, error) {
	v, err := x.scheduled()
	if err != nil {
		return nil, err
	}
	return nothing{}, valuedSchedule(x.a.service.Schedules.Delete(x.r.Context(), x.p, v.ID))
}

type scheduleMessageList struct {
	Count int                `json:"count"`
	IDs   []herald.MessageID `json:"msgids"`
}

// scheduleMessages lists the messages that a schedule has made, oldest first.
func (x *exchange) scheduleMessages() (any, error) {
	v, err := x.scheduled()
	if err != nil {
		return nil, err
	}
	out := scheduleMessageList{IDs: []herald.MessageID{}}
	for cursor := ""; ; {
		page, err := x.a.service.Schedules.Runs(x.r.Context(), x.p, v.ID, cursor, herald.MaxPageSize)
		if err != nil {
			return nil, valuedSchedule(err)
		}
		for _, run := range page.Runs {
			if run.MessageID != 0 {
				out.IDs = append(out.IDs, run.MessageID)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	slices.Reverse(out.IDs)
	out.Count = len(out.IDs)
	return out, nil
}
