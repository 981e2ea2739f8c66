package api

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/record"
)

// shownRuns is how many runs are shown with a schedule.
const shownRuns = 5

// maxOccurrences is how many occurrences are listed at most.
const maxOccurrences = 100

func scheduleView(rec *record.Schedule) (ScheduleView, error) {
	m, err := compose(rec, time.Time{})
	return ScheduleView{
		ID: rec.ID, Origin: rec.Origin, Name: rec.Name, State: rec.State, Trigger: rec.Trigger, Zone: rec.Zone, Message: m, Missed: rec.Missed, Grace: int64(rec.Grace / time.Second),
		NextAt: timeOrNil(rec.Next), EndedAt: timeOrNil(rec.Ended), CreatedAt: rec.Created, CreatedBy: ScheduleActor{rec.Maker.Kind, rec.Maker.ID, rec.Maker.Name},
		UpdatedAt: rec.Updated, UpdatedBy: ScheduleActor{rec.Changer.Kind, rec.Changer.ID, rec.Changer.Name},
	}, err
}

// shown is scheduleView with the last runs.
func (s *Schedules) shown(ctx context.Context, rec *record.Schedule) (ScheduleView, error) {
	v, err := scheduleView(rec)
	if err != nil {
		return v, err
	}
	runs, err := s.c.Dispatch.Schedules().ScheduleRuns(ctx, rec.App, rec.ID, record.RunCursor{}, shownRuns)
	v.LastRuns = runViews(runs)
	return v, err
}

func runViews(list []record.ScheduleRun) []ScheduleRun {
	out := make([]ScheduleRun, 0, len(list))
	for i := range list {
		out = append(out, runView(&list[i]))
	}
	return out
}

func runView(r *record.ScheduleRun) ScheduleRun {
	return ScheduleRun{Occurrence: r.Occurrence, At: r.At, State: r.State, MessageID: r.Message, Manual: r.Manual, Missed: r.Missed, Code: r.Code, Reason: r.Reason, Remedy: r.Remedy}
}

// Get shows a schedule with its last runs.
func (s *Schedules) Get(ctx context.Context, p Principal, id herald.ScheduleID) (ScheduleView, error) {
	rec, err := s.find(ctx, p, id)
	if err != nil {
		return ScheduleView{}, err
	}
	return s.shown(ctx, &rec)
}

func (s *Schedules) find(ctx context.Context, p Principal, id herald.ScheduleID) (record.Schedule, error) {
	if err := p.may(ScopeRead); err != nil {
		return record.Schedule{}, err
	}
	return s.c.Dispatch.Schedules().Schedule(ctx, p.App, id)
}

// List shows schedules in the order in which they were made.
func (s *Schedules) List(ctx context.Context, p Principal, q ScheduleQuery) (SchedulePage, error) {
	page := SchedulePage{Schedules: []ScheduleView{}}
	if err := p.may(ScopeRead); err != nil {
		return page, err
	}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return page, err
	}
	f := record.ScheduleFilter{State: q.State, Offset: q.Offset, Limit: limit + 1}
	switch q.State {
	case "", herald.ScheduleActive, herald.SchedulePaused, herald.ScheduleEnded:
	default:
		return page, herald.Invalid("state", "Ask for active, paused or ended.", "%.20q is not a state of a schedule", string(q.State))
	}
	if q.Cursor != "" {
		if f.After, err = herald.ParseMessageID(q.Cursor); err != nil {
			return page, herald.Invalid("cursor", "Use next_cursor of the page before.", "%.40q is not a cursor of this list", q.Cursor)
		}
	}
	list, total, err := s.c.Dispatch.Schedules().Schedules(ctx, p.App, f)
	if err != nil {
		return page, err
	}
	page.Total = total
	if len(list) > limit {
		list = list[:limit]
		page.NextCursor = list[limit-1].ID.String()
	}
	for i := range list {
		v, err := scheduleView(&list[i])
		if err != nil {
			return page, err
		}
		page.Schedules = append(page.Schedules, v)
	}
	return page, nil
}

// Runs lists what became of the occurrences of a schedule, newest first.
func (s *Schedules) Runs(ctx context.Context, p Principal, id herald.ScheduleID, cursor string, limit int) (ScheduleRuns, error) {
	page := ScheduleRuns{Runs: []ScheduleRun{}}
	if _, err := s.find(ctx, p, id); err != nil {
		return page, err
	}
	limit, err := pageSize(limit)
	if err != nil {
		return page, err
	}
	after, err := runCursor(cursor)
	if err != nil {
		return page, err
	}
	list, err := s.c.Dispatch.Schedules().ScheduleRuns(ctx, p.App, id, after, limit+1)
	if len(list) > limit {
		list = list[:limit]
		last := list[limit-1]
		page.NextCursor = strconv.FormatInt(last.Occurrence.UnixMilli(), 10)
		if last.Manual {
			page.NextCursor += "m"
		}
	}
	page.Runs = runViews(list)
	return page, err
}

// runCursor reads the cursor of a list of runs: milliseconds, and m for a run
// that somebody asked for.
func runCursor(s string) (c record.RunCursor, err error) {
	if s == "" {
		return c, nil
	}
	digits, manual := strings.CutSuffix(s, "m")
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || ms <= 0 {
		return c, herald.Invalid("cursor", "Use next_cursor of the page before.", "%.40q is not a cursor of this list", s)
	}
	return record.RunCursor{Occurrence: time.UnixMilli(ms).UTC(), Manual: manual}, nil
}

// Next lists the next occurrences of a schedule.
func (s *Schedules) Next(ctx context.Context, p Principal, id herald.ScheduleID, count int) (ScheduleOccurrences, error) {
	rec, err := s.find(ctx, p, id)
	if err != nil {
		return ScheduleOccurrences{}, err
	}
	c, err := calendar.New(rec.Trigger, rec.Zone, rec.Since)
	if err != nil {
		return ScheduleOccurrences{}, err
	}
	return occurrences(c, rec.Zone, rec.Next, count)
}

// Preview lists the occurrences that a schedule would have.
func (s *Schedules) Preview(_ context.Context, p Principal, r SchedulePreview) (ScheduleOccurrences, error) {
	if err := p.may(ScopeRead); err != nil {
		return ScheduleOccurrences{}, err
	}
	now := s.now()
	rec := record.Schedule{Name: "preview", Trigger: r.Trigger, Zone: r.Zone, Since: now}
	if err := validSchedule(&rec); err != nil {
		return ScheduleOccurrences{}, err
	}
	if err := plan(&rec, now, true); err != nil {
		return ScheduleOccurrences{}, err
	}
	c, err := calendar.New(rec.Trigger, rec.Zone, rec.Since)
	if err != nil {
		return ScheduleOccurrences{}, err
	}
	count := 10
	if r.Count != nil {
		count = *r.Count
	}
	return occurrences(c, rec.Zone, rec.Next, count)
}

func occurrences(c *calendar.Calendar, zone string, next time.Time, count int) (ScheduleOccurrences, error) {
	out := ScheduleOccurrences{Zone: zone, Occurrences: []ScheduleOccurrence{}}
	if count < 1 || count > maxOccurrences {
		return out, herald.Invalid("count", "Ask for 1 to 100.", "%d is out of range", count)
	}
	for ; !next.IsZero() && len(out.Occurrences) < count; next = c.Next(next) {
		out.Occurrences = append(out.Occurrences, ScheduleOccurrence{At: next, Local: calendar.Local(next, c.Zone())})
	}
	return out, nil
}
