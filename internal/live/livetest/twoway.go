package livetest

import (
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
)

func acknowledges(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	ids := e.pushMany(m, 4)
	c.expectMessages(ids...)
	c.send(`{"type":"ack","ids":["%s","%s"]}`, ids[0], ids[2])
	c.send(`{"type":"event","event":"clicked","ids":["%s"]}`, ids[3])
	synctest.Wait()
	for i, want := range []bool{true, false, true, true} {
		if e.world.Received(ids[i], m) != want {
			e.Fatalf("message %d received: %v, want %v", i, !want, want)
		}
	}
	ev := e.world.Events(ids[3])
	if last := ev[len(ev)-1]; last.State != herald.StateClicked || last.Via != "receipt" {
		e.Fatalf("the last event is %+v", last)
	}
	c.send(`{"type":"event","event":"withdrawn","ids":["%s"]}`, ids[2])
	synctest.Wait()
	ev = e.world.Events(ids[2])
	if last := ev[len(ev)-1]; last.State != record.ToldState {
		e.Fatalf("a notice that was acknowledged is reported as %+v", last)
	}
	_ = c.conn.Close()
	synctest.Wait()
	e.connect(m).expectMessages(ids[1])
}

func acknowledgesUpto(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.open(Dial{Token: m.Token, Ack: live.AckUpto})
	ids := e.pushMany(m, 3)
	c.expectMessages(ids[0])
	cursor := c.expect("message").Cursor
	c.expectMessages(ids[2])
	c.send(`{"type":"ack","upto":%q}`, cursor)
	c.send(`{"type":"ack","upto":"damaged"}`) // ignored
	c.send(`{"type":"ping"}`)
	c.expect("pong")
	synctest.Wait()
	if !e.world.Received(ids[0], m) || !e.world.Received(ids[1], m) || e.world.Received(ids[2], m) {
		e.Fatal("the cursor did not acknowledge exactly what was at or before it")
	}
}

func opensByHello(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	id := e.push(Send{Content: Text("waits"), To: []Member{m}})
	c := e.dial(Dial{})
	c.send(`{"type":"hello","token":%q}`, m.Token)
	// Said at once, before the welcome can have come.
	c.send(`{"type":"ack","ids":["%s"]}`, id)
	c.expect("welcome")
	c.expectMessages(id)
	c.send(`{"type":"hello","token":%q}`, m.Token)
	if f := c.expect("error"); f.Field != "type" {
		e.Fatalf("got %+v", f)
	}
	synctest.Wait()
	if !e.world.Received(id, m) {
		e.Fatal("the early acknowledgement was lost")
	}
	for _, early := range []string{`{"type":"ping"}`, `{"type":"ack","ids":["1"]}`, `{"type":"nonsense"}`} {
		c := e.dial(Dial{})
		c.send("%s", early)
		c.expectClosed(live.CloseProtocol)
	}
	c = e.dial(Dial{})
	c.send(`{"type":"hello","token":"token-of-nobody"}`)
	c.expectClosed(live.CloseBadToken)
}

// dribbles sends a byte each second instead of a hello: that is no reason to
// wait for it any longer.
func dribbles(e *env) {
	c := e.dial(Dial{})
	began := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, b := range e.harness.Begin[:20] {
			if _, err := c.conn.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}()
	c.expectClosed(live.CloseBadToken)
	if took := time.Since(began); took < herald.HelloTimeout || took > herald.HelloTimeout+2*time.Second {
		e.Fatalf("closed after %s", took)
	}
	_ = c.conn.Close()
	<-done
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
