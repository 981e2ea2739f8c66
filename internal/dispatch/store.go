package dispatch

import (
	"context"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// MessageStore takes messages into the record.
type MessageStore interface {
	// Accept makes a message durable in a group commit; see
	// record.Acceptance. A scheduled one becomes a job instead of a release.
	// The same idempotency key with another hash answers
	// idempotency_conflict. A target over 16 KiB as a bitmap is written as
	// chunks before the message joins the commit.
	Accept(ctx context.Context, a record.Acceptance) (record.Accepted, error)
	// AcceptAll makes messages durable as Accept does, in their order and in
	// one commit, and gives an outcome for each. None is refused because of
	// another. It takes the acceptances over.
	AcceptAll(ctx context.Context, list []*record.Acceptance) []record.Outcome
	// ReleaseDue gives a scheduled message its target and its release and
	// finishes the job, in one commit. A job whose fence has moved on, or a
	// message that is not scheduled any more, answers conflict.
	ReleaseDue(ctx context.Context, job record.Job, m record.Message) (record.Accepted, error)
	// Answered gives the answer to an earlier call with an idempotency key and
	// the same hash; nil if there was none, idempotency_conflict if the hash
	// was another.
	Answered(ctx context.Context, app herald.AppKey, i record.Idempotency) ([]byte, error)
	// EndMessage moves a message to withdrawn, replaced or expired, if it has
	// not ended yet (else conflict; not_found if there is none). Withdrawn
	// takes a log position for the notice, which is returned (0 otherwise).
	// A scheduled message loses its job.
	EndMessage(ctx context.Context, app herald.AppKey, id herald.MessageID, state herald.MessageState, now time.Time) (herald.Pos, error)
}

// ApprovalStore keeps messages that wait to be approved.
type ApprovalStore interface {
	// Decide ends the wait of a message that is to be approved (else conflict;
	// not_found if there is none): it is scheduled, or has ended as rejected.
	Decide(ctx context.Context, app herald.AppKey, id herald.MessageID, d record.Decision) error
}

// MessageReader finds messages.
type MessageReader interface {
	// Message finds a message with body and target; not_found if there is
	// none.
	Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error)
	// Messages lists messages without targets, newest first.
	Messages(ctx context.Context, app herald.AppKey, f record.MessageFilter) ([]*record.Message, error)
	// Releases lists the releases after a log position, ascending, with
	// their messages (body and target included), at most limit. Msg is nil
	// if it is damaged, which the store has logged.
	Releases(ctx context.Context, app herald.AppKey, after herald.Pos, limit int) ([]record.Release, error)
	// ByCollapseKey lists the IDs of the messages that have a collapse key
	// and have not ended, oldest first.
	ByCollapseKey(ctx context.Context, app herald.AppKey, key string) ([]herald.MessageID, error)
	// MaxMessageID is the highest message ID of all apps; 0 if there is none.
	MaxMessageID(ctx context.Context) (herald.MessageID, error)
}

// JobStore hands out what must happen later.
type JobStore interface {
	// LeaseJobs takes up to limit due jobs for a time, raising their fences.
	LeaseJobs(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]record.Job, error)
	// NextJob is when the earliest job falls due; zero if there is none.
	NextJob(ctx context.Context) (time.Time, error)
	// Expired lists messages of all apps whose TTL has ended and that have
	// not ended themselves, at most limit.
	Expired(ctx context.Context, now time.Time, limit int) ([]*record.Message, error)
	// Purge deletes what is past its retention: idempotency rows, and
	// messages that ended before the time given, with all that belongs to
	// them, at most limit messages a call. It reports whether more is left.
	Purge(ctx context.Context, now, endedBefore time.Time, limit int) (more bool, err error)
}

// CountStore keeps the counts of messages for longer than the messages.
type CountStore interface {
	// Purgeable lists the messages of all apps that the next Purge with the
	// same time and limit deletes, but for those that cannot be read.
	Purgeable(ctx context.Context, endedBefore time.Time, limit int) ([]*record.Message, error)
	// KeepCounts keeps what became of a message until a time, after which
	// Purge deletes it. Doing it again changes what is kept.
	KeepCounts(ctx context.Context, c record.Counted, until time.Time) error
}

// ScheduleStore keeps schedules. What makes a message of one is in the commit of
// the message: see record.Acceptance.
type ScheduleStore interface {
	// CreateSchedule writes a schedule with its first job, unless its app has as
	// many as it may that have not ended (limit_reached). A repetition with the
	// same idempotency key gives the answer of the first call.
	CreateSchedule(ctx context.Context, s record.Schedule, most int, i *record.Idempotency) (prior []byte, err error)
	// ChangeSchedule replaces a schedule and its job, if it still has the version
	// that is given (else conflict), with the run of an occurrence that is
	// skipped by it, if there is one.
	ChangeSchedule(ctx context.Context, s record.Schedule, most int, skipped *record.ScheduleRun) error
	// DeleteSchedule deletes a schedule with its job and its runs. Its messages
	// stay.
	DeleteSchedule(ctx context.Context, app herald.AppKey, id herald.ScheduleID) error
	// Fire deals with an occurrence that makes no message.
	Fire(ctx context.Context, id herald.ScheduleID, f record.Firing) error
	// PurgeSchedules deletes schedules that ended before a time, and runs of
	// occurrences before it, at most limit of each. It reports whether more is
	// left.
	PurgeSchedules(ctx context.Context, before time.Time, limit int) (more bool, err error)
}

// ScheduleReader finds schedules and their runs.
type ScheduleReader interface {
	// Schedule finds a schedule; not_found if there is none.
	Schedule(ctx context.Context, app herald.AppKey, id herald.ScheduleID) (record.Schedule, error)
	// Schedules lists schedules in the order of creation, and counts all that
	// the state of the filter selects.
	Schedules(ctx context.Context, app herald.AppKey, f record.ScheduleFilter) ([]record.Schedule, int64, error)
	// ScheduleRun finds the run of an occurrence that nobody asked for by hand;
	// nil if there is none.
	ScheduleRun(ctx context.Context, app herald.AppKey, id herald.ScheduleID, occurrence time.Time) (*record.ScheduleRun, error)
	// ScheduleRuns lists the runs of a schedule after a place, newest first.
	ScheduleRuns(ctx context.Context, app herald.AppKey, id herald.ScheduleID, after record.RunCursor, limit int) ([]record.ScheduleRun, error)
	// MaxScheduleID is the highest schedule ID of all apps; 0 if there is none.
	MaxScheduleID(ctx context.Context) (herald.ScheduleID, error)
}

// PlanStore keeps how messages are released in steps.
type PlanStore interface {
	// PlanOf gives the plan of a message; not_found if it has none.
	PlanOf(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Plan, error)
	// PlanPart walks the devices of a part of a plan, slab by slab from the
	// slab of an ordinal on, as long as each wants more.
	PlanPart(ctx context.Context, app herald.AppKey, id herald.MessageID, part int, from herald.Ordinal, each func(*sets.Set) (more bool)) error
	// StepPlans makes steps, in their order and in one commit. Those whose job
	// is not held any more are left out.
	StepPlans(ctx context.Context, list []*record.Step) error
	// ChangePlan pauses, resumes or stops a plan. A stop takes a log position,
	// which is returned. With nothing to change it answers conflict.
	ChangePlan(ctx context.Context, app herald.AppKey, id herald.MessageID, c record.PlanChange) (record.Plan, herald.Pos, error)
}

// Reachable is a store that may be out of reach for a while.
type Reachable interface {
	// Lost reports whether an error of the store says that its database cannot be
	// reached, or has ended the connection: the same may succeed when it is back.
	Lost(err error) bool
}

// Store is all that dispatch needs of the record.
type Store interface {
	Reachable
	ScheduleStore
	ScheduleReader
	MessageStore
	MessageReader
	JobStore
	CountStore
	PlanStore
	ApprovalStore
}
