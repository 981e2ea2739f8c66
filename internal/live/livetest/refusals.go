package livetest

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// refusedAtOnce expects a refusal by the response head, or where there is none
// by a close code.
func (e *env) refusedAtOnce(d Dial, status, code int) {
	e.Helper()
	if e.harness.Packets && e.path() == "" {
		// Before its first packet nobody knows how to tell a client anything.
		if c, err := e.tryDial(d); err == nil {
			if f, err := c.Next(); err == nil {
				e.Fatalf("not refused: %+v", f)
			}
		}
		return
	}
	if e.path() != "" {
		code = 0
	}
	e.refused(d, status, code)
}

// refused expects a refusal: by the response head, by the answer of a client
// that polls, or by a close code.
func (e *env) refused(d Dial, status, code int) {
	e.Helper()
	c, err := e.tryDial(d)
	if err == nil && e.harness.Polls {
		_, err = c.Next()
	}
	switch {
	case err != nil:
		e.refusal(err, status)
	case code == 0 || e.harness.Polls:
		e.Fatalf("not refused, want status %d", status)
	default:
		c.expectClosed(code)
	}
	synctest.Wait()
}

// refusal expects an error to be a refusal.
func (e *env) refusal(err error, status int) {
	e.Helper()
	r := (*Refused)(nil)
	if !errors.As(err, &r) {
		e.Fatal(err)
	}
	e.checkRefusal(r, status)
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
	c.hangUp()
	e.connect(m)
}

// refusesDraining: who comes while the server goes is told to come back later.
func refusesDraining(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	if err := e.hub.Drain(e.Context()); err != nil {
		e.Fatal(err)
	}
	e.refusedAtOnce(Dial{Token: m.Token}, http.StatusServiceUnavailable, live.CloseDraining)
}

// wrongMethod: the address is for GET, and says so.
func wrongMethod(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		conn, err := e.net.dial()
		if err != nil {
			e.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: herald.test\r\nAuthorization: Bearer %s\r\n\r\n", method, e.path(), m.Token); err != nil {
			e.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			e.Fatal(err)
		}
		refusal, r := ReadRefusal(resp), (*Refused)(nil)
		_ = resp.Body.Close()
		if errors.As(refusal, &r); r.Status != http.StatusMethodNotAllowed || r.Code == "" || !strings.Contains(resp.Header.Get("Allow"), http.MethodGet) {
			e.Fatalf("%s is answered with %+v and %v", method, r, resp.Header)
		}
	}
	if e.world.SeenCount() != 0 {
		e.Fatal("a session was opened")
	}
}
