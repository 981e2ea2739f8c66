package client

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestAudit(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path+"?"+r.URL.Query().Encode())
		fmt.Fprint(w, `{"entries":[{"id":"7","time":"2026-11-21T09:30:00Z","actor":{"kind":"key","key_id":"k7","address":"192.0.2.1"},"operation":"updateApp","changes":{"name":{"old":"a","new":"b"}}}],"next_cursor":"7"}`)
	})
	at := time.Date(2026, 11, 21, 10, 30, 0, 5e8, time.FixedZone("", 3600))
	p, err := c.Audit(t.Context(), AuditQuery{Actor: "k7", Operation: "updateApp", Object: "o", Alias: "a", Since: at, Until: at.Add(time.Hour), Cursor: "9", Limit: 1})
	if err != nil || len(p.Entries) != 1 || p.NextCursor != "7" || p.Entries[0].Actor.KeyID != "k7" || string(p.Entries[0].Changes["name"].New) != `"b"` {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := c.Audit(t.Context(), AuditQuery{}); err != nil {
		t.Error(err)
	}
	want := []string{"/v1/audit?actor=k7&alias=a&cursor=9&limit=1&object=o&operation=updateApp&since=2026-11-21T09%3A30%3A00.5Z&until=2026-11-21T10%3A30%3A00.5Z", "/v1/audit?"}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}
