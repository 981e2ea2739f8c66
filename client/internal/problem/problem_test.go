package problem

import (
	"net/http"
	"testing"
	"time"

	"github.com/herald-push/herald"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-5": 0, "x": 0, "99999999999": 0,
		"Sat, 21 Nov 2026 09:00:30 GMT": 30 * time.Second, "Sat, 21 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := RetryAfter(v, now); got != want {
			t.Errorf("%q: got %s, want %s", v, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(401, `{"code":"unauthorized","detail":"d","remedy":"r"}`, "5")
	f.Add(502, "<html>bad gateway</html>", "")
	f.Add(400, `{"title":"T","code":7}`, "Sat, 21 Nov 2026 09:00:30 GMT")
	f.Fuzz(func(t *testing.T, status int, text, after string) {
		e := Read(&http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}}, []byte(text), time.Now())
		if e.Code == "" || e.Message == "" || e.RetryAfter < 0 {
			t.Errorf("%+v", e)
		}
		if status == http.StatusUnauthorized && text == "" && e.Code != herald.CodeUnauthorized {
			t.Errorf("%+v", e)
		}
	})
}
