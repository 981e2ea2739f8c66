package livetest

import (
	"encoding/json"
	"errors"
	"strconv"
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
}

func online(e *env) {
	m := e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	if got := e.hub.Transports(App, m.Ord); len(got) != 1 || got[0] != e.transport.Name() {
		e.Fatalf("transports are %v", got)
	}
	if !e.hub.Online(App).Contains(m.Ord) || e.hub.Count(App) != 1 || e.world.SeenCount() != 1 || e.hub.Sessions()[e.transport.Name()] != 1 {
		e.Fatal("the device is not online once")
	}
	c.hangUp()
	if e.hub.Online(App).Contains(m.Ord) || e.hub.Count(App) != 0 || len(e.hub.Transports(App, m.Ord)) != 0 {
		e.Fatal("the device is online after it has left")
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
		// The first answers who polls; the next ones wait for its next request.
		if ids[i] = h.Msg.ID; !took.Contains(m.Ord) && (i == 0 || !e.harness.Polls) || took.Contains(other.Ord) {
			e.Fatalf("message %d: took %v", i, took.Ordinals())
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
	c.hangUp()
	ids = e.left(m, append(append(ids, came...), e.pushMany(m, 60)...)...)
	release := e.world.Hold()
	e.Cleanup(release)
	c = e.connect(m)
	c.expectMessages(ids[:50]...)
	synctest.Wait()
	e.world.Meanwhile(func() { came = e.pushMany(m, 3) })
	release()
	c.expectMessages(ids[50:]...)
	synctest.Wait()
	c.expectMessages(came...)
}

// volatileNow: a message with TTL 0 is for who is connected, and once.
func volatileNow(e *env) {
	m, absent := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
	c := e.connect(m)
	synctest.Wait()
	h := e.world.Accept(Send{Content: Text("now or never"), To: []Member{m, absent}, Volatile: true})
	if took := e.deliver(h); !took.Contains(m.Ord) || took.Contains(absent.Ord) {
		e.Fatalf("took %v", took.Ordinals())
	}
	if f := c.expect("message"); f.ID != h.Msg.ID || f.Cursor != "" {
		e.Fatalf("got %+v, want the message with TTL 0 and no cursor", f)
	}
	late := e.connect(absent)
	synctest.Wait()
	next := e.push(Send{Content: Text("next"), To: []Member{m, absent}})
	c.expectMessages(next)
	late.expectMessages(next)
}

func overrides(e *env) {
	content := herald.Content{Notification: &herald.Notification{Title: "all", Body: "body", Platforms: map[herald.Platform]herald.Notification{
		herald.PlatformIOS: {Title: "ios"},
	}}, Data: []byte(`"all"`), PlatformData: map[herald.Platform]json.RawMessage{herald.PlatformIOS: []byte(`"ios"`)}}
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
			if f.ID != id || f.Notification.Title != want || f.Notification.Body != "body" || f.Notification.Platforms != nil || string(f.Data) != strconv.Quote(want) {
				e.Fatalf("device %d got %+v with %+v", i, f, f.Notification)
			}
		}
	}
}

func languages(e *env) {
	content := herald.Content{Notification: &herald.Notification{Title: "common", Body: "body",
		Platforms: map[herald.Platform]herald.Notification{herald.PlatformIOS: {Title: "ios", Sound: "bell"}},
		Languages: map[string]herald.Notification{"zh": {Title: "zh"}, "zh-Hant": {Title: "zh-Hant"}, "fr": {Title: "fr"}},
	}}
	var members []Member
	var clients []*client
	want := []string{"zh", "zh-Hant", "common", "common", "zh", "ios"}
	for i, language := range []string{"zh-CN", "zh-Hant-TW", "en", "", "zh", ""} {
		p := herald.PlatformWeb
		if i >= 4 {
			p = herald.PlatformIOS
		}
		members = append(members, e.world.Join(p))
		e.world.Speaks(members[i], language)
	}
	first := e.push(Send{Content: content, To: members}) // replayed
	for _, m := range members {
		clients = append(clients, e.connect(m))
	}
	synctest.Wait()
	second := e.push(Send{Content: content, To: members}) // live
	for i := range want {
		for _, id := range []herald.MessageID{first, second} {
			f := clients[i].expect("message")
			n := f.Notification
			if f.ID != id || n.Title != want[i] || n.Body != "body" || n.Languages != nil || n.Platforms != nil || (n.Sound == "bell") != (i >= 4) {
				e.Fatalf("device %d got %+v with %+v", i, f, n)
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
	c.hangUp()
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
	c.hangUp()
	e.deliver(e.world.Withdraw(ids[1])) // while it is away
	c = e.connect(m)
	for _, id := range ids {
		if f := c.expect("withdraw"); f.ID != id {
			e.Fatalf("got %+v", f)
		}
	}
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
