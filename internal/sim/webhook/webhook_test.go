package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/sim/webhook"
	"github.com/herald-push/herald/internal/wire/signed"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestReceiver(t *testing.T) {
	now := time.Now()
	r := webhook.New(webhook.Config{Secret: secret, Header: http.Header{"X-Own": {"1"}}, Now: func() time.Time { return now }})
	r.Remove("gone")
	key, err := signed.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	good := func(id, body string) http.Header {
		h := signed.Headers(id, now, []byte(body), key)
		h.Set("X-Own", "1")
		return h
	}
	const hi = `{"type":"message","id":"1","to":"a"}`
	old := signed.Headers("1", now.Add(-6*time.Minute), []byte(hi), key)
	old.Set("X-Own", "1")
	without := good("1", hi)
	without.Del("X-Own")
	for name, tt := range map[string]struct {
		method string
		header http.Header
		body   string
		want   int
	}{
		"another body": {"POST", good("1", hi), hi + " ", 401}, "old": {"POST", old, hi, 401}, "no header": {"POST", without, hi, 401},
		"no signature": {"POST", http.Header{"X-Own": {"1"}}, hi, 401}, "no ID": {"POST", good("", hi), hi, 401},
		"GET": {"GET", good("1", hi), hi, 405}, "not JSON": {"POST", good("1", "{"), "{", 400}, "another type": {"POST", good("1", `{"type":"x"}`), `{"type":"x"}`, 400},
		"gone":   {"POST", good("2", `{"type":"message","to":"gone"}`), `{"type":"message","to":"gone"}`, 410},
		"verify": {"POST", good("3", `{"type":"verify"}`), `{"type":"verify"}`, 204}, "good": {"POST", good("4", hi), hi, 204},
	} {
		q := httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body))
		q.Header = tt.header
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, q)
		if rec.Code != tt.want {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	q := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(hi))
	q.Header = good("4", hi)
	r.ServeHTTP(httptest.NewRecorder(), q)
	if got := r.Taken(); len(got) != 1 || got[0].ID != "4" || got[0].To != "a" || r.Copies() != 1 || len(r.Taken()) != 0 {
		t.Errorf("taken %+v, %d copies", got, r.Copies())
	}
	nobody := webhook.New(webhook.Config{Secret: "x"})
	rec := httptest.NewRecorder()
	q = httptest.NewRequest(http.MethodPost, "/", strings.NewReader(hi))
	q.Header = signed.Headers("4", time.Now(), []byte(hi), nil)
	if nobody.ServeHTTP(rec, q); rec.Code != 401 {
		t.Errorf("without a key: %d", rec.Code)
	}
}
