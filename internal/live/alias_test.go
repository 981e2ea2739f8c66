package live_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
)

// aliasWorld counts what is read of aliases. Something may happen when that is
// read and not answered yet, and it may fail.
type aliasWorld struct {
	*directory
	reads     int
	meanwhile func()
	err       error
}

func (w *aliasWorld) AliasesOf(ctx context.Context, app herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]herald.Alias, error) {
	found, err := w.directory.AliasesOf(ctx, app, ords)
	w.reads += len(ords)
	if f := w.meanwhile; f != nil {
		w.meanwhile = nil
		f()
	}
	return found, errors.Join(err, w.err)
}

// byAlias are rules that name the alias.
var byAlias = herald.TopicRules{Subscribe: []herald.TopicFilter{"user/{alias}", "chat/#"}, Publish: []herald.TopicFilter{"user/{alias}/up"}}

// aliased runs a test with a device that has the alias anna.
func aliased(t *testing.T, first herald.TopicRules, f func(r *room, w *aliasWorld, m livetest.Member)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &aliasWorld{directory: &directory{World: livetest.NewWorld()}}
		w.Rule(first)
		r := &room{T: t, World: w.World, dir: w.directory, transport: &lines{}}
		r.hub = run(t, live.Options{Directory: w, Backlog: w, Receipts: w})
		m := w.Join(herald.PlatformWeb)
		w.Bind(m, "anna")
		f(r, w, m)
	})
}

const (
	subscribeAnna = `{"type":"subscribe","topics":["user/anna"]}`
	subscribeBen  = `{"type":"subscribe","topics":["user/ben"]}`
	annaUp        = `{"type":"publish","topic":"user/anna/up","data":1,"ref":"p"}`

	forbidden  = `{"type":"error","code":"forbidden",...`
	subscribed = `{"type":"subscribed",...`
)

// bound changes the alias as the API does.
func (r *room) bound(m livetest.Member, a herald.Alias) {
	r.hub.Rebind(livetest.App, m.Ord, r.Bind(m, a))
}

func (r *room) open(m livetest.Member) *peer {
	r.Helper()
	p := r.enter(live.Hello{Token: m.Token})
	p.next()
	return p
}

// TestTopicsOfAlias: a session has the topics of the alias that its device has
// at the moment.
func TestTopicsOfAlias(t *testing.T) {
	aliased(t, byAlias, func(r *room, w *aliasWorld, m livetest.Member) {
		p, nobody := r.open(m), r.member()
		p.say(subscribeAnna)
		p.expect(subscribed)
		p.say(annaUp)
		p.expect(`{"type":"published","ref":"p"}`)
		p.say(subscribeBen)
		p.expect(forbidden)
		nobody.say(subscribeAnna)
		nobody.expect(forbidden)

		r.bound(m, "ben")
		p.expect(`{"type":"error","code":"forbidden","detail":"no device may subscribe to the topic \"user/anna\"","remedy":"Ask for it.","field":"topic"}`)
		if n := r.publish(livetest.App, "user/anna", "1"); n != 0 {
			r.Errorf("%d devices still hear of anna", n)
		}
		p.say(subscribeBen)
		p.expect(subscribed)
		p.say(annaUp)
		p.expect(forbidden)

		old := r.Bind(m, "carl") // two calls at once, of which the older comes last
		r.hub.Rebind(livetest.App, m.Ord, r.Bind(m, "dora"))
		p.expect(forbidden)
		r.hub.Rebind(livetest.App, m.Ord, old)
		p.say(`{"type":"subscribe","topics":["user/dora"]}`)
		p.expect(subscribed)

		r.bound(m, "")
		p.expect(forbidden)
		p.say(`{"type":"subscribe","topics":["user/"]}`)
		p.expect(forbidden)
		r.bound(livetest.Member{Device: live.Device{App: livetest.App, Ord: 77}, Token: m.Token}, "x") // is not here
		w.reads = 0
		r.Rule(rules)
		r.hub.Recheck(livetest.App)
		r.open(m)
		r.bound(m, "anna")
		if w.reads != 0 {
			r.Errorf("%d aliases were read for rules that name none", w.reads)
		}
	})
}

// TestAliasWhileOpening: whatever happens to alias and rules while a session
// opens, it has the alias of then when it is open.
func TestAliasWhileOpening(t *testing.T) {
	for _, tt := range []struct {
		name      string
		first     herald.TopicRules
		meanwhile func(r *room, w *aliasWorld, m livetest.Member)
		want      string
	}{
		{"nothing", byAlias, nil, subscribeAnna},
		{"another alias", byAlias, func(r *room, w *aliasWorld, m livetest.Member) { r.bound(m, "ben") }, subscribeBen},
		{"there and back", byAlias, func(r *room, w *aliasWorld, m livetest.Member) {
			r.bound(m, "ben")
			r.bound(m, "anna")
		}, subscribeAnna},
		{"rules without, and with it again", byAlias, func(r *room, w *aliasWorld, m livetest.Member) {
			r.Rule(rules)
			r.hub.Recheck(livetest.App)
			r.Rule(byAlias)
			r.hub.Recheck(livetest.App)
		}, subscribeAnna},
		{"rules without it", byAlias, func(r *room, w *aliasWorld, m livetest.Member) {
			r.Rule(rules)
			r.hub.Recheck(livetest.App)
		}, `{"type":"subscribe","topics":["t/1"]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			aliased(t, tt.first, func(r *room, w *aliasWorld, m livetest.Member) {
				if tt.meanwhile != nil {
					w.meanwhile = func() { tt.meanwhile(r, w, m) }
				}
				p := r.open(m)
				p.say("%s", tt.want)
				p.expect(subscribed)
			})
		})
	}
}

// TestAliasWhileSubscribing: there is no moment at which a subscription stays
// that only the alias before allowed.
func TestAliasWhileSubscribing(t *testing.T) {
	aliased(t, byAlias, func(r *room, w *aliasWorld, m livetest.Member) {
		p := r.open(m)
		r.dir.meanwhile = func() { r.bound(m, "ben") }
		p.say(subscribeAnna)
		p.expect(forbidden)
		if list := r.hub.Topics(livetest.App, "", "", 9); len(list) != 0 {
			r.Errorf("left are %+v", list)
		}
	})
}

// TestRulesBeginToNameAlias: sessions that are open keep what the rules allow by
// alias.
func TestRulesBeginToNameAlias(t *testing.T) {
	aliased(t, herald.TopicRules{}, func(r *room, w *aliasWorld, m livetest.Member) {
		p, nobody := r.open(m), r.member("user/anna")
		p.say(subscribeAnna)
		p.expect(subscribed)
		p.say(subscribeBen)
		p.expect(subscribed)
		w.Rule(byAlias)
		r.hub.Recheck(livetest.App)
		p.expect(`{"type":"error","code":"forbidden","detail":"no device may subscribe to the topic \"user/ben\"",...`)
		nobody.expect(forbidden)
		p.say(annaUp)
		p.expect(`{"type":"published","ref":"p"}`)
		w.reads = 0
		r.hub.Recheck(livetest.App)
		if p.expect(); w.reads != 0 {
			r.Errorf("%d aliases were read again", w.reads)
		}
	})
}

// TestAliasUnread: what cannot be read allows nothing.
func TestAliasUnread(t *testing.T) {
	aliased(t, byAlias, func(r *room, w *aliasWorld, m livetest.Member) {
		p := r.open(m)
		w.err = errors.New("the disk is gone")
		c := &sink{room: 1}
		if err := r.hub.Attach(r.transport, c, false).Hello(live.Hello{Token: m.Token}); err != nil {
			r.Fatal(err)
		}
		synctest.Wait()
		if _, code := c.got(); code != live.CloseTooMany {
			r.Errorf("a session was opened, or closed with %d", code)
		}
		r.bound(m, "ben")
		if _, code := p.sink.got(); code != live.CloseTooMany {
			r.Errorf("a session stays that might have another alias, or was closed with %d", code)
		}
	})
	aliased(t, byAlias, func(r *room, w *aliasWorld, m livetest.Member) { // when it is read for the second time
		w.meanwhile = func() { r.bound(m, "ben"); w.err = errors.New("the disk is gone") }
		w.err = nil
		c := &sink{room: 1}
		_ = r.hub.Attach(r.transport, c, false).Hello(live.Hello{Token: m.Token})
		synctest.Wait()
		if _, code := c.got(); code != live.CloseTooMany {
			r.Errorf("a session was opened, or closed with %d", code)
		}
	})
	aliased(t, herald.TopicRules{}, func(r *room, w *aliasWorld, m livetest.Member) {
		p := r.open(m)
		p.say(subscribeAnna)
		p.expect(subscribed)
		w.Rule(byAlias)
		w.err = errors.New("the disk is gone")
		r.hub.Recheck(livetest.App)
		p.expect(forbidden)
		w.err = nil
		r.hub.Recheck(livetest.App) // reads what it could not before
		p.say(subscribeAnna)
		p.expect(subscribed)
	})
}

// TestAliasOfWhoOnlyReads: who cannot send, and does not subscribe, costs no read.
func TestAliasOfWhoOnlyReads(t *testing.T) {
	aliased(t, byAlias, func(r *room, w *aliasWorld, m livetest.Member) {
		for _, tt := range []struct {
			topics []herald.Topic
			reads  int
		}{{nil, 0}, {[]herald.Topic{"user/anna"}, 1}} {
			w.reads = 0
			if err := r.hub.Attach(r.transport, &sink{room: 100}, true).Hello(live.Hello{Token: m.Token, Topics: tt.topics}); err != nil {
				r.Fatal(err)
			}
			synctest.Wait()
			if w.reads != tt.reads {
				r.Errorf("%d topics: %d aliases were read", len(tt.topics), w.reads)
			}
		}
		if n := r.publish(livetest.App, "user/anna", "1"); n != 1 {
			r.Errorf("%d devices hear of anna", n)
		}
	})
}
