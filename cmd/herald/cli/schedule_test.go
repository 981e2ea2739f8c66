package cli

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestScheduleCommands(t *testing.T) {
	w := newWorld(t)
	const (
		schedule = `{"id":"7","name":"report","state":"active","trigger":{"unit":"week","every":2,"time":"09:00","weekdays":["mon"]},"zone":"Asia/Shanghai","message":{"audience":"all","data":1},"missed":"once","grace":60,"next_at":"2026-11-23T01:00:00Z",` +
			`"created_at":"2026-11-21T09:30:00Z","created_by":{"kind":"master"},"updated_at":"2026-11-21T09:30:00Z","updated_by":{"kind":"master"}`
		runs = `{"occurrence":"2026-11-16T01:00:00Z","at":"2026-11-16T01:00:00Z","state":"sent","message_id":"9","missed":2,"manual":true},` +
			`{"occurrence":"2026-11-09T01:00:00Z","at":"2026-11-09T01:00:00Z","state":"refused","code":"invalid_request","reason":"there is no segment vip","remedy":"Save it."}`
		others = `{"id":"8","name":"rent","state":"paused","trigger":{"unit":"month","time":"08:00","days":[1,-1]},"zone":"recipient","message":{}},` +
			`{"id":"9","name":"x","state":"active","trigger":{"cron":"@daily"},"zone":"UTC","message":{}},{"id":"10","name":"y","state":"ended","trigger":{"at":"2026-12-01T09:00:00"},"zone":"UTC","message":{}}`
		next = `{"zone":"Asia/Shanghai","occurrences":[{"at":"2026-11-23T01:00:00Z","local":"2026-11-23T09:00:00"}]}`
	)
	var asked []string
	empty := false
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		answers := map[string]string{
			"POST /v1/schedules":          schedule + `,"estimate":12}`,
			"POST /v1/schedules:preview":  next,
			"GET /v1/schedules":           `{"schedules":[` + schedule + `},` + others + `],"total":4}`,
			"GET /v1/schedules/7":         schedule + `,"last_runs":[` + runs + `]}`,
			"POST /v1/schedules/7:pause":  strings.Replace(schedule, "active", "paused", 1) + `}`,
			"POST /v1/schedules/7:resume": schedule + `}`,
			"POST /v1/schedules/7:skip":   schedule + `}`,
			"POST /v1/schedules/7:run":    `{"occurrence":"2026-11-16T01:00:00Z","state":"sent","message_id":"9","manual":true}`,
			"GET /v1/schedules/7/next":    next,
			"DELETE /v1/schedules/7":      "",
		}
		answer, ok := answers[r.Method+" "+r.URL.Path]
		switch {
		case !ok:
			t.Errorf("asked %s", asked[len(asked)-1])
		case empty:
			answer = `{"schedules":[],"occurrences":[]}`
		case answer == "":
			rw.WriteHeader(http.StatusNoContent)
		}
		fmt.Fprint(rw, answer)
	})
	got := transcript(t, w,
		[]string{"schedule", "create", "report", "The week", "--unit", "week", "--every", "2", "--time", "09:00", "--weekday", "mon", "--zone", "Asia/Shanghai", "--tag", "staff", "--grace", "90s", "--missed", "skip"},
		[]string{"schedule", "create", "rent", "--title", "Rent", "--unit", "month", "--time", "08:00", "--day", "1", "--day", "-1", "--zone", "recipient", "--paused", "--json"},
		[]string{"schedule", "create", "check", "--cron", "@daily", "--preview"},
		[]string{"schedule", "list"}, []string{"schedule", "show", "7"}, []string{"schedule", "pause", "7"}, []string{"schedule", "resume", "7"},
		[]string{"schedule", "skip", "7"}, []string{"schedule", "run", "7"}, []string{"schedule", "next", "7", "--count", "1"}, []string{"schedule", "delete", "7"})
	empty = true
	got += transcript(t, w, []string{"schedule", "list", "--state", "ended"}, []string{"schedule", "next", "7"})
	golden(t, "schedule", got)
	want := []string{
		`POST /v1/schedules {"name":"report","trigger":{"unit":"week","every":2,"time":"09:00","weekdays":["mon"]},"zone":"Asia/Shanghai","message":{"audience":{"tags":["staff"]},"notification":{"title":"The week"}},"missed":"skip","grace":90}`,
		`POST /v1/schedules {"name":"rent","trigger":{"unit":"month","time":"08:00","days":[1,-1]},"zone":"recipient","message":{"audience":"all","notification":{"title":"Rent"}},"paused":true}`,
		`POST /v1/schedules:preview {"trigger":{"cron":"@daily"}}`,
		"GET /v1/schedules?limit=1000", "GET /v1/schedules/7", "POST /v1/schedules/7:pause", "POST /v1/schedules/7:resume", "POST /v1/schedules/7:skip", "POST /v1/schedules/7:run",
		"GET /v1/schedules/7/next?count=1", "DELETE /v1/schedules/7", "GET /v1/schedules?limit=1000&state=ended", "GET /v1/schedules/7/next?count=10",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
	for _, args := range [][]string{
		{"schedule", "show", "x"}, {"schedule", "pause", "x"}, {"schedule", "run", "x"}, {"schedule", "next", "x"}, {"schedule", "delete", "0"},
		{"schedule", "create", "n", "--cron", "@daily"}, {"schedule", "create"},
	} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d, want %d", args, code, ExitUsage)
		}
	}
}
