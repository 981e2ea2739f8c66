package livetest

import (
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func replaysAgain(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	ids := e.pushMany(m, 3)
	c.expectMessages(ids...)
	c.hangUp()
	e.connect(m).expectMessages(e.left(m, ids...)...)
}

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
	c.hangUp()
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

// acknowledgesTwice: the second time changes nothing and is no error.
func acknowledgesTwice(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 2)
	c := e.connect(m)
	cursor := c.expect("message").Cursor
	c.expectMessages(ids[1])
	for range 2 {
		if e.harness.TwoWay {
			c.send(`{"type":"ack","ids":["%s"]}`, ids[0])
			c.send(`{"type":"ping"}`)
			c.expect("pong")
			continue
		}
		c.hangUp()
		c = e.open(Dial{Token: m.Token, Cursor: cursor})
		c.expectMessages(ids[1])
	}
	c.hangUp()
	if !e.world.Received(ids[0], m) || e.world.Received(ids[1], m) {
		e.Fatal("not exactly the first message counts as received")
	}
	e.connect(m).expectMessages(ids[1])
}

// foreignIDs: what is not the device's own is no business of its session, and
// tells it nothing.
func foreignIDs(e *env) {
	m, other := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	foreign := e.push(Send{Content: Text("not yours"), To: []Member{other}})
	mine := e.push(Send{Content: Text("yours"), To: []Member{m}})
	c := e.connect(m)
	c.expectMessages(mine)
	c.send(`{"type":"ack","ids":["%s","7","%s"]}`, foreign, mine)
	c.send(`{"type":"event","event":"clicked","ids":["%s"]}`, foreign)
	c.send(`{"type":"ping"}`)
	c.expect("pong")
	synctest.Wait()
	if e.world.Received(foreign, other) || e.world.Received(foreign, m) || !e.world.Received(mine, m) {
		e.Fatal("not exactly the device's own message counts as received")
	}
	e.connect(other).expectMessages(foreign)
}

// receiptsOverHTTP: what came over a session may be acknowledged by another way.
func receiptsOverHTTP(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 3)
	c := e.connect(m)
	c.expectMessages(ids...)
	synctest.Wait()
	e.world.Report(App, record.Event{Msg: ids[1], State: herald.StateDisplayed, Set: sets.New(m.Ord), Time: time.Now(), Via: "receipt"})
	c.hangUp()
	e.connect(m).expectMessages(ids[0], ids[2])
}

func resumes(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	ids := e.pushMany(m, 3)
	c.expectMessages(ids[0])
	cursor := c.expect("message").Cursor
	c.hangUp()
	e.open(Dial{Token: m.Token, Cursor: cursor}).expectMessages(ids[2])
	if !e.world.Received(ids[0], m) || !e.world.Received(ids[1], m) || e.world.Received(ids[2], m) {
		e.Fatal("the cursor did not acknowledge exactly what was at or before it")
	}
}

// oldCursor: a cursor never takes back what a newer one has acknowledged.
func oldCursor(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 3)
	c := e.connect(m)
	older := c.expect("message").Cursor
	newer := c.expect("message").Cursor
	c.expectMessages(ids[2])
	for _, cursor := range []string{newer, older} {
		c.hangUp()
		c = e.open(Dial{Token: m.Token, Cursor: cursor})
		c.expectMessages(ids[2])
	}
	if !e.world.Received(ids[1], m) || e.world.Received(ids[2], m) {
		e.Fatal("not exactly what the newer cursor said counts as received")
	}
}

// badCursor makes a case of a cursor that says nothing: it costs duplicates.
func badCursor(make func(*World) string) func(*env) {
	return func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		ids := e.pushMany(m, 2)
		for range 2 {
			c := e.open(Dial{Token: m.Token, Cursor: make(e.world)})
			c.expectMessages(ids...)
			c.hangUp()
		}
		if e.world.Received(ids[0], m) {
			e.Fatal("it acknowledged a message")
		}
	}
}
