package api

import (
	"encoding/json"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/calendar"
)

// ScheduleRequest is the body of POST /v1/schedules.
type ScheduleRequest struct {
	Name    string           `json:"name" minLength:"1" maxLength:"255" doc:"Your own name for it. Several may have the same."`
	Trigger calendar.Trigger `json:"trigger" doc:"When it occurs: once (at), every so many days, weeks or months (unit, with time), or by a cron expression."`
	Zone    string           `json:"zone,omitempty" maxLength:"64" default:"UTC" doc:"The time zone of the trigger, an IANA name such as Asia/Shanghai; or recipient: each device gets the message at its own local time."`
	Message SendRequest      `json:"message" doc:"What is sent, as POST /v1/messages takes it, without a time. Its audience is evaluated at each occurrence."`
	Missed  string           `json:"missed,omitempty" enum:"once,skip" default:"once" doc:"What becomes of occurrences for which no server was there: the last of them runs, late (once), or none (skip)."`
	Grace   *int64           `json:"grace,omitempty" minimum:"0" maximum:"86400" default:"60" doc:"Seconds that an occurrence may be late and does not count as missed."`
	Paused  bool             `json:"paused,omitempty" doc:"Make it, and let it wait for :resume."`
	// Origin is what another API was asked, which that API shows again.
	Origin json.RawMessage `json:"-"`
}

// ScheduleUpdate is the body of PATCH /v1/schedules/{id}. Absent members stay as
// they are; each of the others replaces the whole member.
type ScheduleUpdate struct {
	Name    *string           `json:"name,omitempty" minLength:"1" maxLength:"255" doc:"Another name."`
	Trigger *calendar.Trigger `json:"trigger,omitempty" doc:"Another trigger, which starts anew. A schedule that has ended begins again with it."`
	Zone    *string           `json:"zone,omitempty" maxLength:"64" doc:"Another time zone."`
	Message *SendRequest      `json:"message,omitempty" doc:"Another message, for the occurrences to come."`
	Missed  *string           `json:"missed,omitempty" enum:"once,skip" doc:"What becomes of occurrences for which no server was there."`
	Grace   *int64            `json:"grace,omitempty" minimum:"0" maximum:"86400" doc:"Seconds that an occurrence may be late and does not count as missed."`
	Paused  *bool             `json:"paused,omitempty" doc:"As :pause and :resume, in the same change."`
	// Origin, if not nil, is what another API was asked now.
	Origin json.RawMessage `json:"-"`
}

// ScheduleView is a schedule as its app sees it.
type ScheduleView struct {
	ID        herald.ScheduleID    `json:"id" doc:"Name of the schedule, a decimal number that grows with each."`
	Name      string               `json:"name" doc:"The app's own name for it."`
	State     herald.ScheduleState `json:"state" enum:"active,paused,ended" doc:"paused: what falls due is left out. ended: nothing is to come; it is deleted after 90 days."`
	Trigger   calendar.Trigger     `json:"trigger" doc:"When it occurs."`
	Zone      string               `json:"zone" doc:"The time zone of the trigger, or recipient."`
	Message   SendRequest          `json:"message" doc:"What is sent."`
	Missed    string               `json:"missed" enum:"once,skip" doc:"What becomes of occurrences for which no server was there."`
	Grace     int64                `json:"grace" doc:"Seconds that an occurrence may be late and does not count as missed."`
	NextAt    *time.Time           `json:"next_at,omitempty" doc:"The next occurrence; absent unless the state is active. With the zone recipient: when the first zone comes to the time."`
	CreatedAt time.Time            `json:"created_at" doc:"When it was made."`
	CreatedBy ScheduleActor        `json:"created_by" doc:"Who made it."`
	UpdatedAt time.Time            `json:"updated_at" doc:"When somebody changed it last."`
	UpdatedBy ScheduleActor        `json:"updated_by" doc:"Who that was."`
	EndedAt   *time.Time           `json:"ended_at,omitempty" doc:"When it ended."`
	// Estimate is there when a message was given, LastRuns when one schedule is
	// shown.
	Estimate *int64        `json:"estimate,omitempty" doc:"What the target of the message would be now. Only where a message was given with the call."`
	LastRuns []ScheduleRun `json:"last_runs,omitempty" doc:"The last occurrences, newest first, at most 5. Absent in lists."`
	// Origin is what another API was asked; nil for what was made by /v1.
	Origin json.RawMessage `json:"-"`
}

// ScheduleActor is who made or changed a schedule.
type ScheduleActor struct {
	Kind    string `json:"kind" enum:"master,key"`
	KeyID   string `json:"key_id,omitempty"`
	KeyName string `json:"key_name,omitempty" doc:"The name of the key at that time."`
}

// SchedulePage is one page of schedules, in the order in which they were made.
type SchedulePage struct {
	Schedules  []ScheduleView `json:"schedules"`
	Total      int64          `json:"total" doc:"How many there are, on all pages."`
	NextCursor string         `json:"next_cursor,omitempty" doc:"Give it as cursor to get the next page; absent on the last."`
}

// ScheduleQuery selects schedules. Offset is for translators of protocols whose
// pages are numbered.
type ScheduleQuery struct {
	State  herald.ScheduleState
	Cursor string
	Offset int
	Limit  int
}

// ScheduleRun is what became of one occurrence.
type ScheduleRun struct {
	Occurrence time.Time        `json:"occurrence" doc:"When it was due; of a run that somebody asked for: when that was."`
	At         time.Time        `json:"at" doc:"When it was dealt with."`
	State      string           `json:"state" enum:"sent,refused,missed,skipped" doc:"sent: there is a message. refused: the message could not be made, see reason. missed: no server was there, and the schedule says skip. skipped: somebody said so."`
	MessageID  herald.MessageID `json:"message_id,omitempty" doc:"The message that was made."`
	Manual     bool             `json:"manual,omitempty" doc:"Somebody asked for it with :run."`
	Missed     int              `json:"missed,omitempty" doc:"Occurrences before it, since the one before in this list, for which no server was there."`
	Code       herald.Code      `json:"code,omitempty" doc:"Why the message was refused, as POST /v1/messages would have answered."`
	Reason     string           `json:"reason,omitempty" doc:"The same in words."`
	Remedy     string           `json:"remedy,omitempty" doc:"What can be done about it."`
}

// ScheduleRuns is one page of runs, newest first.
type ScheduleRuns struct {
	Runs       []ScheduleRun `json:"runs" doc:"Newest first, of 90 days."`
	NextCursor string        `json:"next_cursor,omitempty"`
}

// SchedulePreview is the body of POST /v1/schedules:preview.
type SchedulePreview struct {
	Trigger calendar.Trigger `json:"trigger" doc:"As POST /v1/schedules takes it."`
	Zone    string           `json:"zone,omitempty" maxLength:"64" default:"UTC" doc:"As POST /v1/schedules takes it."`
	Count   *int             `json:"count,omitempty" minimum:"1" maximum:"100" default:"10" doc:"How many occurrences to show."`
}

// ScheduleOccurrence is when a schedule occurs.
type ScheduleOccurrence struct {
	At    time.Time `json:"at" doc:"The instant. With the zone recipient: when the first zone comes to the time."`
	Local string    `json:"local" doc:"What the clocks show then in the zone of the schedule, or at each recipient." example:"2026-12-01T09:00:00"`
}

// ScheduleOccurrences lists the next occurrences of a schedule.
type ScheduleOccurrences struct {
	Zone        string               `json:"zone"`
	Occurrences []ScheduleOccurrence `json:"occurrences" doc:"The next ones. Fewer than asked for if the schedule ends, none if it is paused."`
}
