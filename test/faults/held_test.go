package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/herald-push/herald"
)

// TestCrashOnTheWayToConnections ends the process between two steps of what leads
// a message to connections that its route has kept from them. Who has no vendor
// gets it all the same, once and before what was sent later; who has it by the
// vendor does not.
func TestCrashOnTheWayToConnections(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"planned_route:1", "planned_route:2", "went_live:1"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			var ahead atomic.Int64
			c := newClientele(t, &ahead, 1, 0)
			c.apple.calm = true // who is asked in vain gets it live as well
			c.gather()
			var alone, taken struct{ Token string }
			c.call(http.MethodPost, "/v1/devices", map[string]any{}, &alone)
			c.call(http.MethodPost, "/v1/devices", map[string]any{"addresses": []map[string]string{{"vendor": "apns", "token": token(7)}}}, &taken)
			c.client.CloseIdleConnections()
			id := c.crash(point, &ahead, map[string]any{"audience": "all", "notification": map[string]string{"title": "Hello"}, "route": map[string]any{"steps": []map[string]string{
				{"channel": "vendor", "unless": "sent"}, {"channel": "live", "unless": "sent"},
			}}})
			until(t, "its route is at its end", func() bool {
				r, _ := c.outcomes(id)
				return len(r.Pending) == 0
			})
			var last struct{ ID herald.MessageID }
			c.call(http.MethodPost, "/v1/messages", map[string]any{"audience": "all", "notification": map[string]string{"title": "Last"}}, &last)
			if got, want := c.collect(alone.Token, last.ID), []herald.MessageID{id, last.ID}; !slices.Equal(got, want) {
				t.Errorf("who has no vendor has got %v, want %v", got, want)
			}
			if got, want := c.collect(taken.Token, last.ID), []herald.MessageID{last.ID}; !slices.Equal(got, want) {
				t.Errorf("who has it by the vendor has got %v, want %v", got, want)
			}
			if code := c.n.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			for _, wrong := range inspect(c.n.data, true) {
				t.Error(wrong)
			}
		})
	}
}

// collect polls for a device until it has a message, and gives all that came.
func (c *clientele) collect(token string, last herald.MessageID) (got []herald.MessageID) {
	c.t.Helper()
	cursor := ""
	until(c.t, "a device has the last message", func() bool {
		var answer struct {
			Cursor string
			Frames []struct {
				Type string
				ID   herald.MessageID
			}
		}
		r := c.n.call(c.t.Context(), c.client, http.MethodGet, "/v1/live/poll?wait=1&cursor="+cursor, "Bearer "+token, "", nil)
		if r.status/100 != 2 || json.Unmarshal(r.body, &answer) != nil {
			c.t.Errorf("polling: %d %s %v", r.status, r.body, r.err)
		}
		cursor = answer.Cursor
		for _, f := range answer.Frames {
			if f.Type == "message" {
				got = append(got, f.ID)
			}
		}
		return slices.Contains(got, last)
	})
	return got
}

// token is one of Apple's.
func token(i int64) string { return fmt.Sprintf("%064x", i) }
