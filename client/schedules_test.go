package client

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

// TestScheduleCalls holds what each method says to the server, and what it reads.
func TestScheduleCalls(t *testing.T) {
	ctx := context.Background()
	zone, grace, yes := ZoneRecipient, 90*time.Second, true
	message := Message{Audience: herald.Audience{All: true}, Data: []byte("1")}
	trigger := Trigger{Unit: "week", Every: 2, Time: "09:00", Weekdays: []string{"mon"}}
	one := func(s Schedule, err error) (herald.MessageID, error) { return s.ID, err }
	for want, call := range map[string]func(c *Client) (herald.MessageID, error){
		`POST /v1/schedules k {"name":"n","trigger":{"unit":"week","every":2,"time":"09:00","weekdays":["mon"]},"zone":"recipient","message":{"audience":"all","data":1},"missed":"skip","grace":90,"paused":true}`: func(c *Client) (herald.MessageID, error) {
			m := message
			m.IdempotencyKey = "k"
			return one(c.CreateSchedule(ctx, ScheduleSpec{Name: "n", Trigger: trigger, Zone: zone, Message: m, Missed: "skip", Grace: &grace, Paused: true}))
		},
		`GET /v1/schedules?cursor=c&limit=7&state=paused  `: func(c *Client) (herald.MessageID, error) {
			p, err := c.Schedules(ctx, herald.SchedulePaused, "c", 7)
			return one(p.Schedules[0], err)
		},
		`GET /v1/schedules/7  `: func(c *Client) (herald.MessageID, error) { return one(c.Schedule(ctx, 7)) },
		`PATCH /v1/schedules/7  {"zone":"recipient","grace":90,"paused":true}`: func(c *Client) (herald.MessageID, error) {
			return one(c.UpdateSchedule(ctx, 7, ScheduleUpdate{Zone: &zone, Grace: &grace, Paused: &yes}))
		},
		`PATCH /v1/schedules/7  {"trigger":{"cron":"@daily"},"message":{"audience":"all","data":1}}`: func(c *Client) (herald.MessageID, error) {
			return one(c.UpdateSchedule(ctx, 7, ScheduleUpdate{Trigger: &Trigger{Cron: "@daily"}, Message: &message}))
		},
		`DELETE /v1/schedules/7  `:      func(c *Client) (herald.MessageID, error) { return 7, c.DeleteSchedule(ctx, 7) },
		`POST /v1/schedules/7:pause  `:  func(c *Client) (herald.MessageID, error) { return one(c.PauseSchedule(ctx, 7)) },
		`POST /v1/schedules/7:resume  `: func(c *Client) (herald.MessageID, error) { return one(c.ResumeSchedule(ctx, 7)) },
		`POST /v1/schedules/7:skip  `:   func(c *Client) (herald.MessageID, error) { return one(c.SkipSchedule(ctx, 7)) },
		`POST /v1/schedules/7:run k `: func(c *Client) (herald.MessageID, error) {
			r, err := c.RunSchedule(ctx, 7, "k")
			return r.MessageID, err
		},
		`GET /v1/schedules/7/next?count=3  `: func(c *Client) (herald.MessageID, error) {
			list, err := c.NextOccurrences(ctx, 7, 3)
			return herald.MessageID(list[0].At.Unix()), err
		},
		`POST /v1/schedules:preview  {"trigger":{"cron":"@daily"},"zone":"UTC","count":3}`: func(c *Client) (herald.MessageID, error) {
			list, err := c.PreviewSchedule(ctx, Trigger{Cron: "@daily"}, "UTC", 3)
			return herald.MessageID(list[0].At.Unix()), err
		},
		`GET /v1/schedules/7/messages?cursor=c&limit=3  `: func(c *Client) (herald.MessageID, error) {
			p, err := c.ScheduleMessages(ctx, 7, "c", 3)
			return p.Runs[0].MessageID, err
		},
	} {
		got := ""
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Idempotency-Key") + " " + string(body)
			_, _ = io.WriteString(w, `{"id":"7","message_id":"7","message":{},"schedules":[{"id":"7"}],"runs":[{"message_id":"7"}],"occurrences":[{"at":"1970-01-01T00:00:07Z","local":"x"}]}`)
		})
		if id, err := call(c); err != nil || got != want || id != 7 {
			t.Errorf("got %s and %s, %v; want %s", got, id, err, want)
		}
	}
}

// A call that does its work again is not repeated by itself, unless it has a key.
func TestScheduleOnce(t *testing.T) {
	calls := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusBadGateway)
	})
	if _, err := c.SkipSchedule(context.Background(), 7); err == nil || calls != 1 {
		t.Errorf("skip: %d calls, %v", calls, err)
	}
	calls = 0
	if _, err := c.RunSchedule(context.Background(), 7, ""); err == nil || calls < 2 {
		t.Errorf("run: %d calls, %v", calls, err)
	}
}
