package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/sets"
)

func TestSubscribeAndPublishFrames(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p := r.member()
		id := p.device().ID
		hundred := make([]string, herald.MaxTopics)
		for i := range hundred {
			hundred[i] = fmt.Sprint("t/", i)
		}
		list, _ := json.Marshal(hundred)
		for _, c := range []struct {
			name, say string
			want      []string
			topics    int // of the session afterwards
		}{
			{"subscribe", `{"type":"subscribe","topics":["chat/7","read/1","chat/7"],"ref":"a"}`,
				[]string{`{"type":"subscribed","topics":["chat/7","read/1","chat/7"],"ref":"a"}`}, 2},
			{"again", `{"type":"subscribe","topics":["chat/7"]}`, []string{`{"type":"subscribed","topics":["chat/7"]}`}, 2},
			{"one is forbidden", `{"type":"subscribe","topics":["chat/8","secret/1"],"ref":"b"}`,
				[]string{`{"type":"error","code":"forbidden","detail":"no device may subscribe to the topic \"secret/1\"","remedy":"Ask for it.","field":"topics","ref":"b"}`}, 2},
			{"somebody else's", `{"type":"subscribe","topics":["mine/somebody"]}`, []string{`{"type":"error","code":"forbidden",...`}, 2},
			{"one is not valid", `{"type":"subscribe","topics":["chat/8","chat+"],"ref":"c"}`,
				[]string{`{"type":"error","code":"invalid_request","detail":"topic \"chat+\": ...`}, 2},
			{"its own", `{"type":"subscribe","topics":["mine/` + string(id) + `"]}`, []string{`{"type":"subscribed",...`}, 3},
			{"too many together", `{"type":"subscribe","topics":` + string(list) + `,"ref":"d"}`,
				[]string{`{"type":"error","code":"limit_reached","detail":"with \"t/97\" the session would have more than 100 topics",...`}, 3},
			{"unsubscribe", `{"type":"unsubscribe","topics":["chat/7","chat/9"],"ref":"e"}`,
				[]string{`{"type":"unsubscribed","topics":["chat/7","chat/9"],"ref":"e"}`}, 2},
			{"publish to itself", `{"type":"publish","topic":"mine/` + string(id) + `","data": {"a": 1} ,"ref":"f"}`,
				[]string{`{"type":"topic","topic":"mine/` + string(id) + `","time":"2000-01-01T00:00:00.000Z","from":"` + string(id) + `","data":{"a":1}}`, `{"type":"published","ref":"f"}`}, 2},
			{"publish without ref", `{"type":"publish","topic":"chat/7","data":1}`, nil, 2},
			{"publish where it may only read", `{"type":"publish","topic":"read/1","data":1,"ref":"g"}`,
				[]string{`{"type":"error","code":"forbidden","detail":"no device may publish to the topic \"read/1\"","remedy":"Ask for it.","field":"topic","ref":"g"}`}, 2},
			{"publish to a filter", `{"type":"publish","topic":"chat/#","data":1}`, []string{`{"type":"error","code":"invalid_request",...`}, 2},
			{"publish to a reserved name", `{"type":"publish","topic":"herald/x","data":1}`, []string{`{"type":"error","code":"invalid_request",...`}, 2},
			{"a wrong member", `{"type":"publish","topic":"chat/7","ref":"h"}`,
				[]string{`{"type":"error","code":"invalid_request","detail":"is missing","remedy":"Send any JSON value; null is one.","field":"data","ref":"h"}`}, 2},
		} {
			p.say("%s", c.say)
			if got := p.next(); !slices.EqualFunc(got, c.want, matches) {
				r.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
			}
			if n := len(r.hub.Topics(livetest.App, "", "", 1000)); n != c.topics {
				r.Errorf("%s: %d topics, want %d", c.name, n, c.topics)
			}
		}
		p.Closed()
		if n := len(r.hub.Topics(livetest.App, "", "", 1000)); n != 0 {
			r.Errorf("%d topics are left", n)
		}
	})
}

// TestTopicMethodsOfAClosedSession: what is exported does not rely on frames.
func TestTopicMethodsOfAClosedSession(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p := r.member()
		for _, names := range [][]herald.Topic{nil, make([]herald.Topic, herald.MaxTopics+1)} {
			for _, err := range []*herald.Error{p.Subscribe(names, false, ""), p.Unsubscribe(names, "")} {
				if herald.CodeOf(err) != herald.CodeInvalidRequest {
					r.Errorf("%d topics: %v", len(names), err)
				}
			}
		}
		p.Closed()
		for _, err := range []*herald.Error{
			p.Subscribe([]herald.Topic{"chat/7"}, true, ""), p.Unsubscribe([]herald.Topic{"chat/7"}, ""),
			p.Publish("chat/7", json.RawMessage("1"), ""),
		} {
			if herald.CodeOf(err) != herald.CodeConflict {
				r.Errorf("a closed session answers %v", err)
			}
		}
		p.expect()
	})
}

func TestPublicationsReachSubscribersOnly(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformWeb)
		first := r.enter(live.Hello{Token: m.Token, Topics: []herald.Topic{"chat/7"}})
		second := r.enter(live.Hello{Token: m.Token, Topics: []herald.Topic{"chat/7", "chat/8"}})
		first.expect(`{"type":"subscribed","topics":["chat/7"]}`)
		second.expect(`{"type":"subscribed","topics":["chat/7","chat/8"]}`)
		friend, nobody := r.member("chat/7"), r.member()
		stranger := r.enter(live.Hello{Token: "other-" + m.Token, Topics: []herald.Topic{"chat/7"}})
		stranger.next()

		if n := r.publish(livetest.App, "chat/7", `"all"`); n != 2 {
			r.Errorf("%d devices, want 2", n)
		}
		for _, p := range []*peer{first, second, friend} {
			p.expect(topicOf("chat/7", `"all"`))
		}
		nobody.expect()
		stranger.expect()
		if n := atomic.LoadInt64(&r.transport.encoded); n != 1 {
			r.Errorf("encoded %d times", n)
		}
		if n := r.publish(otherApp, "chat/7", `"theirs"`); n != 1 {
			r.Errorf("%d devices of the other app, want 1", n)
		}
		stranger.expect(topicOf("chat/7", `"theirs"`))
		stranger.say(`{"type":"publish","topic":"chat/7","data":1}`)
		stranger.expect(`{"type":"topic",...`)
		for _, p := range []*peer{first, second, friend, nobody} {
			p.expect()
		}
		first.say(`{"type":"unsubscribe","topics":["chat/7"]}`)
		first.expect(`{"type":"unsubscribed",...`)
		if n := r.publish(livetest.App, "chat/7", "1"); n != 2 {
			r.Errorf("%d devices, want 2: one session of the first is left", n)
		}
		first.expect()
		second.expect("{...")
		friend.expect("{...")

		for topic, want := range map[herald.Topic]int{"chat/7": 2, "chat/8": 1, "chat/9": 0} {
			if got := r.hub.Subscribers(livetest.App, topic); got.Len() != int64(want) {
				r.Errorf("%s has %v", topic, got.Ordinals())
			}
		}
		if got := r.hub.Subscribers(livetest.App, "chat/7"); !sets.Equal(got, sets.New(m.Ord, friend.device().Ord)) {
			r.Errorf("chat/7 has %v", got.Ordinals())
		}
		if r.publish(livetest.App, "chat/9", "1") != 0 || r.publish("unknown", "chat/7", "1") != 0 || r.publish(livetest.App, "chat/7", "{") != 0 {
			r.Error("a publication without subscribers, app or JSON reached somebody")
		}
		if !r.hub.Subscribers("unknown", "chat/7").Empty() || r.hub.Topics("unknown", "", "", 9) != nil {
			r.Error("an app that was never here has topics")
		}
		r.hub.Recheck("unknown")
		friend.expect()
	})
}

// TestTopicsList: names in order, a page at a time.
func TestTopicsList(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		m := r.Join(herald.PlatformWeb)
		for range 2 {
			r.enter(live.Hello{Token: m.Token, Topics: []herald.Topic{"chat/b", "chat/a", "t/1"}})
		}
		r.member("chat/a", "chat/c")
		a, b := live.TopicCount{Topic: "chat/a", Devices: 2, Sessions: 3}, live.TopicCount{Topic: "chat/b", Devices: 1, Sessions: 2}
		c, d := live.TopicCount{Topic: "chat/c", Devices: 1, Sessions: 1}, live.TopicCount{Topic: "t/1", Devices: 1, Sessions: 2}
		for _, q := range []struct {
			prefix string
			after  herald.Topic
			limit  int
			want   []live.TopicCount
		}{
			{"", "", 10, []live.TopicCount{a, b, c, d}},
			{"chat/", "", 2, []live.TopicCount{a, b}},
			{"chat/", "chat/b", 2, []live.TopicCount{c}},
			{"x", "", 2, nil},
			{"", "", 0, nil},
			{"", "", -1, nil},
		} {
			if got := r.hub.Topics(livetest.App, q.prefix, q.after, q.limit); len(got)+len(q.want) > 0 && !reflect.DeepEqual(got, q.want) {
				r.Errorf("%+v: got %+v", q, got)
			}
		}
	})
}

// TestTopicsPages: whatever the order in which the names are met and the size of
// a page, all pages together are all topics in order.
func TestTopicsPages(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		token := r.Join(herald.PlatformWeb).Token
		var want []string
		for i := range 3 {
			var names []herald.Topic
			for j := range herald.MaxTopics {
				name := fmt.Sprintf("t/%d", (i*herald.MaxTopics+j)*7919%1000)
				names, want = append(names, herald.Topic(name)), append(want, name)
			}
			r.enter(live.Hello{Token: token, Topics: names})
		}
		slices.Sort(want)
		for _, limit := range []int{1, 2, 7, 100, 299, 300, 301, 1000} {
			var got []string
			for after := herald.Topic(""); ; {
				page := r.hub.Topics(livetest.App, "t/", after, limit)
				if len(page) > limit {
					r.Fatalf("%d topics on a page of %d", len(page), limit)
				}
				if len(page) == 0 {
					break
				}
				for _, c := range page {
					got, after = append(got, string(c.Topic)), c.Topic
				}
			}
			if !slices.Equal(got, want) {
				r.Errorf("pages of %d give %d topics, want %d", limit, len(got), len(want))
			}
		}
	})
}

// TestSubscriptionsEndWithTheSession, however that ends.
func TestSubscriptionsEndWithTheSession(t *testing.T) {
	for name, end := range map[string]func(*room, *peer){
		"the connection is gone": func(_ *room, p *peer) { p.Closed() },
		"closed":                 func(_ *room, p *peer) { p.Close(live.Reason{Code: live.CloseProtocol}) },
		"disconnected": func(r *room, p *peer) {
			r.hub.Disconnect(livetest.App, p.device().Ord, live.Reason{Code: live.CloseForbidden})
		},
		"a broken frame": func(_ *room, p *peer) { p.say("[") },
		"silence":        func(r *room, _ *peer) { time.Sleep(2 * time.Minute) },
		"drained":        func(r *room, _ *peer) { _ = r.hub.Drain(r.Context()) },
		"replaced": func(r *room, p *peer) {
			for range herald.MaxSessions {
				r.enter(live.Hello{Token: "token-" + string(p.device().ID)})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			topical(t, live.Options{}, func(r *room) {
				p := r.member("chat/7", "chat/8")
				end(r, p)
				synctest.Wait()
				if _, code := p.sink.got(); code == 0 && name != "the connection is gone" {
					r.Error("the session is not closed")
				}
				if got := r.hub.Topics(livetest.App, "", "", 9); len(got) != 0 {
					r.Errorf("left are %+v", got)
				}
				before := len(p.next())
				if r.publish(livetest.App, "chat/7", "1") != 0 || len(p.next()) != 0 || before > 1 {
					r.Error("a closed session is subscribed")
				}
			})
		})
	}
}

// TestSubscribeBeforeWelcome: what is said while the token is being checked is
// done once the session is open.
func TestSubscribeBeforeWelcome(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		c := &sink{room: 100}
		p := &peer{r, r.hub.Attach(r.transport, c, false), c, 0}
		p.Receive([]byte(`{"type":"hello","token":"` + r.Join(herald.PlatformWeb).Token + `"}`))
		p.Receive([]byte(`{"type":"subscribe","topics":["chat/7"],"ref":"1"}`))
		p.Receive([]byte(`{"type":"publish","topic":"chat/7","data":1}`))
		p.expect(`{"type":"welcome",...`, `{"type":"subscribed","topics":["chat/7"],"ref":"1"}`, `{"type":"topic",...`)
	})
}

// TestTopicsOfTheRequest: over a transport whose clients can be told, what is
// refused is an error after the welcome.
func TestTopicsOfTheRequest(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		token := r.Join(herald.PlatformWeb).Token
		for names, want := range map[string]string{
			"chat/7,secret": `{"type":"error","code":"forbidden","detail":"no device may subscribe to the topic \"secret\"","remedy":"Ask for it.","field":"topic"}`,
			"chat/7,":       `{"type":"error","code":"invalid_request","detail":"topic \"\": is empty","remedy":"Give it a name, such as chat/7.","field":"topic"}`,
			"chat/7" + strings.Repeat(",chat/8", herald.MaxTopics): `{"type":"error","code":"invalid_request","detail":"101 topics are not between 1 and 100","remedy":"Name 1 to 100 topics.","field":"topic"}`,
		} {
			p := r.enter(live.Hello{Token: token, Topics: topicsOf(names)})
			p.expect(want)
			if got := r.hub.Topics(livetest.App, "", "", 9); len(got) != 0 {
				r.Errorf("%.40s: subscribed to %+v", names, got)
			}
			p.Closed()
		}
	})
}

func topicsOf(names string) (out []herald.Topic) {
	for _, s := range strings.Split(names, ",") {
		out = append(out, herald.Topic(s))
	}
	return out
}

func TestRequestHelloTopics(t *testing.T) {
	many := strings.Repeat("&topic=a", herald.MaxTopics+50)
	for _, c := range []struct {
		query    string
		topics   int
		presence bool
		field    string
	}{
		{"topic=chat%2F7&topic=%23&topic=", 3, false, ""},
		{"topic=a&presence=1", 1, true, ""},
		{"topic=a&presence=true", 1, true, ""},
		{"topic=a&presence=0", 1, false, ""},
		{"topic=a&presence=false", 1, false, ""},
		{"topic=a&presence=yes", 0, false, "presence"},
		{"topics=a", 0, false, "topics"},
		{many, herald.MaxTopics + 1, false, ""},
	} {
		got, err := live.RequestHello(httptest.NewRequest("GET", "/?"+c.query, nil))
		e := (*herald.Error)(nil)
		if errors.As(err, &e) != (c.field != "") || e != nil && e.Field != c.field {
			t.Errorf("%.40s: %v", c.query, err)
		} else if e == nil && (len(got.Topics) != c.topics || got.Presence != c.presence) {
			t.Errorf("%.40s: %+v", c.query, got)
		}
	}
}
