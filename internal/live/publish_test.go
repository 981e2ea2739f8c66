package live_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

func presenceOf(topic string, devices int) string {
	return fmt.Sprintf(`{"type":"presence","topic":%q,"devices":%d}`, topic, devices)
}

// TestPresence: told at once, then at most once a second, and only what is new.
func TestPresence(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p, silent := r.member(), r.member("chat/7")
		p.say(`{"type":"subscribe","topics":["chat/7","chat/8"],"presence":true}`)
		p.expect(`{"type":"subscribed",...`, presenceOf("chat/7", 2), presenceOf("chat/8", 1))
		time.Sleep(5 * time.Second)
		p.expect() // nothing has changed since

		// Many changes within a second are told as one.
		var more []*peer
		for range 20 {
			more = append(more, r.member("chat/7"))
		}
		for _, q := range more[:5] {
			q.Closed()
		}
		p.expect()
		time.Sleep(time.Second)
		p.expect(presenceOf("chat/7", 17))
		// A second session of a device is no other device.
		again := r.enter(live.Hello{Token: "token-" + string(more[19].device().ID), Topics: []herald.Topic{"chat/7"}, Presence: true})
		again.expect(`{"type":"subscribed",...`, presenceOf("chat/7", 17))
		time.Sleep(2 * time.Second)
		p.expect()
		again.Closed()
		time.Sleep(2 * time.Second)
		p.expect()
		// There and back within a second is no change.
		more[19].say(`{"type":"unsubscribe","topics":["chat/7"]}`)
		more[19].say(`{"type":"subscribe","topics":["chat/7"]}`)
		time.Sleep(2 * time.Second)
		p.expect()
		// One that asks late is told now, the others with the next beat.
		late := r.member()
		late.say(`{"type":"subscribe","topics":["chat/7"],"presence":true}`)
		late.expect(`{"type":"subscribed",...`, presenceOf("chat/7", 18))
		p.expect()
		time.Sleep(2 * time.Second)
		p.expect(presenceOf("chat/7", 18))
		late.expect()
		// Who asks again is told again; who takes it back is not told any more.
		p.say(`{"type":"subscribe","topics":["chat/7"],"presence":true}`)
		p.expect(`{"type":"subscribed",...`, presenceOf("chat/7", 18))
		p.say(`{"type":"subscribe","topics":["chat/7"]}`)
		p.expect(`{"type":"subscribed",...`)
		silent.Closed()
		time.Sleep(2 * time.Second)
		p.expect()
		late.expect(presenceOf("chat/7", 17))
		for _, q := range more[5:] {
			q.Closed()
		}
		p.Closed()
		time.Sleep(2 * time.Second)
		late.expect(presenceOf("chat/7", 1))
		silent.expect()
	})
}

// TestPresenceIsSharedAndRepeated: a frame for all, and again for who had no room.
func TestPresenceIsSharedAndRepeated(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		var peers []*peer
		for range 3 {
			p := r.member()
			p.say(`{"type":"subscribe","topics":["chat/7"],"presence":true}`)
			peers = append(peers, p)
		}
		time.Sleep(2 * time.Second)
		for _, p := range peers {
			p.next()
		}
		atomic.StoreInt64(&r.transport.presence, 0)
		peers[0].sink.setRoom(0)
		r.member("chat/7")
		time.Sleep(3 * time.Second)
		peers[0].expect()
		peers[1].expect(presenceOf("chat/7", 4))
		peers[2].expect(presenceOf("chat/7", 4))
		if n := atomic.LoadInt64(&r.transport.presence); n < 1 || n > 4 { // once for all, and once for each try
			r.Errorf("encoded %d times", n)
		}
		peers[0].sink.setRoom(1 << 20)
		time.Sleep(2 * time.Second)
		peers[0].expect(presenceOf("chat/7", 4))
		peers[1].expect()
		// At the first subscription as well.
		p := r.member()
		p.sink.setRoom(0)
		p.say(`{"type":"subscribe","topics":["chat/9"],"presence":true}`)
		p.sink.setRoom(1 << 20)
		time.Sleep(2 * time.Second)
		p.expect(presenceOf("chat/9", 1))
		// And not for who is gone by then.
		p.sink.setRoom(0)
		r.member("chat/9")
		time.Sleep(2 * time.Second)
		p.Closed()
		time.Sleep(2 * time.Second)
		p.expect()
	})
}

func TestRecheck(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p, q := r.member(), r.member()
		mine := "mine/" + string(p.device().ID)
		p.say(`{"type":"subscribe","topics":["chat/7","read/1",%q]}`, mine)
		q.say(`{"type":"subscribe","topics":["chat/7"]}`)
		p.next()
		q.next()
		stranger := r.enter(live.Hello{Token: "other-token-" + string(p.device().ID), Topics: []herald.Topic{"chat/7"}})
		stranger.next()
		r.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"mine/{registration_id}"}})
		p.expect() // the hub was not told
		r.hub.Recheck(livetest.App)
		got := p.next()
		slices.Sort(got)
		if len(got) != 2 || !strings.Contains(got[0], `\"chat/7\"`) || !strings.Contains(got[1], `\"read/1\"`) {
			r.Errorf("got %s", got)
		}
		for _, f := range got {
			if !strings.HasPrefix(f, `{"type":"error","code":"forbidden",`) || !strings.Contains(f, `"field":"topic"`) {
				r.Errorf("got %s", f)
			}
		}
		q.expect(`{"type":"error","code":"forbidden",...`)
		stranger.expect()
		if list := r.hub.Topics(livetest.App, "", "", 9); len(list) != 1 || string(list[0].Topic) != mine {
			r.Errorf("left are %+v", list)
		}
		if n := r.publish(livetest.App, "chat/7", "1") + r.publish(livetest.App, "read/1", "1"); n != 0 {
			r.Errorf("%d devices are subscribed", n)
		}
		p.say(`{"type":"publish","topic":%q,"data":1}`, mine)
		p.expect(`{"type":"error","code":"forbidden",...`)
	})
}

// TestRulesChangeWhileSubscribing: there is no moment at which a subscription
// slips past the new rules.
func TestRulesChangeWhileSubscribing(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p := r.member()
		r.dir.meanwhile = func() {
			r.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{}})
			r.hub.Recheck(livetest.App)
		}
		p.say(`{"type":"subscribe","topics":["chat/7"]}`)
		p.expect(`{"type":"error","code":"forbidden",...`)
		if list := r.hub.Topics(livetest.App, "", "", 9); len(list) != 0 {
			r.Errorf("left are %+v", list)
		}
	})
}

// TestSlowSubscriber: it misses publications, which are counted, and nothing else.
func TestSlowSubscriber(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		slow, quick := r.member("chat/7"), r.member("chat/7")
		slow.sink.setRoom(0)
		for i := range 5 {
			r.publish(livetest.App, "chat/7", fmt.Sprint(i))
		}
		if n := r.hub.Dropped(); n != 5 {
			r.Errorf("%d dropped, want 5", n)
		}
		slow.expect()
		if got := quick.next(); len(got) != 5 {
			r.Errorf("the other one got %q", got)
		}
		slow.sink.setRoom(1 << 20)
		// It was not stalled: it takes what comes, with no word from the conn.
		r.publish(livetest.App, "chat/7", `"next"`)
		h := r.Accept(livetest.Send{Content: livetest.Text("a message"), To: []livetest.Member{{Device: slow.device()}}})
		if _, err := r.hub.Deliver(r.Context(), h); err != nil {
			r.Fatal(err)
		}
		slow.expect(topicOf("chat/7", `"next"`), `{"type":"message",...`)
		time.Sleep(2 * time.Minute)
		if _, code := slow.sink.got(); code == live.CloseSlow {
			r.Error("the session was closed as slow")
		}
		slow.Closed()
		r.publish(livetest.App, "chat/7", "1")
		if n := r.hub.Dropped(); n != 5 {
			r.Errorf("%d dropped, want 5: a closed session misses nothing", n)
		}
	})
}

func TestPublishRate(t *testing.T) {
	for rate, burst := range map[int]int{0: 20, 3: 6} {
		topical(t, live.Options{PublishRate: rate}, func(r *room) {
			p, other := r.member("chat/7"), r.member()
			publish := func(p *peer, n int) (refused int) {
				for range n {
					p.say(`{"type":"publish","topic":"chat/7","data":1,"ref":"x"}`)
				}
				for _, f := range p.next() {
					if strings.HasPrefix(f, `{"type":"error"`) {
						refused++
						if !strings.Contains(f, `"rate_limited"`) || !strings.Contains(f, `"ref":"x"`) || !strings.Contains(f, "/v1/publish") {
							r.Errorf("refused with %s", f)
						}
					}
				}
				return refused
			}
			if n := publish(p, burst+3); n != 3 {
				r.Errorf("%d of %d refused, want 3", n, burst+3)
			}
			if n := publish(other, 1); n != 0 {
				r.Error("a session pays for another")
			}
			p.next()
			time.Sleep(time.Second)
			if n := publish(p, burst/2+1); n != 1 {
				r.Errorf("after a second %d of %d refused, want 1", n, burst/2+1)
			}
			time.Sleep(time.Minute)
			if n := publish(p, burst+1); n != 1 {
				r.Errorf("after a minute %d of %d refused, want 1", n, burst+1)
			}
		})
	}
}

// TestSessionsEndWhileRechecked: what ended twice is ended once.
func TestSessionsEndWhileRechecked(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p, q := r.member("chat/7"), r.member("chat/7")
		r.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{}})
		r.dir.meanwhile = func() {
			p.Closed()
			q.Closed()
		}
		r.hub.Recheck(livetest.App)
		if list := r.hub.Topics(livetest.App, "", "", 9); len(list) != 0 {
			r.Errorf("left are %+v", list)
		}
	})
}
