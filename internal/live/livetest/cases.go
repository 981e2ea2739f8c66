package livetest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/record"
)

func welcomes(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	e.pushMany(m, 2)
	f := e.dial(Dial{Token: m.Token}).expect("welcome")
	if f.Session == "" || f.RegistrationID != m.ID || f.Heartbeat != 50 || f.Timeout != 75 || f.Token != "" || f.Cursor != "" {
		e.Fatalf("welcome is %+v", f)
	}
	if got := e.hub.Transports(App, m.Ord); len(got) != 1 || got[0] != e.transport.Name() {
		e.Fatalf("transports are %v", got)
	}
	if !e.hub.Online(App).Contains(m.Ord) || e.hub.Count(App) != 1 || e.world.SeenCount() != 1 || e.hub.Sessions()[e.transport.Name()] != 1 {
		e.Fatal("the device is not online once")
	}
}

func freshToken(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	if f := e.dial(Dial{Token: "old-" + m.Token}).expect("welcome"); f.Token != m.Token {
		e.Fatalf("welcome has token %q, want the fresh one", f.Token)
	}
}

func liveInOrder(e *env) {
	m, other := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	absent := e.world.Accept(Send{Content: Text("not yours"), To: []Member{other}})
	if took := e.deliver(absent); !took.Empty() {
		e.Fatalf("a device that is not here took a message: %v", took.Ordinals())
	}
	// Fewer than the queue holds: in memory nobody reads meanwhile.
	ids := make([]herald.MessageID, 20)
	for i := range ids {
		h := e.world.Accept(Send{Content: herald.Content{Notification: &herald.Notification{Title: "a <b> & \n ü"}, Data: []byte(`{"n":[1, 2]}`)}, To: []Member{m}})
		took := e.deliver(h)
		if ids[i] = h.Msg.ID; took.Len() != 1 || !took.Contains(m.Ord) {
			e.Fatalf("took %v", took.Ordinals())
		}
	}
	for _, id := range ids {
		f := c.expect("message")
		if f.ID != id || f.Notification.Title != "a <b> & \n ü" || string(f.Data) != `{"n":[1,2]}` || f.Priority != "normal" || f.Cursor == "" {
			e.Fatalf("got %+v, want message %s", f, id)
		}
		if _, err := time.Parse(time.RFC3339, f.Time); err != nil || f.Expires <= f.Time {
			e.Fatalf("times are %s and %s", f.Time, f.Expires)
		}
		ev := e.reported(id)
		if len(ev) != 1 || ev[0].State != herald.StateSent || ev[0].Via != e.transport.Name() || ev[0].Set.Len() != 1 {
			e.Fatalf("events are %+v", ev)
		}
	}
}

func replaysPages(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 120)
	c := e.connect(m)
	c.expectMessages(ids...)
	synctest.Wait()
	for _, id := range ids {
		if !e.world.Sent(id, m) {
			e.Fatalf("message %s was not reported as sent", id)
		}
	}
	c.expectMessages(e.pushMany(m, 3)...)
}

func comesWhileReading(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 2)
	var came []herald.MessageID                           // read only after synctest.Wait
	e.world.Meanwhile(func() { came = e.pushMany(m, 1) }) // on the first page
	c := e.connect(m)
	c.expectMessages(ids...)
	synctest.Wait()
	c.expectMessages(came...)
	// And again where the end of the log is read by a later page.
	_ = c.conn.Close()
	synctest.Wait()
	ids = append(append(ids, came...), e.pushMany(m, 60)...)
	release := e.world.Hold()
	c = e.connect(m)
	c.expectMessages(ids[:50]...)
	synctest.Wait()
	e.world.Meanwhile(func() { came = e.pushMany(m, 3) })
	release()
	synctest.Wait()
	c.expectMessages(append(ids[50:], came...)...)
}

func replaysAgain(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	ids := e.pushMany(m, 3)
	c.expectMessages(ids...)
	_ = c.conn.Close()
	synctest.Wait()
	e.connect(m).expectMessages(ids...)
}

func resumes(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	ids := e.pushMany(m, 3)
	c.expectMessages(ids[0])
	cursor := c.expect("message").Cursor
	_ = c.conn.Close()
	synctest.Wait()
	e.open(Dial{Token: m.Token, Cursor: cursor}).expectMessages(ids[2])
	if !e.world.Received(ids[0], m) || !e.world.Received(ids[1], m) || e.world.Received(ids[2], m) {
		e.Fatal("the cursor did not acknowledge exactly what was at or before it")
	}
}

func foreignCursor(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 2)
	for _, cursor := range []string{e.world.Cursor("another app", 2), "1.2", "x\x00y", strings.Repeat("9", 500)} {
		c := e.open(Dial{Token: m.Token, Cursor: cursor})
		c.expectMessages(ids...)
		_ = c.conn.Close()
		synctest.Wait()
	}
	if e.world.Received(ids[0], m) {
		e.Fatal("a foreign cursor acknowledged a message")
	}
}

func overrides(e *env) {
	content := herald.Content{Notification: &herald.Notification{Title: "all", Body: "body", Platforms: map[herald.Platform]herald.Notification{
		herald.PlatformIOS: {Title: "ios"},
	}}}
	members := []Member{e.world.Join(herald.PlatformIOS), e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformIOS)}
	first := e.push(Send{Content: content, To: members}) // replayed
	var clients []*client
	for _, m := range members {
		clients = append(clients, e.connect(m))
	}
	synctest.Wait()
	second := e.push(Send{Content: content, To: members}) // live
	for i, want := range []string{"ios", "all", "ios"} {
		for _, id := range []herald.MessageID{first, second} {
			f := clients[i].expect("message")
			if f.ID != id || f.Notification.Title != want || f.Notification.Body != "body" || f.Notification.Platforms != nil {
				e.Fatalf("device %d got %+v with %+v", i, f, f.Notification)
			}
		}
	}
}

func volatileInReplay(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	ids := e.pushMany(m, 60)
	release := e.world.Hold()
	e.Cleanup(release)
	c := e.connect(m)
	c.expectMessages(ids[:50]...) // the first page
	synctest.Wait()
	h := e.world.Accept(Send{Content: Text("now or never"), To: []Member{m}, Volatile: true})
	if !e.deliver(h).Contains(m.Ord) {
		e.Fatal("not taken")
	}
	if f := c.expect("message"); f.ID != h.Msg.ID || f.Cursor != "" {
		e.Fatalf("got %+v, want the message with TTL 0 and no cursor", f)
	}
	release()
	c.expectMessages(ids[50:]...)
	// It is for one moment: who comes later does not get it.
	_ = c.conn.Close()
	synctest.Wait()
	e.connect(m).expectMessages(ids...)
}

func expired(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	e.push(Send{Content: Text("short"), To: []Member{m}, TTL: time.Minute})
	long := e.push(Send{Content: Text("long"), To: []Member{m}, TTL: time.Hour})
	late := e.world.Accept(Send{Content: Text("late"), To: []Member{m}, TTL: time.Minute})
	time.Sleep(time.Minute)
	c := e.connect(m)
	c.expectMessages(long)
	if took := e.deliver(late); !took.Empty() {
		e.Fatal("an expired message was taken")
	}
	c.expectMessages(e.push(Send{Content: Text("next"), To: []Member{m}}))
}

func rebound(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	waits := e.world.Accept(Send{Content: Text("for the last user, waiting"), To: []Member{m}, ByAlias: true})
	pos := e.world.Rebind(m)
	c := e.connect(m)
	old := e.world.Accept(Send{Content: Text("for the last user, live"), To: []Member{m}, ByAlias: true})
	mine := e.world.Accept(Send{Content: Text("for everybody"), To: []Member{m}})
	again := e.world.Rebind(m)
	if again <= pos {
		e.Fatal("the log went back")
	}
	e.hub.Rebind(App, m.Ord, again)
	for _, h := range []record.Handover{waits, old} {
		if !e.deliver(h).Empty() {
			e.Fatal("a message for the last user was taken")
		}
	}
	e.deliver(mine)
	c.expectMessages(mine.Msg.ID)
}

func withdrawals(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	ids := e.pushMany(m, 2)
	c.expectMessages(ids...)
	e.deliver(e.world.Withdraw(ids[0]))
	if f := c.expect("withdraw"); f.ID != ids[0] || f.Cursor == "" {
		e.Fatalf("got %+v", f)
	}
	_ = c.conn.Close()
	synctest.Wait()
	e.deliver(e.world.Withdraw(ids[1])) // while it is away
	c = e.connect(m)
	for _, id := range ids {
		if f := c.expect("withdraw"); f.ID != id {
			e.Fatalf("got %+v", f)
		}
	}
}

func slowConsumer(e *env) {
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
	c.expectMessages(ids[40:]...)
	synctest.Wait()
	c.expectMessages(e.pushMany(slow, 5)...)
}

func staysFull(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	synctest.Wait()
	e.pushMany(m, 100)
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
	_ = c.conn.Close()
	// Nothing is lost: the next connection has it all.
	c = e.connect(m)
	if f := c.expect("message"); f.ID == 0 {
		e.Fatal("nothing was replayed")
	}
}

func fiveSessions(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	var all []*client
	for range herald.MaxSessions {
		all = append(all, e.connect(m))
	}
	synctest.Wait() // until all are live: a replay reports by itself
	id := e.push(Send{Content: Text("to each"), To: []Member{m}})
	for _, c := range all {
		c.expectMessages(id)
	}
	if ev := e.world.Events(id); len(ev) != 1 {
		e.Fatalf("%d events for one device", len(ev))
	}
	fifth := e.connect(m)
	all[0].expectClosed(live.CloseReplaced)
	fifth.expectMessages(id)
	synctest.Wait()
	if n := e.hub.Count(App); n != herald.MaxSessions {
		e.Fatalf("%d sessions are open", n)
	}
	id = e.push(Send{Content: Text("again"), To: []Member{m}})
	left := append(all[1:], fifth)
	for _, c := range left {
		c.expectMessages(id)
	}
	for len(left) > 0 { // one after the other leaves, and those that stay hear all
		leaves := len(left) / 2
		_ = left[leaves].conn.Close()
		left = append(left[:leaves:leaves], left[leaves+1:]...)
		synctest.Wait()
		id = e.push(Send{Content: Text("to those who stay"), To: []Member{m}})
		for _, c := range left {
			c.expectMessages(id)
		}
	}
	if e.hub.Online(App).Contains(m.Ord) || e.hub.Count(App) != 0 {
		e.Fatal("still online after all sessions ended")
	}
}

func heartbeat(e *env) {
	c := e.connect(e.world.Join(herald.PlatformWeb))
	began := time.Now()
	pings := 0
	for pings < 5 {
		f, err := c.Next()
		if err != nil || f.Type != "ping" {
			e.Fatalf("got %+v, %v, want a ping", f, err)
		}
		pings++
		if e.harness.TwoWay {
			c.send(`{"type":"pong"}`)
		}
	}
	if took := time.Since(began) / 5; took < 44*time.Second || took > 57*time.Second {
		e.Fatalf("a ping every %s", took)
	}
	if !e.harness.TwoWay {
		return
	}
	silent := time.Now()
	c.expectClosed(live.CloseHeartbeat)
	if took := time.Since(silent); took < 74*time.Second || took > 78*time.Second {
		e.Fatalf("closed after a silence of %s", took)
	}
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
	_ = c.conn.Close()
	synctest.Wait()
	if e.hub.Count(App) != 0 || e.hub.Online(App).Contains(m.Ord) {
		e.Fatal("the session is still open")
	}
	h := e.world.Accept(Send{Content: Text("later"), To: []Member{m}})
	if !e.deliver(h).Empty() {
		e.Fatal("taken for a device that is gone")
	}
	e.connect(m).expectMessages(h.Msg.ID)
}

func drains(e *env) {
	var clients []*client
	for range 3 {
		clients = append(clients, e.connect(e.world.Join(herald.PlatformWeb)))
	}
	done := make(chan error, 1)
	go func() { done <- e.hub.Drain(e.Context()) }()
	for _, c := range clients {
		if f := c.expect("reconnect"); f.AfterMS < 1000 || f.AfterMS > 30000 {
			e.Fatalf("come back after %d ms", f.AfterMS)
		}
		c.expectClosed(live.CloseDraining)
		_ = c.conn.Close()
	}
	if err := <-done; err != nil {
		e.Fatal(err)
	}
	m := e.world.Join(herald.PlatformWeb)
	e.refusedAtOnce(Dial{Token: m.Token}, http.StatusServiceUnavailable, live.CloseDraining)
}

func disconnects(e *env) {
	m, other := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	c, d, stays := e.connect(m), e.connect(m), e.connect(other)
	e.hub.Disconnect(App, m.Ord, live.Reason{Code: live.CloseBadToken, Text: "the token was revoked"})
	c.expectClosed(live.CloseBadToken)
	d.expectClosed(live.CloseBadToken)
	if e.hub.Online(App).Contains(m.Ord) {
		e.Fatal("still online")
	}
	stays.expectMessages(e.push(Send{Content: Text("still here"), To: []Member{m, other}}))
}

func failingBacklog(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	waits := e.push(Send{Content: Text("waits"), To: []Member{m}})
	e.world.Fail(errors.New("the disk is gone"))
	c := e.connect(m)
	came := e.push(Send{Content: Text("came meanwhile"), To: []Member{m}})
	time.Sleep(5 * time.Second)
	e.world.Fail(nil)
	c.expectMessages(waits, came)
	synctest.Wait()
	c.expectMessages(e.pushMany(m, 2)...)
}

func garbage(e *env) {
	stays := e.world.Join(herald.PlatformWeb)
	calm := e.connect(stays)
	for i, g := range e.harness.Garbage {
		m := e.world.Join(herald.PlatformWeb)
		c := e.connect(m)
		go func() { _, _ = c.conn.Write(g) }() // may be cut in the middle
		for {
			if _, err := c.Next(); err != nil {
				break
			}
		}
		_ = c.conn.Close()
		synctest.Wait()
		if e.hub.Count(App) != 1 {
			e.Fatalf("garbage %d: %d sessions are open, want 1", i, e.hub.Count(App))
		}
	}
	calm.expectMessages(e.push(Send{Content: Text("calm"), To: []Member{stays}}))
}
