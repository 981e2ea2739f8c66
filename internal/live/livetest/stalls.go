package livetest

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// trickle writes bytes one by one, as long as the connection takes them.
func trickle(conn io.Writer, b []byte) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		next := time.NewTicker(50 * time.Millisecond)
		defer next.Stop()
		for i := range b {
			if _, err := conn.Write(b[i : i+1]); err != nil {
				return
			}
			select {
			case <-done:
				return
			case <-next.C:
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// dribblesHead: a request head that never ends is not waited for.
func dribblesHead(e *env) {
	conn := e.socket()
	stop := trickle(conn, []byte("GET "+e.path()+" HTTP/1.1\r\nHost: herald.test\r\nX-Slow: "+strings.Repeat("very ", maxHead/8)))
	e.ended(conn, "with a head that does not end")
	stop()
	_ = conn.Close()
	e.empties()
	if e.world.SeenCount() != 0 {
		e.Fatal("a session was opened")
	}
}

// dribblesHello: nor is a first frame.
func dribblesHello(e *env) {
	c := e.dial(Dial{})
	stop := trickle(c.conn, e.harness.Begin)
	c.expectClosed(live.CloseBadToken)
	stop()
	_ = c.conn.Close()
	e.takesAnother()
}

// takesAnother waits until the only place that the server has is free again.
func (e *env) takesAnother() {
	e.Helper()
	m := e.world.Join(herald.PlatformWeb)
	e.until("there is a place for another client", func() bool {
		c, err := e.tryDial(Dial{Token: m.Token})
		if err != nil {
			return false
		}
		f, err := c.Next()
		_ = c.conn.Close()
		return err == nil && f.Type == "welcome"
	})
}

// silentOverSockets: a client that neither reads nor writes nor goes. The
// server hears nothing, says so, and frees the place, whether the client takes
// note of it or not.
func silentOverSockets(e *env) {
	e.connect(e.world.Join(herald.PlatformWeb))
	e.until("the session has ended", func() bool { return e.hub.Count(App) == 0 })
	e.takesAnother()
}

// vanishes: the client's machine is gone without a word. The heartbeat finds
// that out, also where clients cannot answer it.
func vanishes(e *env) {
	c := e.connect(e.world.Join(herald.PlatformWeb))
	if why := vanish(asTCP(c.conn)); why != "" {
		e.Skip("unavailable: " + why)
	}
	e.until("the session has ended", func() bool { return e.hub.Count(App) == 0 })
	e.takesAnother()
}

// mayFlush is how long a connection that is being closed may take to write what
// is queued. What takes less from beginning to end leaves the server no excuse.
const mayFlush = 5 * time.Second

// zeroWindow: a client shuts its window, by not reading. What is sent to it is
// bounded; then the server gives it up, and says why to who begins to read in
// time. What came until then has no gap.
func zeroWindow(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	conn := e.socket()
	c, err := e.over(conn, Dial{Token: m.Token})
	if err != nil {
		e.Fatal(err)
	}
	c.expect("welcome")
	began := time.Now()
	gap, hush := c.chatter()
	// The kernel's share is some MiB; 16 would be without a bound.
	const messages = 1024
	noise := make([]byte, 12<<10) // what compression does not make small
	ids := make([]herald.MessageID, messages)
	for i := range ids {
		_, _ = rand.Read(noise)
		ids[i] = e.push(Send{Content: Text(base64.StdEncoding.EncodeToString(noise)), To: []Member{m}})
	}
	e.until("the session has ended", func() bool { return e.hub.Count(App) == 0 })
	hush()
	if e.world.Sent(ids[messages-1], m) {
		e.Fatalf("%d messages of 16 KiB were queued for a client that does not read", messages)
	}
	for n := 0; ; {
		f, err := c.Next()
		if err == nil && f.Type == "ping" {
			continue
		}
		if err == nil {
			if n >= len(ids) || f.ID != ids[n] {
				e.Fatalf("message %d is %s", n, f.ID)
			}
			n++
			continue
		}
		e.checkSlow(err, time.Since(began), gap.Load())
		break
	}
	_ = conn.Close()
	e.empties()
}

// chatter sends pongs, so that the client is not silent, until it is told to
// hush. gap is the longest time between two of them.
func (c *client) chatter() (gap *atomic.Int64, hush func()) {
	gap = &atomic.Int64{}
	if !c.e.harness.TwoWay {
		return gap, func() {}
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-done:
				return
			case <-again.C:
			}
			gap.Store(max(gap.Load(), int64(time.Since(last))))
			if c.Send(`{"type":"pong"}`) != nil {
				return
			}
		}
	})
	return gap, func() { close(done); wg.Wait() }
}

// checkSlow wants a close with 4010. On a machine so busy that this client was
// silent for long, or came too late to read the reason, the server may have
// done otherwise.
func (e *env) checkSlow(err error, took time.Duration, gap int64) {
	e.Helper()
	closed := (*Closed)(nil)
	switch {
	case errors.As(err, &closed) && closed.Code == live.CloseSlow:
	case errors.As(err, &closed) && closed.Code == live.CloseHeartbeat && gap > int64(time.Second):
	case closed == nil && !errors.Is(err, os.ErrDeadlineExceeded) && took >= mayFlush:
	default:
		e.Fatal(fmt.Errorf("the connection ended %s after the window was shut, with pauses of %s: %w, want a close with %d", took, time.Duration(gap), err, live.CloseSlow))
	}
}
