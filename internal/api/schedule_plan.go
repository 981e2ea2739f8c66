package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/record"
)

// validSchedule checks a schedule but for its trigger and its message.
func validSchedule(rec *record.Schedule) error {
	if n := len(rec.Name); n == 0 || n > herald.MaxScheduleName || !utf8.ValidString(rec.Name) || strings.ContainsFunc(rec.Name, unicode.IsControl) {
		return herald.Invalid("name", "Give 1 to 255 bytes of text on one line.", "%.40q is not a name", rec.Name)
	}
	switch rec.Missed {
	case "":
		rec.Missed = record.MissedOnce
	case record.MissedOnce, record.MissedSkip:
	default:
		return herald.Invalid("missed", "Write once or skip.", "%.20q is not known", rec.Missed)
	}
	if rec.Zone == "" {
		rec.Zone = "UTC"
	}
	return nil
}

func setGrace(rec *record.Schedule, seconds *int64) error {
	if seconds == nil {
		return nil
	}
	if *seconds < 0 || *seconds > int64(herald.MaxScheduleGrace/time.Second) {
		return herald.Invalid("grace", "Give 0 to 86400 seconds.", "%d is out of range", *seconds)
	}
	rec.Grace = time.Duration(*seconds) * time.Second
	return nil
}

// plan finds the next occurrence of a schedule. A new trigger must have one; an
// old one that has none any more ends the schedule.
func plan(rec *record.Schedule, now time.Time, fresh bool) error {
	c, err := calendar.New(rec.Trigger, rec.Zone, rec.Since)
	if err != nil {
		return err
	}
	next := c.Next(now.Add(-1))
	switch {
	case !fresh:
	case next.IsZero() && c.Once():
		return herald.Invalid("trigger.at", "Give a time that is to come.", "is past")
	case next.IsZero():
		return herald.Invalid("trigger", "Give a later end, or other days.", "nothing occurs between now and the end")
	case c.Once() && next.Sub(now) > herald.MaxSendAhead:
		return herald.Invalid("trigger.at", "Make it later, or give a start with unit or cron.", "is more than a year ahead")
	}
	if rec.State == herald.SchedulePaused {
		rec.Next = time.Time{}
		return nil
	}
	goOn(rec, next, now)
	return nil
}

// goOn gives a schedule its next occurrence, or ends it.
func goOn(rec *record.Schedule, next, now time.Time) {
	rec.Next = next
	if next.IsZero() {
		rec.State, rec.Ended = herald.ScheduleEnded, now
	}
}

// setMessage checks the message of a schedule as one that is sent, and tells how
// many devices it is for now.
func (s *Schedules) setMessage(ctx context.Context, rec *record.Schedule, r *SendRequest) (devices int64, err error) {
	if rec.Message, err = json.Marshal(r); err != nil {
		return 0, herald.Invalid("message.data", "Send any JSON value.", "is not JSON")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(rec.Message, &members); err != nil {
		return 0, fmt.Errorf("api: reading a message that was written: %w", err)
	}
	for _, name := range []string{"send_at", localMember} {
		if members[name] != nil {
			return 0, herald.Invalid("message."+name, "Leave it out: the trigger says when.", "the message of a schedule has no time of its own")
		}
	}
	q, err := s.make(ctx, rec, s.now().Add(24*time.Hour), false) // stands for any occurrence
	if err != nil {
		return 0, inMessage(err)
	}
	return q.Target.Devices, nil
}

// inMessage says of an error that it is about the member message.
func inMessage(err error) error {
	var e *herald.Error
	if !errors.As(err, &e) || e.Field == "" {
		return err
	}
	out := *e
	out.Field = "message." + e.Field
	return &out
}

// localMember is the member of a message that is sent at each recipient's own
// local time.
const localMember = "send_at_local"

// compose reads the message of a schedule, for an occurrence or (zero) for now.
func compose(rec *record.Schedule, occurrence time.Time) (SendRequest, error) {
	body, err := composed(rec, occurrence)
	if err != nil {
		return SendRequest{}, err
	}
	return (*Messages)(nil).Decode(body)
}

// composed is what compose reads. At each recipient's own local time it has one
// member more.
func composed(rec *record.Schedule, occurrence time.Time) ([]byte, error) {
	if rec.Zone != calendar.ZoneRecipient || occurrence.IsZero() {
		return rec.Message, nil
	}
	zone, err := calendar.Zone(rec.Zone)
	if err != nil {
		return nil, err
	}
	// An object with at least the member audience.
	before := append([]byte(nil), rec.Message[:len(rec.Message)-1]...)
	return fmt.Appendf(before, ",%q:%q}", localMember, calendar.Local(occurrence, zone)), nil
}

// Make makes the message of an occurrence, or (zero) one for now: it evaluates
// whom the message is for. It is for dispatch to call.
func (s *Schedules) Make(ctx context.Context, rec *record.Schedule, occurrence time.Time) (dispatch.Request, error) {
	return s.make(ctx, rec, occurrence, true)
}

// make is Make; that an audience is empty is refused only when it counts.
func (s *Schedules) make(ctx context.Context, rec *record.Schedule, occurrence time.Time, due bool) (dispatch.Request, error) {
	r, err := compose(rec, occurrence)
	if err != nil {
		return dispatch.Request{}, err
	}
	r.RequireTarget = r.RequireTarget && due
	// Whoever changed it last has said what is sent, and may not approve it.
	who := cmp.Or(rec.Changer, rec.Maker)
	ctx = sentBy(ctx, record.Sender(who))
	w, err := (&Messages{s.c}).evaluate(ctx, rec.App, &r, nil)
	if err != nil {
		return w.q, err
	}
	files := audience.FilesOf(&r.Audience)
	if len(files) == 0 {
		return w.q, nil
	}
	c, err := calendar.New(rec.Trigger, rec.Zone, rec.Since)
	if err != nil {
		return w.q, err
	}
	next := rec.Next // at which they are needed again
	if due && !occurrence.IsZero() {
		next = c.Next(occurrence)
	}
	for _, id := range files {
		if next.IsZero() {
			break
		}
		if err := s.c.Registry.KeepFile(ctx, rec.App, id, next); err != nil {
			return w.q, err
		}
	}
	return w.q, nil
}
