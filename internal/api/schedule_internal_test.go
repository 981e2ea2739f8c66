package api

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/calendar"
	"github.com/herald-push/herald/internal/record"
)

// What is sent at each recipient's own local time says that time, which the
// first zone comes to at the occurrence.
func TestComposed(t *testing.T) {
	at := time.Date(2026, 11, 30, 19, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, zone string
		at         time.Time
		want       string
	}{
		{"a zone", "Asia/Shanghai", at, `{"audience":"all","data":1}`},
		{"each recipient's", calendar.ZoneRecipient, at, `{"audience":"all","data":1,"send_at_local":"2026-12-01T09:00:00"}`},
		{"each recipient's, now", calendar.ZoneRecipient, time.Time{}, `{"audience":"all","data":1}`},
	} {
		const message = `{"audience":"all","data":1}`
		rec := &record.Schedule{Zone: c.zone, Message: []byte(message)}
		got, err := composed(rec, c.at)
		if err != nil || string(got) != c.want || string(rec.Message) != message {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}
