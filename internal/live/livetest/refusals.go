package livetest

import (
	"errors"
	"net/http"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// refusedAtOnce expects a refusal by the response head, or where there is none
// by a close code.
func (e *env) refusedAtOnce(d Dial, status, code int) {
	e.Helper()
	if e.path() != "" {
		code = 0
	}
	e.refused(d, status, code)
}

// refused expects a refusal, either by the response head or by a close code.
func (e *env) refused(d Dial, status, code int) {
	e.Helper()
	c, err := e.tryDial(d)
	if r := (*Refused)(nil); errors.As(err, &r) {
		if r.Status != status {
			e.Fatalf("refused with %d, want %d", r.Status, status)
		}
		return
	}
	if err != nil {
		e.Fatal(err)
	}
	if code == 0 {
		e.Fatalf("not refused, want status %d", status)
	}
	c.expectClosed(code)
}

func badToken(e *env) {
	e.refused(Dial{Token: "token-of-nobody"}, http.StatusUnauthorized, live.CloseBadToken)
	if n := e.hub.Count(App); n != 0 {
		e.Fatalf("%d sessions are open", n)
	}
}

func noToken(e *env) {
	began := time.Now()
	e.refused(Dial{}, http.StatusUnauthorized, live.CloseBadToken)
	if took := time.Since(began); took > herald.HelloTimeout+2*time.Second {
		e.Fatalf("refused after %s", took)
	}
}

func badOrigin(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	e.refused(Dial{Token: m.Token, Origin: "https://other.example"}, http.StatusForbidden, 0)
	e.open(Dial{Token: m.Token}) // no browser, no origin
}

func tooMany(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	e.refusedAtOnce(Dial{Token: m.Token}, http.StatusTooManyRequests, live.CloseTooMany)
	_ = c.conn.Close()
	synctest.Wait()
	e.connect(m)
}
