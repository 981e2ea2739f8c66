package topiclog_test

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/record"
)

// TestWhatWasSentDoesNotExpire checks that an entry which an earlier connection
// may have sent is sent again although it has expired (MQTT-4.3.3-7), and that
// one which nobody has sent is not.
func TestWhatWasSentDoesNotExpire(t *testing.T) {
	w := newWorld(t)
	w.open("c", false)
	w.subscribe("c", "a")
	for _, text := range []string{"sent", "unsent"} {
		e := entry("a", text)
		e.Time, e.Expires = w.clock(), w.clock().Add(10*time.Second)
		done := make(chan error, 1)
		w.Append(appA, e, func(err error) { done <- err })
		w.must(<-done)
		if text == "sent" {
			w.must(w.change("c", record.TopicSessionChange{Unsent: e.Pos + 1}))
		}
	}
	w.must(w.Away(w.ctx, appA, "c", w.clock()))
	w.sleep(20 * time.Second)
	w.open("c", false)
	w.wantWaiting("c", "sent")
}
