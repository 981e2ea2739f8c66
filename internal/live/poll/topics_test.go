package poll_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

func (e *env) publish(name herald.Topic, data string) {
	e.hub.Publish(livetest.App, live.Publication{Topic: name, Data: []byte(data)})
	synctest.Wait()
}

// topics asks at once and expects these data of topics; it gives since.
func (e *env) topics(m livetest.Member, query, since string, want ...string) string {
	e.Helper()
	if since != "" {
		query += "&since=" + since
	}
	return e.topicsOf(e.ask(e.Context(), m.Token, query), want...)
}

func (e *env) topicsOf(a outcome, want ...string) string {
	e.Helper()
	var got []string
	for _, f := range a.Frames {
		if f.Type == "topic" {
			got = append(got, string(f.Data))
		}
	}
	if a.Status != http.StatusOK || strings.Join(got, " ") != strings.Join(want, " ") || a.Since == "" {
		e.Fatalf("got %d %v with since %q, want %v", a.Status, got, a.Since, want)
	}
	return a.Since
}

// TestSince: nothing is missed between two requests, nothing comes twice.
func TestSince(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		const q = "topic=chat/7&topic=chat/8"
		e.publish("chat/7", `"nobody polls"`)
		since := e.topics(m, q, "")
		e.publish("chat/7", "1")
		e.publish("chat/9", `"not asked for"`)
		e.publish("chat/8", "2")
		again := since
		since = e.topics(m, q, since, "1", "2")
		// The answer was lost: the same since gives the same.
		if got := e.topics(m, q, again, "1", "2"); got != since {
			e.Errorf("since is %q, want %q", got, since)
		}
		since = e.topics(m, q, since)
		// One that is held is answered with the first, and misses none behind it.
		held := e.hold(e.Context(), m, "wait=60&"+q+"&since="+since)
		e.publish("chat/9", `"not asked for"`)
		if len(held) != 0 {
			e.Fatal("another topic ended the wait")
		}
		e.publish("chat/8", "3")
		since = e.topicsOf(<-held, "3")
		e.publish("chat/7", "4")
		e.publish("chat/7", "5")
		// What waits ends the wait at once.
		before := time.Now()
		since = e.topics(m, "wait=60&"+q, since, "4", "5")
		if waited := time.Since(before); waited != 0 {
			e.Errorf("waited for %s", waited)
		}
		// Another one gets what it names, from where it stands.
		e.topics(e.world.Join(herald.PlatformWeb), "topic=chat/8", again, "2", "3")
		// Messages and publications are in one answer.
		id := e.accept(1, m)[0]
		e.publish("chat/7", "6")
		a := e.ask(e.Context(), m.Token, q+"&since="+since)
		if e.topicsOf(a, "6"); len(a.Frames) != 2 || a.Frames[0].ID != id || a.Cursor == "" {
			e.Errorf("got %+v", a)
		}
		// Without topics there is no since.
		if a := e.get(m, "since="+since+"&cursor="+a.Cursor); a.Since != "" {
			e.Errorf("since is %q without topics", a.Since)
		}
	})
}

// TestSinceThatMeansNothing: only what comes while the request is held.
func TestSinceThatMeansNothing(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		const q = "topic=chat/7"
		since := e.topics(m, q, "")
		process, _, _ := strings.Cut(since, ".")
		e.publish("chat/7", "1")
		for _, bad := range []string{
			"restarted.0", "x" + since, ".", "0", process, process + ".", process + ".x", process + ".-1",
			process + ".18446744073709551616", process + ".0x0", "%00", strings.Repeat("9", 2000),
			process + ".99999", // it is not that far yet
		} {
			if got := e.topics(m, q, bad); !strings.HasPrefix(got, process+".") {
				e.Errorf("%.40s: since is %q", bad, got)
			}
		}
		e.topics(m, q, since, "1")
		for _, bad := range []string{"garbage", process + ".99999"} {
			held := e.hold(e.Context(), m, "wait=60&topic=chat/7&since="+bad)
			e.publish("chat/7", "2")
			e.topicsOf(<-held, "2")
		}
	})
}

// TestSinceForgets what is old, what is too much, and all when nobody polls.
func TestSinceForgets(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		const q = "topic=chat/7"
		since := e.topics(m, q, "")
		e.publish("chat/7", "1")
		time.Sleep(50 * time.Second)
		e.topics(m, q, since, "1")
		e.publish("chat/7", "2")
		time.Sleep(11 * time.Second) // the first is 61 s old
		next := e.topics(m, q, since, "2")
		time.Sleep(62 * time.Second) // nobody has polled
		e.publish("chat/7", "3")
		next = e.topics(m, q, next)
		e.publish("chat/7", "4")
		next = e.topics(m, q, next, "4")
		// A request that is held keeps them.
		held := e.hold(e.Context(), m, "wait=60&topic=chat/8")
		time.Sleep(59 * time.Second)
		e.publish("chat/7", "5")
		<-held
		next = e.topics(m, q, next, "5")

		data := func(i int) string { return fmt.Sprintf(`"%03d%s"`, i, strings.Repeat("x", 1000)) }
		var want []string
		for i := range 400 {
			e.publish("chat/7", data(i))
			want = append(want, data(i))
		}
		got := e.ask(e.Context(), m.Token, q+"&since="+next)
		n := len(got.Frames)
		if n < 200 || n > 256 {
			e.Fatalf("%d kept of 400 with 1 KiB each", n)
		}
		e.topicsOf(got, want[400-n:]...)
		// One that is larger than all room is kept alone.
		e.publish("chat/7", `"`+strings.Repeat("y", 300<<10)+`"`)
		if a := e.ask(e.Context(), m.Token, q+"&since="+got.Since); len(a.Frames) != 1 || len(a.Frames[0].Data) < 300<<10 {
			e.Errorf("%d frames", len(a.Frames))
		}
	})
}

// TestTopicsFitTheAnswer: what has no room comes with the next request.
func TestTopicsFitTheAnswer(t *testing.T) {
	run(t, live.Options{SessionQueue: 1000}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		since := e.topics(m, "topic=chat/7", "")
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprintf(`"%0200d"`, i))
			e.publish("chat/7", want[i])
		}
		id := e.accept(1, m)[0]
		a := e.ask(e.Context(), m.Token, "topic=chat/7&since="+since)
		if len(a.Frames) < 2 || len(a.Frames) > 4 || a.Frames[0].ID != id {
			e.Fatalf("%d frames", len(a.Frames))
		}
		n := len(a.Frames) - 1
		since = e.topicsOf(a, want[:n]...)
		// Where the message leaves no room, the publications wait.
		long := e.world.Accept(livetest.Send{Content: livetest.Text(strings.Repeat("z", 1000)), To: []livetest.Member{m}}).Msg.ID
		a = e.ask(e.Context(), m.Token, "topic=chat/7&since="+since+"&cursor="+a.Cursor)
		if e.topicsOf(a); len(a.Frames) != 1 || a.Frames[0].ID != long || a.Since != since {
			e.Fatalf("%d frames, since %q", len(a.Frames), a.Since)
		}
		for cursor := a.Cursor; n < len(want); n += len(a.Frames) {
			a = e.ask(e.Context(), m.Token, "topic=chat/7&since="+since+"&cursor="+cursor)
			if len(a.Frames) == 0 {
				e.Fatal("no progress")
			}
			since = e.topicsOf(a, want[n:n+len(a.Frames)]...)
		}
	})
}

// TestPollsArePresent while they are held, and only then.
func TestPollsArePresent(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m, other := e.world.Join(herald.PlatformWeb), e.world.Join(herald.PlatformWeb)
		held := e.hold(e.Context(), m, "wait=10&topic=chat/7&topic=chat/8&presence=1")
		if n := e.hub.Subscribers(livetest.App, "chat/7").Len(); n != 1 {
			e.Fatalf("%d subscribers, want 1", n)
		}
		beside := e.hold(e.Context(), other, "wait=20&topic=chat/7")
		time.Sleep(5 * time.Second)
		if len(held) != 0 {
			e.Fatal("presence ended the wait")
		}
		a := <-held
		if len(a.Frames) != 2 || a.Frames[0].Topic != "chat/7" || a.Frames[0].Devices != 2 || a.Frames[1].Topic != "chat/8" || a.Frames[1].Devices != 1 {
			e.Errorf("got %+v", a.Frames)
		}
		<-beside
		if list := e.hub.Topics(livetest.App, "", "", 9); len(list) != 0 {
			e.Errorf("left are %+v", list)
		}
	})
}

// TestRulesEndAHeldSubscription: what is not allowed any more is not in the
// answer, although it was published before.
func TestRulesEndAHeldSubscription(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		held := e.hold(e.Context(), m, "wait=10&topic=chat/7&topic=chat/8")
		e.world.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/8"}})
		e.hub.Recheck(livetest.App)
		e.publish("chat/7", `"secret"`)
		e.publish("chat/8", "1")
		e.topicsOf(<-held, "1")
		if a := e.ask(e.Context(), m.Token, "topic=chat/7"); a.Status != http.StatusForbidden || a.Field != "topic" {
			e.Errorf("got %d about %q", a.Status, a.Field)
		}
	})
}

// TestReplacedPollKeepsItsPlace: a request that ends early says so, and what
// was published meanwhile comes with the next one.
func TestReplacedPollKeepsItsPlace(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		since := e.topics(m, "topic=chat/7", "")
		var held []<-chan outcome
		for range herald.MaxSessions + 1 {
			held = append(held, e.hold(e.Context(), m, "wait=10&topic=chat/7&since="+since))
		}
		if a := <-held[0]; a.Status != http.StatusTooManyRequests {
			e.Fatalf("got %d", a.Status)
		}
		e.publish("chat/7", "1")
		for _, h := range held[1:] {
			e.topicsOf(<-h, "1")
		}
		e.topics(m, "topic=chat/7", since, "1")
	})
}

// TestAnswerOfAClosedSession: what was published comes with one of two answers,
// although the first session was ended in between.
func TestAnswerOfAClosedSession(t *testing.T) {
	run(t, live.Options{}, func(e *env) {
		m := e.world.Join(herald.PlatformWeb)
		for range 20 {
			held := e.hold(e.Context(), m, "wait=60&topic=chat/7")
			h := e.world.Accept(livetest.Send{Content: livetest.Text("a message"), To: []livetest.Member{m}})
			if _, err := e.hub.Deliver(e.Context(), h); err != nil {
				e.Fatal(err)
			}
			e.hub.Publish(livetest.App, live.Publication{Topic: "chat/7", Data: []byte("1")})
			e.hub.Disconnect(livetest.App, m.Ord, live.Reason{Code: live.CloseDraining})
			a := <-held
			if len(a.Frames) == 0 || a.Frames[0].ID != h.Msg.ID {
				e.Fatalf("got %d %+v", a.Status, a.Frames)
			}
			b := e.ask(e.Context(), m.Token, "topic=chat/7&since="+a.Since+"&cursor="+a.Cursor)
			if n := len(a.Frames) - 1 + len(b.Frames); n != 1 {
				e.Fatalf("it came %d times: %+v, %+v", n, a.Frames, b.Frames)
			}
		}
	})
}
