//go:build unix

package bench_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// liveGroups is how many messages to many devices wait in this benchmark: the
// limit of an app. toEach is how many devices each has, spread over all.
const liveGroups, toEach = herald.MaxGroupMessages, 2000

// BenchmarkErase measures what looks at all messages of an app, with as many
// live group messages as it may have: to erase a device, and the first page of
// a device's timeline.
func BenchmarkErase(b *testing.B) {
	d := newDeskWith(b, func(bulk *sqlite.Bulk) {
		now := time.Now()
		ids := herald.NewIDs(0, 0)
		for i := range liveGroups {
			to := sets.New()
			for k := range toEach {
				to.Add(herald.Ordinal((i + k*(inFile/toEach)) % inFile))
			}
			must(b, bulk.Message(b.Context(), &record.Message{
				Message: herald.Message{ID: ids.Next(now), App: deskApp, Audience: herald.Audience{Tags: []herald.Tag{herald.Tag(fmt.Sprint("t", i))}},
					Priority: herald.PriorityNormal, TTL: 24 * time.Hour, Accepted: now, Due: now},
				Body: []byte(`{"notification":{"title":"Bench"}}`), Group: record.WholeImage(to), Target: toEach, State: herald.MessageSending,
			}, nil))
		}
	})
	next := 0
	b.Run("timeline", func(b *testing.B) {
		for b.Loop() {
			next++
			var page api.DeviceTimeline
			must(b, d.call(http.MethodGet, fmt.Sprintf("/v1/devices/%s/timeline", deviceID(next)), "", nil, &page))
			if len(page.Items) == 0 {
				b.Fatal("nothing was for the device")
			}
		}
	})
	b.Run("erase", func(b *testing.B) {
		for b.Loop() {
			next++
			r := httptest.NewRequestWithContext(context.Background(), http.MethodDelete, fmt.Sprintf("/v1/devices/%s?erase=true", deviceID(next)), nil)
			r.Header.Set("Authorization", d.auth)
			w := httptest.NewRecorder()
			if d.mux.ServeHTTP(w, r); w.Code != http.StatusNoContent {
				b.Fatalf("%d %s", w.Code, w.Body)
			}
		}
	})
}
