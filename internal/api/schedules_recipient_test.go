package api_test

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/api"
)

// At each recipient's own local time: the message is made when the first zone
// comes to it, and is released zone by zone.
func TestScheduleForRecipients(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.at("2026-11-22T00:30:00Z")
	early := w.device(w.a, api.RegisterRequest{Profile: api.Profile{TimeZone: "Pacific/Kiritimati"}}) // UTC+14
	w.device(w.a, api.RegisterRequest{Profile: api.Profile{TimeZone: "Asia/Shanghai"}})
	w.online(early, true)
	v := w.schedule(`{"name":"x","trigger":{"unit":"day","time":"09:00"},"zone":"recipient","message":{"audience":"all","data":1}}`)
	if !v.NextAt.Equal(time.Date(2026, 11, 22, 19, 0, 0, 0, time.UTC)) {
		t.Fatalf("next %s", v.NextAt)
	}
	w.at("2026-11-22T19:00:00Z")
	run := w.awaitRuns(v.ID, 1)[0]
	m, err := w.s.Messages.Get(ctx, w.masterA, run.MessageID)
	w.must(err)
	if run.State != "sent" || m.SendAtLocal != "2026-11-23T09:00:00" || m.Schedule == nil {
		t.Errorf("run %+v, message %s", run, asJSON(t, m))
	}
}
