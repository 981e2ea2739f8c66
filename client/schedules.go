package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/herald-push/herald"
)

// Trigger says when a schedule occurs. It has one of At, Unit and Cron. Times
// are written 2026-12-01T09:00:00, which is in the zone of the schedule, or as
// in RFC 3339 with an offset.
type Trigger struct {
	At string `json:"at,omitempty"` // once
	// Unit is day, week or month: again and again, every so many of them at a
	// Time of day, 09:00 or 09:00:30.
	Unit     string   `json:"unit,omitempty"`
	Every    int      `json:"every,omitempty"` // 0 means 1
	Time     string   `json:"time,omitempty"`
	Weekdays []string `json:"weekdays,omitempty"` // mon to sun
	Days     []int    `json:"days,omitempty"`     // of the month; -1 is the last
	Cron     string   `json:"cron,omitempty"`     // 5 fields
	Start    string   `json:"start,omitempty"`
	End      string   `json:"end,omitempty"`
}

// ZoneRecipient in the place of a zone sends at each device's own local time.
const ZoneRecipient = "recipient"

// ScheduleSpec is what is to be a schedule.
type ScheduleSpec struct {
	Name    string
	Trigger Trigger
	Zone    string // "" is UTC
	// Message is sent at each occurrence. It has no SendAt; its IdempotencyKey
	// is that of the call.
	Message Message
	Missed  string         // once or skip; "" is once
	Grace   *time.Duration // in whole seconds; nil is a minute
	Paused  bool
}

// ScheduleUpdate changes a schedule. What is nil stays as it is.
type ScheduleUpdate struct {
	Name    *string
	Trigger *Trigger
	Zone    *string
	Message *Message
	Missed  *string
	Grace   *time.Duration
	Paused  *bool
}

type scheduleBody struct {
	Name    *string  `json:"name,omitempty"`
	Trigger *Trigger `json:"trigger,omitempty"`
	Zone    *string  `json:"zone,omitempty"`
	Message *Message `json:"message,omitempty"`
	Missed  *string  `json:"missed,omitempty"`
	Grace   *int64   `json:"grace,omitempty"`
	Paused  *bool    `json:"paused,omitempty"`
}

// MarshalJSON writes the body of PATCH /v1/schedules/{id}.
func (u ScheduleUpdate) MarshalJSON() ([]byte, error) {
	b := scheduleBody{Name: u.Name, Trigger: u.Trigger, Zone: u.Zone, Message: u.Message, Missed: u.Missed, Paused: u.Paused}
	if u.Grace != nil {
		seconds := int64(*u.Grace / time.Second)
		b.Grace = &seconds
	}
	return json.Marshal(b)
}

// MarshalJSON writes the body of POST /v1/schedules.
func (s ScheduleSpec) MarshalJSON() ([]byte, error) {
	u := ScheduleUpdate{Name: &s.Name, Trigger: &s.Trigger, Message: &s.Message, Grace: s.Grace}
	if s.Zone != "" {
		u.Zone = &s.Zone
	}
	if s.Missed != "" {
		u.Missed = &s.Missed
	}
	if s.Paused {
		u.Paused = &s.Paused
	}
	return u.MarshalJSON()
}

// Schedule makes messages at times of its own.
type Schedule struct {
	ID        herald.ScheduleID    `json:"id"`
	Name      string               `json:"name"`
	State     herald.ScheduleState `json:"state"`
	Trigger   Trigger              `json:"trigger"`
	Zone      string               `json:"zone"`
	Message   json.RawMessage      `json:"message"`           // as POST /v1/messages takes it
	Missed    string               `json:"missed"`            // once, skip
	Grace     int64                `json:"grace"`             // seconds
	NextAt    *time.Time           `json:"next_at,omitempty"` // nil unless it is active
	CreatedAt time.Time            `json:"created_at"`
	CreatedBy ScheduleActor        `json:"created_by"`
	UpdatedAt time.Time            `json:"updated_at"`
	UpdatedBy ScheduleActor        `json:"updated_by"`
	EndedAt   *time.Time           `json:"ended_at,omitempty"`
	Estimate  *int64               `json:"estimate,omitempty"`  // devices of a message that came with the call
	LastRuns  []ScheduleRun        `json:"last_runs,omitempty"` // absent in lists
}

// ScheduleActor is who made or changed a schedule.
type ScheduleActor struct {
	Kind    string `json:"kind"` // master, key
	KeyID   string `json:"key_id,omitempty"`
	KeyName string `json:"key_name,omitempty"`
}

// ScheduleRun is what became of one occurrence of a schedule.
type ScheduleRun struct {
	Occurrence time.Time        `json:"occurrence"`
	At         time.Time        `json:"at"`
	State      string           `json:"state"` // sent, refused, missed, skipped
	MessageID  herald.MessageID `json:"message_id,omitempty"`
	Manual     bool             `json:"manual,omitempty"` // somebody asked for it
	Missed     int              `json:"missed,omitempty"` // occurrences before it that nobody was there for
	Code       herald.Code      `json:"code,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	Remedy     string           `json:"remedy,omitempty"`
}

// SchedulePage is one page of schedules, in the order in which they were made.
type SchedulePage struct {
	Schedules  []Schedule `json:"schedules"`
	Total      int64      `json:"total"` // on all pages
	NextCursor string     `json:"next_cursor,omitempty"`
}

// ScheduleRunPage is one page of runs, newest first.
type ScheduleRunPage struct {
	Runs       []ScheduleRun `json:"runs"`
	NextCursor string        `json:"next_cursor,omitempty"`
}

// Occurrence is when a schedule occurs.
type Occurrence struct {
	At    time.Time `json:"at"`
	Local string    `json:"local"` // what the clocks show then in the zone
}

func schedulePath(id herald.ScheduleID, rest string) string {
	return "/v1/schedules/" + id.String() + rest
}

// CreateSchedule has the server send a message at the times of a trigger.
func (c *Client) CreateSchedule(ctx context.Context, s ScheduleSpec) (Schedule, error) {
	key := s.Message.IdempotencyKey
	if key == "" {
		key = rand.Text()
	}
	var out Schedule
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/schedules", body: s, key: key, into: &out})
	return out, err
}

// Schedules lists schedules in the order in which they were made; state "" means
// any.
func (c *Client) Schedules(ctx context.Context, state herald.ScheduleState, cursor string, limit int) (SchedulePage, error) {
	q := page(cursor, limit)
	setUnlessEmpty(q, "state", string(state))
	var out SchedulePage
	err := c.do(ctx, call{method: http.MethodGet, path: "/v1/schedules", query: q, into: &out})
	return out, err
}

// Schedule shows a schedule with its last runs.
func (c *Client) Schedule(ctx context.Context, id herald.ScheduleID) (Schedule, error) {
	var out Schedule
	err := c.do(ctx, call{method: http.MethodGet, path: schedulePath(id, ""), into: &out})
	return out, err
}

// UpdateSchedule changes a schedule.
func (c *Client) UpdateSchedule(ctx context.Context, id herald.ScheduleID, u ScheduleUpdate) (Schedule, error) {
	var out Schedule
	err := c.do(ctx, call{method: http.MethodPatch, path: schedulePath(id, ""), body: u, into: &out, single: u.Trigger != nil})
	return out, err
}

// DeleteSchedule deletes a schedule; its messages stay.
func (c *Client) DeleteSchedule(ctx context.Context, id herald.ScheduleID) error {
	return c.do(ctx, call{method: http.MethodDelete, path: schedulePath(id, "")})
}

// PauseSchedule lets nothing occur until ResumeSchedule.
func (c *Client) PauseSchedule(ctx context.Context, id herald.ScheduleID) (Schedule, error) {
	var out Schedule
	err := c.do(ctx, call{method: http.MethodPost, path: schedulePath(id, ":pause"), into: &out})
	return out, err
}

// ResumeSchedule lets a schedule go on with its next occurrence from now.
func (c *Client) ResumeSchedule(ctx context.Context, id herald.ScheduleID) (Schedule, error) {
	var out Schedule
	err := c.do(ctx, call{method: http.MethodPost, path: schedulePath(id, ":resume"), into: &out})
	return out, err
}

// SkipSchedule leaves out the next occurrence.
func (c *Client) SkipSchedule(ctx context.Context, id herald.ScheduleID) (Schedule, error) {
	var out Schedule
	err := c.do(ctx, call{method: http.MethodPost, path: schedulePath(id, ":skip"), into: &out, single: true})
	return out, err
}

// RunSchedule sends the message of a schedule now. The key makes the call
// repeatable for 24 hours; "" is a random one.
func (c *Client) RunSchedule(ctx context.Context, id herald.ScheduleID, key string) (ScheduleRun, error) {
	if key == "" {
		key = rand.Text()
	}
	var out ScheduleRun
	err := c.do(ctx, call{method: http.MethodPost, path: schedulePath(id, ":run"), key: key, into: &out})
	return out, err
}

// NextOccurrences lists when a schedule occurs next; 0 is the server's default.
func (c *Client) NextOccurrences(ctx context.Context, id herald.ScheduleID, count int) ([]Occurrence, error) {
	q := url.Values{}
	if count > 0 {
		q.Set("count", strconv.Itoa(count))
	}
	var out struct {
		Occurrences []Occurrence `json:"occurrences"`
	}
	err := c.do(ctx, call{method: http.MethodGet, path: schedulePath(id, "/next"), query: q, into: &out})
	return out.Occurrences, err
}

// PreviewSchedule checks a trigger and lists when it would occur.
func (c *Client) PreviewSchedule(ctx context.Context, t Trigger, zone string, count int) ([]Occurrence, error) {
	body := struct {
		Trigger Trigger `json:"trigger"`
		Zone    string  `json:"zone,omitempty"`
		Count   int     `json:"count,omitempty"`
	}{t, zone, count}
	var out struct {
		Occurrences []Occurrence `json:"occurrences"`
	}
	err := c.do(ctx, call{method: http.MethodPost, path: "/v1/schedules:preview", body: body, into: &out})
	return out.Occurrences, err
}

// ScheduleMessages lists what became of the occurrences of a schedule, newest
// first.
func (c *Client) ScheduleMessages(ctx context.Context, id herald.ScheduleID, cursor string, limit int) (ScheduleRunPage, error) {
	var out ScheduleRunPage
	err := c.do(ctx, call{method: http.MethodGet, path: schedulePath(id, "/messages"), query: page(cursor, limit), into: &out})
	return out, err
}
