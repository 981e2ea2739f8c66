package livetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// client is a Client whose failures end the test.
type client struct {
	Client
	e    *env
	conn net.Conn
}

// tryDial connects without expecting success.
func (e *env) tryDial(d Dial) (*client, error) {
	e.Helper()
	conn, err := e.net.dial()
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = conn.Close() })
	d.Conn, d.Path, d.Heartbeat = conn, e.path(), e.heartbeat
	c, err := e.harness.Dial(context.Background(), d)
	return &client{c, e, conn}, err
}

// path is where the transport is mounted; "" if it has a port of its own.
func (e *env) path() string {
	if end, ok := e.transport.(live.Endpoint); ok {
		return end.Path()
	}
	return ""
}

func (e *env) dial(d Dial) *client {
	e.Helper()
	c, err := e.tryDial(d)
	if err != nil {
		e.Fatalf("dialling: %v", err)
	}
	return c
}

// connect opens a session and takes its welcome, if it has one.
func (e *env) connect(m Member) *client {
	e.Helper()
	return e.open(Dial{Token: m.Token})
}

func (e *env) open(d Dial) *client {
	e.Helper()
	began := e.hub.Count(App)
	c := e.dial(d)
	switch {
	case !e.harness.Polls:
		c.expect("welcome")
	case e.inMemory():
		synctest.Wait()
	default:
		e.until("the request is held", func() bool { return e.hub.Count(App) > began })
	}
	return c
}

// present sees to it that clients which have read all that came have a session:
// a client that polls asks again, one after the other.
func (e *env) present(clients ...*client) {
	e.Helper()
	for _, c := range clients {
		if a, ok := c.Client.(Asker); ok {
			if err := a.Ask(); err != nil {
				e.Fatalf("asking again: %v", err)
			}
		}
		synctest.Wait()
	}
}

// left gives those of the messages that a device was sent which come again: all
// that it has not acknowledged. Without a word from it that is each of them;
// one that polls acknowledges by asking what an earlier answer had.
func (e *env) left(m Member, ids ...herald.MessageID) []herald.MessageID {
	e.Helper()
	done := 0
	for i, id := range ids {
		if !e.world.Received(id, m) {
			continue
		}
		if !e.harness.Polls || i != done {
			e.Fatalf("message %d of %d counts as received", i+1, len(ids))
		}
		done++
	}
	return ids[done:]
}

// hangUp cuts the connection, and waits until the server has noticed.
func (c *client) hangUp() {
	_ = c.conn.Close()
	synctest.Wait()
}

// next gives the next frame that is not a heartbeat.
func (c *client) next() Frame {
	c.e.Helper()
	for {
		f, err := c.Next()
		if err != nil {
			c.e.Fatalf("waiting for a frame: %v", err)
		}
		if f.Type != "ping" {
			return f
		}
	}
}

func (c *client) expect(kind string) Frame {
	c.e.Helper()
	f := c.next()
	if f.Type != kind {
		c.e.Fatalf("got %+v, want a frame of type %s", f, kind)
	}
	return f
}

// expectMessages takes messages in exactly this order.
func (c *client) expectMessages(ids ...herald.MessageID) {
	c.e.Helper()
	for i, id := range ids {
		if f := c.expect("message"); f.ID != id {
			c.e.Fatalf("message %d of %d is %s, want %s", i+1, len(ids), f.ID, id)
		}
	}
}

// statusOf is how a client that polls is told a close code. Why it was too slow
// it cannot be told, because its answer is on its way.
var statusOf = map[int]int{
	live.CloseBadToken: http.StatusUnauthorized, live.CloseForbidden: http.StatusForbidden,
	live.CloseReplaced: http.StatusTooManyRequests, live.CloseTooMany: http.StatusTooManyRequests,
	live.CloseDraining: http.StatusServiceUnavailable,
}

// expectClosed reads to the end, which must have this reason.
func (c *client) expectClosed(code int) {
	c.e.Helper()
	_, err := c.Next()
	for err == nil {
		_, err = c.Next()
	}
	var closed *Closed
	var refused *Refused
	switch status := statusOf[code]; {
	case !c.e.harness.Polls && (!errors.As(err, &closed) || closed.Code != code):
		c.e.Fatalf("the connection ended with %v, want a close with %d", err, code)
	case !c.e.harness.Polls:
	case status == 0 && (errors.As(err, &refused) || errors.Is(err, os.ErrDeadlineExceeded)):
		c.e.Fatalf("the request ended with %v, want a cut", err)
	case status != 0 && !errors.As(err, &refused):
		c.e.Fatalf("the request ended with %v, want status %d", err, status)
	case status != 0:
		c.e.checkRefusal(refused, status)
	}
}

// checkRefusal wants a status, and a time to wait where another try helps.
func (e *env) checkRefusal(r *Refused, status int) {
	e.Helper()
	again := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if r.Status != status || again && (r.RetryAfter < 1 || r.RetryAfter > 30) || r.Code == "" {
		e.Fatalf("refused with %+v, want status %d", r, status)
	}
}

func (c *client) send(format string, args ...any) {
	c.e.Helper()
	if err := c.Send(fmt.Sprintf(format, args...)); err != nil {
		c.e.Fatalf("sending: %v", err)
	}
}

// deliver does what dispatch does with a release.
func (e *env) deliver(h record.Handover) *sets.Set {
	e.Helper()
	took, err := e.hub.Deliver(context.Background(), h)
	if err != nil {
		e.Fatal(err)
	}
	return took
}

// until waits for a condition, for at least a minute of the clock.
func (e *env) until(what string, met func() bool) {
	e.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for range 60_000 {
		if met() {
			return
		}
		<-again.C
	}
	e.Fatalf("waited in vain until %s", what)
}

// reported gives what was reported of a message, which is a moment after it has
// gone out.
func (e *env) reported(id herald.MessageID) (events []record.Event) {
	e.Helper()
	e.until("something is reported of message "+id.String(), func() bool {
		events = e.world.Events(id)
		return len(events) > 0
	})
	return events
}

// push accepts a message and delivers it.
func (e *env) push(s Send) herald.MessageID {
	e.Helper()
	h := e.world.Accept(s)
	e.deliver(h)
	return h.Msg.ID
}

// pushMany pushes n messages to one device.
func (e *env) pushMany(m Member, n int) []herald.MessageID {
	e.Helper()
	ids := make([]herald.MessageID, n)
	for i := range ids {
		ids[i] = e.push(Send{Content: Text(fmt.Sprint("message ", i)), To: []Member{m}})
	}
	return ids
}
