package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

// TestCrashWhileFiring ends the process between two steps of an occurrence. Each
// of several that are due makes one message, whichever was under way.
func TestCrashWhileFiring(t *testing.T) {
	t.Parallel()
	const schedules = 8
	for _, point := range []string{"firing:3", "before_commit:4", "committed:4", "fired:3"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, planted(t))
			n.mustStart()
			app := n.createApp("app")
			call := func(method, path, body string, into any) {
				t.Helper()
				var b any
				if body != "" {
					b = json.RawMessage(body)
				}
				if r := n.call(t.Context(), web, method, path, app.basic(), "", b); r.status/100 != 2 || json.Unmarshal(r.body, into) != nil {
					t.Fatalf("%s %s: status %d: %s", method, path, r.status, r.body)
				}
			}
			due := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
			device := struct{ RegistrationID string }{}
			call(http.MethodPost, "/v1/devices", `{}`, &device)
			ids := map[herald.ScheduleID]bool{}
			for range schedules {
				var s struct{ ID herald.ScheduleID }
				call(http.MethodPost, "/v1/schedules", fmt.Sprintf(`{"name":"n","trigger":{"at":%q},"message":{"audience":"all","data":1}}`, due), &s)
				ids[s.ID] = true
			}
			if code := n.stop(); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			n.env = []string{"FAULTS_POINT=" + point, "FAULTS_CLOCK=70m"}
			if err := n.spawn(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-n.exited:
			case <-time.After(patience):
				t.Fatalf("the server did not pass %s", point)
			}

			// Later, when what was under way is taken up again; and once more.
			for _, later := range []string{"72m", "3h"} {
				n.env = []string{"FAULTS_CLOCK=" + later}
				n.mustStart()
				until(t, "every schedule has ended", func() bool {
					var page struct{ Total int }
					call(http.MethodGet, "/v1/schedules?state=ended", "", &page)
					return page.Total == schedules
				})
				made := map[herald.ScheduleID]int{}
				var list struct {
					Messages []struct {
						AcceptedAt time.Time `json:"accepted_at"`
						Schedule   struct {
							ID         herald.ScheduleID
							Occurrence time.Time
						}
					}
				}
				call(http.MethodGet, "/v1/messages?limit=1000", "", &list)
				for _, m := range list.Messages {
					made[m.Schedule.ID]++
					if m.AcceptedAt.Before(m.Schedule.Occurrence) || m.Schedule.Occurrence.Format(time.RFC3339) != due {
						t.Errorf("a message for %s was made at %s, and the schedule says %s", m.Schedule.Occurrence, m.AcceptedAt, due)
					}
				}
				for id := range ids {
					var page struct{ Runs []struct{ State string } }
					call(http.MethodGet, "/v1/schedules/"+id.String()+"/messages", "", &page)
					if made[id] != 1 || len(page.Runs) != 1 || page.Runs[0].State != "sent" {
						t.Errorf("schedule %s has made %d messages, its runs are %+v", id, made[id], page.Runs)
					}
				}
				if len(list.Messages) != schedules {
					t.Errorf("there are %d messages, want %d", len(list.Messages), schedules)
				}
				if code := n.stop(); code != 0 {
					t.Fatalf("exit code %d", code)
				}
				for _, wrong := range inspect(n.data, true) {
					t.Error(wrong)
				}
			}
		})
	}
}
