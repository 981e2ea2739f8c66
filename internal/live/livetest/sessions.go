package livetest

import (
	"fmt"
	"strings"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
)

func slowConsumer(e *env) {
	time.Sleep(time.Hour) // what is measured from the start of the server is wrong here
	slow, quick := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	c, other := e.connect(slow), e.connect(quick)
	synctest.Wait()
	var ids []herald.MessageID
	for i := range 200 {
		ids = append(ids, e.push(Send{Content: Text(fmt.Sprint(i, strings.Repeat("x", 200))), To: []Member{slow, quick}}))
		other.expectMessages(ids[i]) // is not held up
		if i%50 == 49 {
			c.expectMessages(ids[i/50*10 : i/50*10+10]...) // reads a little
		}
		synctest.Wait()
	}
	time.Sleep(herald.Heartbeat / 2) // slow, and not yet too slow
	c.expectMessages(ids[40:]...)
	synctest.Wait()
	c.expectMessages(e.pushMany(slow, 5)...)
}

func staysFull(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	synctest.Wait()
	ids := e.pushMany(m, 100)
	for range 8 { // it lives, and does not read, for 77 s
		time.Sleep(77 * time.Second / 8)
		if e.harness.TwoWay && e.hub.Count(App) == 1 {
			c.send(`{"type":"pong"}`)
		}
	}
	synctest.Wait()
	if e.hub.Count(App) != 0 {
		e.Fatal("the session is still open")
	}
	c.expectClosed(live.CloseSlow)
	c.hangUp()
	// Nothing is lost: the next connection has it all.
	c = e.connect(m)
	c.expectMessages(ids...)
}

func fiveSessions(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	var all []*client
	for range herald.MaxSessions {
		all = append(all, e.connect(m))
	}
	e.present(all...) // until all are live: a replay reports by itself
	id := e.toEach(m, all)
	if ev := e.world.Events(id); len(ev) != 1 {
		e.Fatalf("%d events for one device", len(ev))
	}
	e.present(all...)
	fifth := e.connect(m)
	all[0].expectClosed(live.CloseReplaced)
	fifth.expectMessages(e.left(m, id)...)
	if n := e.hub.Count(App); n != herald.MaxSessions {
		e.Fatalf("%d sessions are open", n)
	}
	left := append(all[1:], fifth)
	e.present(left...)
	e.toEach(m, left)
	for len(left) > 0 { // one after the other leaves, and those that stay hear all
		e.present(left...)
		leaves := len(left) / 2
		left[leaves].hangUp()
		left = append(left[:leaves:leaves], left[leaves+1:]...)
		e.toEach(m, left)
	}
	if e.hub.Online(App).Contains(m.Ord) || e.hub.Count(App) != 0 {
		e.Fatal("still online after all sessions ended")
	}
}

// toEach pushes a message to a device, each of whose clients gets it.
func (e *env) toEach(m Member, clients []*client) herald.MessageID {
	e.Helper()
	id := e.push(Send{Content: Text("to each"), To: []Member{m}})
	for _, c := range clients {
		c.expectMessages(id)
	}
	synctest.Wait()
	return id
}

// heartbeat: whoever reads hears the server well within the time-out that it has
// announced, and so can tell that a silent one is gone.
func heartbeat(e *env) {
	c := e.connect(e.world.Join(herald.PlatformWeb))
	began := time.Now()
	for range 5 {
		f, err := c.Next()
		if err != nil || f.Type != "ping" {
			e.Fatalf("got %+v, %v, want a ping", f, err)
		}
		if e.harness.TwoWay {
			c.send(`{"type":"pong"}`)
		}
	}
	if took := time.Since(began) / 5; took < 44*time.Second || took > 57*time.Second {
		e.Fatalf("a ping every %s", took)
	}
	e.present(c)
	if n := e.hub.Count(App); n != 1 {
		e.Fatalf("%d sessions are open", n)
	}
}

func silentClient(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	silent := time.Now()
	c.expectClosed(live.CloseHeartbeat)
	if took := time.Since(silent); took < 74*time.Second || took > 78*time.Second {
		e.Fatalf("closed after a silence of %s", took)
	}
	if e.hub.Online(App).Contains(m.Ord) {
		e.Fatal("still online")
	}
}

// silentServer: the path to the server is gone and nobody has said so. What was
// sent into it comes again over the next connection, although the server still
// holds the first one.
func silentServer(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	e.connect(m) // nothing more comes out of it
	lost := e.pushMany(m, 3)
	synctest.Wait()
	c := e.connect(m)
	c.expectMessages(lost...)
	e.present(c)
	c.expectMessages(e.pushMany(m, 2)...)
	began := time.Now()
	for time.Since(began) < herald.Heartbeat+herald.HeartbeatTimeout+20*time.Second { // the old one is given up
		if f, err := c.Next(); err != nil || f.Type != "ping" {
			e.Fatalf("got %+v, %v, want a ping", f, err)
		}
		if e.harness.TwoWay {
			c.send(`{"type":"pong"}`)
		}
	}
	e.present(c)
	if n := e.hub.Count(App); n != 1 {
		e.Fatalf("%d sessions are open", n)
	}
	c.expectMessages(e.pushMany(m, 2)...)
}

func halfOpen(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	e.connect(m) // never reads again, never closes
	time.Sleep(herald.Heartbeat + herald.HeartbeatTimeout + 20*time.Second)
	synctest.Wait()
	if e.hub.Count(App) != 0 {
		e.Fatal("the session is still open")
	}
}

func abruptCut(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	c.hangUp()
	if e.hub.Count(App) != 0 || e.hub.Online(App).Contains(m.Ord) {
		e.Fatal("the session is still open")
	}
	h := e.world.Accept(Send{Content: Text("later"), To: []Member{m}})
	if !e.deliver(h).Empty() {
		e.Fatal("taken for a device that is gone")
	}
	e.connect(m).expectMessages(h.Msg.ID)
}

// drains: everybody is told when to come back, then why the connection ends.
func drains(e *env) {
	var clients []*client
	for range 3 {
		clients = append(clients, e.connect(e.world.Join(herald.PlatformWeb)))
	}
	e.present(clients...)
	done := make(chan error, 1)
	go func() { done <- e.hub.Drain(e.Context()) }()
	for _, c := range clients {
		if !e.harness.Polls { // whose answer has both
			if f := c.expect("reconnect"); f.AfterMS < 1000 || f.AfterMS > 30000 {
				e.Fatalf("come back after %d ms", f.AfterMS)
			}
		}
		c.expectClosed(live.CloseDraining)
		_ = c.conn.Close()
	}
	if err := <-done; err != nil {
		e.Fatal(err)
	}
	if n := e.hub.Count(App); n != 0 {
		e.Fatalf("%d sessions are open", n)
	}
}
