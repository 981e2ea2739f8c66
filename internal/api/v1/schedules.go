package v1

import (
	"context"
	"net/http"
	"strconv"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const (
	exampleSchedule = `{"id":"245870126268416005","name":"Monday report","state":"active","trigger":{"unit":"week","time":"09:00","weekdays":["mon"]},"zone":"Asia/Shanghai",` +
		`"message":{"audience":{"tags":["staff"]},"notification":{"title":"The week in figures"}},"missed":"once","grace":60,"next_at":"2026-11-23T01:00:00Z",` +
		`"created_at":"2026-11-01T08:00:00Z","created_by":{"kind":"master"},"updated_at":"2026-11-01T08:00:00Z","updated_by":{"kind":"master"}}`
	exampleRun         = `{"occurrence":"2026-11-16T01:00:00Z","at":"2026-11-16T01:00:00.21Z","state":"sent","message_id":"245870126268416001"}`
	exampleOccurrences = `{"zone":"Asia/Shanghai","occurrences":[{"at":"2026-11-23T01:00:00Z","local":"2026-11-23T09:00:00"},{"at":"2026-11-30T01:00:00Z","local":"2026-11-30T09:00:00"}]}`
)

type scheduleInput struct {
	ID string `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"ID of the schedule, as POST /v1/schedules answered." example:"245870126268416005"`
}

type scheduleListInput struct {
	State  string   `query:"state" enum:"active,paused,ended" doc:"Only schedules in this state."`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Schedules on a page."`
}

type scheduleCreateInput struct {
	Key string `header:"Idempotency-Key" minLength:"1" maxLength:"128" pattern:"^[!-~]+$" doc:"Your own name for this call. For 24 hours the same key with the same body gets the same answer and makes nothing more; with another body it is refused (409)."`
}

type scheduleRunInput struct {
	ID  string `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"ID of the schedule." example:"245870126268416005"`
	Key string `header:"Idempotency-Key" minLength:"1" maxLength:"128" pattern:"^[!-~]+$" doc:"Your own name for this call. For 24 hours the same key gets the same answer and sends nothing more."`
}

type scheduleRunsInput struct {
	ID     string   `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"ID of the schedule." example:"245870126268416005"`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Runs on a page."`
}

type scheduleNextInput struct {
	ID    string `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"ID of the schedule." example:"245870126268416005"`
	Count string `query:"count" doc:"How many occurrences to show, 1 to 100. Default 10."`
}

// scheduleID is a schedule ID in a path. What is not one names nothing.
func scheduleID(s string) (herald.ScheduleID, error) {
	id, err := herald.ParseMessageID(s)
	if err != nil {
		e := herald.Errorf(herald.CodeNotFound, "A schedule ID is the decimal number that POST /v1/schedules answered.", "%.40q is not a schedule ID", s)
		e.Field = "id"
		return 0, e
	}
	return id, nil
}

// addSchedules adds the operations on schedules.
func (a *API) addSchedules() {
	register(a, operation{
		id: "createSchedule", method: "POST", path: "/v1/schedules", tag: "Schedules", summary: "Make a schedule", status: http.StatusCreated, write: true,
		description: "Has the server send a message at the times that the trigger says: once (`at`), every n days, weeks or months at a time of day (`unit`, `every`, `time`, `weekdays`, `days`), or by a cron expression of 5 fields (`cron`). " +
			"Times are those of `zone`: a time that a change of the clocks leaves out occurs right after it, one that comes twice occurs once. " +
			"The message is checked now, and its audience is evaluated at each occurrence. One occurrence makes at most one message, whatever restarts. " +
			"What fell due while no server was there runs once, late, or is skipped (`missed`). An app has at most 1,000 schedules that have not ended, unless the server is configured otherwise (`limits.schedules`). Needs the scope `messages:send`.",
		body:    api.ScheduleRequest{},
		example: `{"name":"Monday report","trigger":{"unit":"week","time":"09:00","weekdays":["mon"]},"zone":"Asia/Shanghai","message":{"audience":{"tags":["staff"]},"notification":{"title":"The week in figures"}}}`,
		answer:  exampleSchedule, errors: []int{http.StatusConflict},
	}, func(ctx context.Context, x *exchange, _ *scheduleCreateInput) (*reply[api.ScheduleView], error) {
		key, err := idempotencyKey(x.r.Header)
		if err != nil {
			return nil, err
		}
		req, err := decode[api.ScheduleRequest](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Schedules.Create(ctx, x.p, req, key, x.body))
	})
	register(a, operation{
		id: "previewSchedule", method: "POST", path: "/v1/schedules:preview", tag: "Schedules", summary: "Show when a trigger would occur",
		description: "Checks a trigger and lists its next occurrences, without making a schedule. Needs the scope `messages:read`.",
		body:        api.SchedulePreview{}, example: `{"trigger":{"cron":"0 9 * * mon"},"zone":"Asia/Shanghai","count":2}`, answer: exampleOccurrences,
	}, func(ctx context.Context, x *exchange, _ *none) (*reply[api.ScheduleOccurrences], error) {
		req, err := decode[api.SchedulePreview](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Schedules.Preview(ctx, x.p, req))
	})
	register(a, operation{
		id: "listSchedules", method: "GET", path: "/v1/schedules", tag: "Schedules", summary: "List schedules",
		description: "Shows schedules in the order in which they were made, and how many there are. Needs the scope `messages:read`.",
		answer:      `{"schedules":[` + exampleSchedule + `],"total":1}`,
	}, func(ctx context.Context, x *exchange, in *scheduleListInput) (*reply[api.SchedulePage], error) {
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Schedules.List(ctx, x.p, api.ScheduleQuery{State: herald.ScheduleState(in.State), Cursor: in.Cursor, Limit: limit}))
	})
	a.addOneSchedule()
	a.addScheduleVerbs()
	a.addScheduleRuns()
}

func (a *API) addOneSchedule() {
	register(a, operation{
		id: "getSchedule", method: "GET", path: "/v1/schedules/{id}", tag: "Schedules", summary: "Show a schedule",
		description: "Shows a schedule, its next occurrence and what became of the last 5. Needs the scope `messages:read`.",
		answer:      exampleSchedule[:len(exampleSchedule)-1] + `,"last_runs":[` + exampleRun + `]}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *scheduleInput) (*reply[api.ScheduleView], error) {
		id, err := scheduleID(in.ID)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Schedules.Get(ctx, x.p, id))
	})
	register(a, operation{
		id: "updateSchedule", method: "PATCH", path: "/v1/schedules/{id}", tag: "Schedules", summary: "Change a schedule", write: true,
		description: "Members that are absent stay as they are; `trigger` and `message` are replaced as a whole. A new trigger counts its periods anew, and lets a schedule that has ended begin again. Messages that were made stay as they are. Needs the scope `messages:send`.",
		body:        api.ScheduleUpdate{}, example: `{"trigger":{"cron":"30 9 * * mon"}}`, answer: exampleSchedule, errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *scheduleInput) (*reply[api.ScheduleView], error) {
		id, err := scheduleID(in.ID)
		if err != nil {
			return nil, err
		}
		req, err := decode[api.ScheduleUpdate](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Schedules.Update(ctx, x.p, id, req))
	})
	register(a, operation{
		id: "deleteSchedule", method: "DELETE", path: "/v1/schedules/{id}", tag: "Schedules", summary: "Delete a schedule", write: true,
		description: "Deletes a schedule with the list of its runs. Its messages stay; withdraw them by themselves. Needs the scope `messages:send`.", errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *scheduleInput) (*none, error) {
		id, err := scheduleID(in.ID)
		if err != nil {
			return nil, err
		}
		return gone(a.service.Schedules.Delete(ctx, x.p, id))
	})
}

func (a *API) addScheduleVerbs() {
	type verb struct {
		id, name, summary, description string
		do                             func(context.Context, api.Principal, herald.ScheduleID) (api.ScheduleView, error)
	}
	for _, v := range []verb{
		{"pauseSchedule", "pause", "Pause a schedule", "What falls due while a schedule is paused is left out, and not made up for.", a.service.Schedules.Pause},
		{"resumeSchedule", "resume", "Resume a schedule", "It goes on with its next occurrence from now; if there is none it ends.", a.service.Schedules.Resume},
		{"skipSchedule", "skip", "Skip the next occurrence", "Leaves out the next occurrence, and no other.", a.service.Schedules.Skip},
	} {
		register(a, operation{
			id: v.id, method: "POST", path: "/v1/schedules/{id}:" + v.name, tag: "Schedules", summary: v.summary, write: true,
			description: v.description + " Needs the scope `messages:send`.", answer: exampleSchedule, errors: []int{http.StatusNotFound, http.StatusConflict},
		}, func(ctx context.Context, x *exchange, in *scheduleInput) (*reply[api.ScheduleView], error) {
			id, err := scheduleID(in.ID)
			if err != nil {
				return nil, err
			}
			return answer(v.do(ctx, x.p, id))
		})
	}
	register(a, operation{
		id: "runSchedule", method: "POST", path: "/v1/schedules/{id}:run", tag: "Schedules", summary: "Send the message of a schedule now", status: http.StatusAccepted, write: true,
		description: "Makes a message now, in whatever state the schedule is, and leaves its occurrences as they are. With the zone `recipient` it goes to everybody at once. Needs the scope `messages:send`.",
		answer:      exampleRun[:len(exampleRun)-1] + `,"manual":true}`, errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity},
	}, func(ctx context.Context, x *exchange, in *scheduleRunInput) (*reply[api.ScheduleRun], error) {
		id, err := scheduleID(in.ID)
		if err != nil {
			return nil, err
		}
		key, err := idempotencyKey(x.r.Header)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Schedules.Run(ctx, x.p, id, key))
	})
}

func (a *API) addScheduleRuns() {
	register(a, operation{
		id: "nextOccurrences", method: "GET", path: "/v1/schedules/{id}/next", tag: "Schedules", summary: "List the next occurrences",
		description: "Lists when a schedule occurs next. Needs the scope `messages:read`.", answer: exampleOccurrences, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *scheduleNextInput) (*reply[api.ScheduleOccurrences], error) {
		id, err := scheduleID(in.ID)
		if err != nil {
			return nil, err
		}
		count := 10
		if in.Count != "" {
			if count, err = strconv.Atoi(in.Count); err != nil {
				return nil, herald.Invalid("count", "Ask for 1 to 100.", "%.20q is not a number", in.Count)
			}
		}
		return answer(a.service.Schedules.Next(ctx, x.p, id, count))
	})
	register(a, operation{
		id: "listScheduleMessages", method: "GET", path: "/v1/schedules/{id}/messages", tag: "Schedules", summary: "List the messages of a schedule",
		description: "Shows what became of the occurrences of a schedule, newest first: the message that was made, or why there is none. Needs the scope `messages:read`.",
		answer:      `{"runs":[` + exampleRun + `]}`, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *scheduleRunsInput) (*reply[api.ScheduleRuns], error) {
		id, err := scheduleID(in.ID)
		if err != nil {
			return nil, err
		}
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Schedules.Runs(ctx, x.p, id, in.Cursor, limit))
	})
}
