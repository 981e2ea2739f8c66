package livetest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

// garbage ends the connection that it comes over, and no other.
func garbage(e *env, g Garbage) {
	if len(g.Bytes) == 0 {
		e.Fatalf("the harness has no garbage called %q", g.Name)
	}
	stays, m := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	calm := e.connect(stays)
	c := e.connect(m)
	go func() { _, _ = c.conn.Write(g.Bytes) }() // may be cut in the middle
	if e.harness.Polls {
		synctest.Wait()
		e.push(Send{Content: Text("an answer, after which it is read"), To: []Member{m}})
	}
	_, err := c.Next()
	for err == nil {
		_, err = c.Next()
	}
	closed := (*Closed)(nil)
	if errors.As(err, &closed); errors.Is(err, os.ErrDeadlineExceeded) || (closed == nil) != (g.Code == 0) || closed != nil && closed.Code != g.Code {
		e.Fatalf("the connection ended with %v, want a close with %d", err, g.Code)
	}
	c.hangUp()
	if n := e.hub.Count(App); n != 1 {
		e.Fatalf("%d sessions are open, want 1", n)
	}
	calm.expectMessages(e.push(Send{Content: Text("calm"), To: []Member{stays}}))
}

// halfFrame: what began and does not end is silence, and keeps the session no
// longer than silence would.
func halfFrame(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	began := time.Now()
	if _, err := c.conn.Write(e.harness.Begin[:20]); err != nil {
		e.Fatal(err)
	}
	c.expectMessages(e.push(Send{Content: Text("still here"), To: []Member{m}}))
	c.expectClosed(live.CloseHeartbeat)
	if took := time.Since(began); took < 74*time.Second || took > 78*time.Second {
		e.Fatalf("closed after %s", took)
	}
}

func refusesFrames(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	many := strings.Repeat(`"1",`, herald.MaxIDsPerCall) + `"1"`
	id := e.push(Send{Content: Text("here"), To: []Member{m}})
	c.expectMessages(id)
	for _, r := range []struct{ frame, field string }{
		{`{"type":"ack","ids":["` + id.String() + `"],"id":"1"}`, "id"},
		{`{"type":"ack","IDS":["1"]}`, "IDS"},
		{`{"type":"ack","ids":["` + id.String() + `"],"ids":["1"]}`, "ids"},
		{`{"type":"ack"}`, "ids"},
		{`{"type":"ack","ids":[]}`, "ids"},
		{`{"type":"ack","ids":[1]}`, "ids"},
		{`{"type":"ack","ids":["-1"]}`, "ids"},
		{`{"type":"ack","ids":[` + many + `]}`, "ids"},
		{`{"type":"ack","ids":["1"],"upto":"x"}`, "ids"},
		{`{"type":"ack","upto":"x"}`, "upto"}, // not asked for
		{`{"type":"event","event":"seen","ids":["1"]}`, "event"},
		{`{"type":"event","event":"displayed"}`, "ids"},
		{`{"type":"shout"}`, "type"},
		{`{}`, "type"},
		{`{"type":7}`, "type"},
		{`{"type":"ping","text":"x"}`, "text"},
	} {
		c.send("%s", r.frame)
		if f := c.expect("error"); f.Code != "invalid_request" || f.Field != r.field || f.Detail == "" || f.Remedy == "" {
			e.Fatalf("%.60s is answered with %+v, want an error about %s", r.frame, f, r.field)
		}
	}
	if e.world.Received(id, m) {
		e.Fatal("a refused frame was obeyed")
	}
	c.send(`{"type":"ping"}`)
	c.expect("pong")
}

func fatalFrames(e *env) {
	for _, fatal := range []string{"", "[]", "null", `{"type":"ping"} {}`, `{"type":"ping"`, fmt.Sprintf(`{"type":"ack","upto":%q}`, strings.Repeat("x", herald.MaxFrameBytes-40))} {
		c := e.connect(e.world.Join(herald.PlatformWeb))
		c.send("%s", fatal)
		if len(fatal) > herald.MaxFrameBytes-60 {
			c.expect("error") // large, and still a frame
			continue
		}
		c.expectClosed(live.CloseProtocol)
	}
}

func opensByHello(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	id := e.push(Send{Content: Text("waits"), To: []Member{m}})
	gone := e.push(Send{Content: Text("does not wait"), To: []Member{m}, Volatile: true})
	c := e.dial(Dial{})
	c.send(`{"type":"hello","token":%q}`, m.Token)
	// Said at once, before the welcome can have come; not of what waits, which
	// would not be sent if this was read first.
	c.send(`{"type":"ack","ids":["%s"]}`, gone)
	c.expect("welcome")
	c.expectMessages(id)
	c.send(`{"type":"hello","token":%q}`, m.Token)
	if f := c.expect("error"); f.Field != "type" {
		e.Fatalf("got %+v", f)
	}
	synctest.Wait()
	if !e.world.Received(gone, m) {
		e.Fatal("the early acknowledgement was lost")
	}
}

func beforeHello(e *env) {
	for _, early := range []string{`{"type":"ping"}`, `{"type":"ack","ids":["1"]}`, `{"type":"nonsense"}`, `"hello"`} {
		c := e.dial(Dial{})
		c.send("%s", early)
		c.expectClosed(live.CloseProtocol)
	}
	c := e.dial(Dial{})
	c.send(`{"type":"hello","token":"token-of-nobody"}`)
	c.expectClosed(live.CloseBadToken)
}

// slowHello sends a byte each second instead of a hello: that is no reason to
// wait for it any longer.
func slowHello(e *env) {
	c := e.dial(Dial{})
	began := time.Now()
	done := dribble(c.conn, e.harness.Begin[:20])
	c.expectClosed(live.CloseBadToken)
	if took := time.Since(began); took < herald.HelloTimeout || took > herald.HelloTimeout+2*time.Second {
		e.Fatalf("closed after %s", took)
	}
	_ = c.conn.Close()
	<-done
}

// dribble writes a byte each second until it is through or cut.
func dribble(conn net.Conn, bytes []byte) (done <-chan struct{}) {
	end := make(chan struct{})
	go func() {
		defer close(end)
		for i := range bytes {
			if _, err := conn.Write(bytes[i : i+1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	return end
}

// slowHead does so with a request head. It is no session yet, and no connection
// that counts.
func slowHead(e *env) {
	conn, err := e.net.dial()
	if err != nil {
		e.Fatal(err)
	}
	began := time.Now()
	done := dribble(conn, []byte("GET "+e.path()+" HTTP/1.1\r\nHost: herald.test\r\nX-Slow: very\r\n\r\n"))
	// The server may say why, and must not wait for more.
	if _, err := io.Copy(io.Discard, conn); err != nil {
		e.Fatal(err)
	}
	if took := time.Since(began); took < headTimeout || took > headTimeout+2*time.Second {
		e.Fatalf("closed after %s", took)
	}
	_ = conn.Close()
	<-done
	if n := e.hub.Count(App); n != 0 || e.world.SeenCount() != 0 {
		e.Fatalf("%d sessions are open", n)
	}
}
