package livetest

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge/proxytest"
	"github.com/herald-push/herald/internal/live"
)

// behindNet is a network whose clients come through a proxy.
type behindNet struct {
	socketNet
	front proxytest.Front
}

func (b behindNet) dial() (net.Conn, error) { return limited(b.front.Dial(nil)) }

// behindCells are what must hold through a proxy, which ends TLS, keeps the
// connection of the client and that to the server apart, and may hold bytes
// back: everything that a client sees of its session.
func behindCells() []socketCell {
	one := shortTimes
	one.MaxConnections = 1
	// The answers of a busy client may be late.
	patient := live.Options{Heartbeat: time.Second, Timeout: time.Minute}
	return []socketCell{
		{cell: cell{name: "a welcome first", run: welcomes, needs: []need{lasts}}},
		{cell: cell{name: "live in order", run: liveInOrder}},
		{cell: cell{name: "replay and live joined", run: interleaves}},
		{cell: cell{name: "large messages, whole", run: largeBehind}},
		{cell: cell{name: "a bad token", run: badTokenBehind}},
		{cell: cell{name: "each acknowledged", run: acknowledgesBehind, needs: []need{sends}}},
		{cell: cell{name: "a cursor resumes", run: resumesBehind}},
		{cell: cell{name: "signs of life", run: aliveBehind, opts: patient, needs: []need{lasts}}},
		{cell: cell{name: "a client that is silent", run: silentOverSockets, opts: one, needs: []need{speaks}}},
		{cell: cell{name: "everybody is sent away", run: drainsBehind}},
	}
}

// RunBehindNginx holds a transport to what clients see of it through nginx, with
// the configuration that is shipped. Its server has the driver of the product.
func RunBehindNginx(t *testing.T, h Harness) {
	s, drivers := shapeOf(h), Drivers()
	for _, c := range behindCells() {
		t.Run(c.name, func(t *testing.T) {
			if why := c.absent(s); why != "" {
				t.Log("does not apply: " + why)
				return
			}
			sockets := newSocketNet(t)
			through := behindNet{sockets, proxytest.Nginx(t, sockets.Addr().String())}
			c.run(newEnvFor(t, h, drivers[len(drivers)-1], c.opts, through, c.head))
		})
	}
}

// gone ends a connection, and waits until the server has heard of it from the
// proxy.
func (c *client) gone() {
	c.e.Helper()
	_ = c.conn.Close()
	c.e.until("the session has ended", func() bool { return c.e.hub.Count(App) == 0 })
}

// largeBehind: more than a buffer of the proxy holds.
func largeBehind(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	body := strings.Repeat("0123456789abcdef", 30<<10/16)
	for range 4 {
		id := e.push(Send{Content: Text(body), To: []Member{m}})
		if f := c.expect("message"); f.ID != id || f.Notification.Title != body {
			e.Fatalf("message %s came as %s with %d bytes", id, f.ID, len(f.Notification.Title))
		}
	}
}

func badTokenBehind(e *env) {
	d := Dial{Token: "token-of-nobody"}
	c, err := e.tryDial(d)
	if err == nil && e.harness.Polls {
		_, err = c.Next()
	}
	if err == nil {
		c.expectClosed(live.CloseBadToken)
		return
	}
	e.refusal(err, http.StatusUnauthorized)
}

// acknowledgesBehind: what the client says comes to the server.
func acknowledgesBehind(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	ids := e.pushMany(m, 3)
	c.expectMessages(ids...)
	c.send(`{"type":"ack","ids":["%s","%s"]}`, ids[0], ids[2])
	c.send(`{"type":"ping"}`)
	c.expect("pong")
	for i, want := range []bool{true, false, true} {
		if e.world.Received(ids[i], m) != want {
			e.Fatalf("message %d received: %v, want %v", i, !want, want)
		}
	}
	c.gone()
	e.connect(m).expectMessages(ids[1])
}

func resumesBehind(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 3)
	c := e.dial(Dial{Token: m.Token})
	if !e.harness.Polls {
		c.expect("welcome")
	}
	c.expectMessages(ids[0])
	cursor := c.expect("message").Cursor
	c.gone()
	again := e.dial(Dial{Token: m.Token, Cursor: cursor})
	if !e.harness.Polls {
		again.expect("welcome")
	}
	again.expectMessages(ids[2])
	if !e.world.Received(ids[0], m) || !e.world.Received(ids[1], m) || e.world.Received(ids[2], m) {
		e.Fatal("the cursor did not acknowledge exactly what was at or before it")
	}
}

// aliveBehind: heartbeats are not held back.
func aliveBehind(e *env) {
	c := e.connect(e.world.Join(herald.PlatformWeb))
	if f, err := c.Next(); err != nil || f.Type != "ping" {
		e.Fatalf("got %+v, %v, want a ping", f, err)
	}
}

// drainsBehind: the goodbye comes through, and then the end.
func drainsBehind(e *env) {
	c := e.connect(e.world.Join(herald.PlatformWeb))
	done := make(chan error, 1)
	go func() { done <- e.hub.Drain(e.Context()) }()
	if !e.harness.Polls { // whose answer has both
		if f := c.expect("reconnect"); f.AfterMS < 1000 || f.AfterMS > 30000 {
			e.Fatalf("come back after %d ms", f.AfterMS)
		}
	}
	c.expectClosed(live.CloseDraining)
	_ = c.conn.Close()
	if err := <-done; err != nil {
		e.Fatal(err)
	}
}
