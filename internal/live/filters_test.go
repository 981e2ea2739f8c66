package live_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/record"
)

// subscriber is a Conn that takes publications itself.
type subscriber struct {
	sink
	client string

	lock    sync.Mutex // guards what follows
	got     []string
	refuses bool
	full    bool
	revoked []string
}

func (s *subscriber) Published(o *live.Outgoing, filters []herald.TopicFilter, groups []string) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.full {
		return live.ErrFull
	}
	f := o.Frame(uint32(o.QoS), func() live.Frame { return append(live.Frame(slices.Clone(o.Data)), o.Payload...) })
	slices.Sort(filters)
	slices.Sort(groups)
	s.got = append(s.got, fmt.Sprintf("%s=%s@%d %v %v", o.Topic, f, o.Pos, filters, groups))
	return nil
}

func (s *subscriber) ClientID() string { return s.client }

func (s *subscriber) Accepts(*live.Outgoing) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return !s.refuses
}

func (s *subscriber) Revoked(filter string, why *herald.Error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.revoked = append(s.revoked, filter+" "+string(why.Code))
}

func (s *subscriber) set(f func(*subscriber)) {
	s.lock.Lock()
	defer s.lock.Unlock()
	f(s)
}

func (s *subscriber) take() []string {
	s.lock.Lock()
	defer s.lock.Unlock()
	got := s.got
	s.got = nil
	return got
}

// self is a transport whose conns are subscribers.
type self struct{ lines }

// client opens a session that takes publications itself.
func (r *room) client(token, id string, filters ...string) (*live.Session, *subscriber) {
	r.Helper()
	c := &subscriber{sink: sink{room: 1 << 20}, client: id}
	s := r.hub.Attach(selfTransport, c, false)
	if err := s.Hello(live.Hello{Token: token}); err != nil {
		r.Fatal(err)
	}
	synctest.Wait()
	for _, f := range filters {
		if err := s.SubscribeFilter(f); err != nil {
			r.Fatal(err)
		}
	}
	return s, c
}

var selfTransport = &self{}

func (r *room) expectGot(c *subscriber, want ...string) {
	r.Helper()
	if got := c.take(); !slices.Equal(got, want) {
		r.Fatalf("%s got %q, want %q", c.client, got, want)
	}
}

func open(r *room) { r.Rule(herald.TopicRules{Publish: []herald.TopicFilter{"#"}}) }

// TestFiltersOncePerSession: one frame for a session, however many of its
// filters match, and every device is counted once.
func TestFiltersOncePerSession(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		open(r)
		m := r.Join(herald.PlatformWeb)
		p := r.enter(live.Hello{Token: m.Token, Topics: []herald.Topic{"chat/+", "chat/7", "#"}})
		p.expect(`{"type":"subscribed","topics":["chat/+","chat/7","#"]}`)
		again := r.enter(live.Hello{Token: m.Token, Topics: []herald.Topic{"chat/#"}})
		again.next()
		_, c := r.client(r.Join(herald.PlatformWeb).Token, "c", "chat/+", "+/7", "other/+", "chat/7")
		name := r.member("chat/7")
		stranger := r.enter(live.Hello{Token: "other-" + m.Token, Topics: []herald.Topic{"#", "chat/+"}})
		stranger.next()

		if n := r.publish(livetest.App, "chat/7", "1"); n != 3 {
			r.Errorf("%d devices, want 3", n)
		}
		for _, q := range []*peer{p, again, name} {
			q.expect(topicOf("chat/7", "1"))
		}
		r.expectGot(c, "chat/7=1@0 [+/7 chat/+ chat/7] []")
		stranger.expect()
		if got := r.hub.Subscribers(livetest.App, "chat/7"); got.Len() != 3 {
			r.Errorf("subscribers are %v", got.Ordinals())
		}
		if n := r.publish(livetest.App, "chat/8", "2"); n != 2 {
			r.Errorf("%d devices, want 2", n)
		}
		p.expect(topicOf("chat/8", "2"))
		again.expect(topicOf("chat/8", "2"))
		r.expectGot(c, "chat/8=2@0 [chat/+] []")
		p.say(`{"type":"unsubscribe","topics":["#","chat/+"]}`)
		p.next()
		if n := r.publish(livetest.App, "chat", "3"); n != 1 { // chat/# selects chat
			r.Errorf("%d devices, want 1", n)
		}
		again.expect(topicOf("chat", "3"))
		p.expect()
		stranger.expect()
		c.set(func(c *subscriber) { c.full = true })
		r.publish(livetest.App, "other/1", "4")
		if r.hub.Dropped() != 1 {
			r.Errorf("%d dropped, want 1", r.hub.Dropped())
		}
		want := []live.TopicCount{{Topic: "+/7", Devices: 1, Sessions: 1}, {Topic: "chat/#", Devices: 1, Sessions: 1}, {Topic: "chat/+", Devices: 1, Sessions: 1},
			{Topic: "chat/7", Devices: 3, Sessions: 3}, {Topic: "other/+", Devices: 1, Sessions: 1}}
		if got := r.hub.Topics(livetest.App, "", "", 9); !slices.Equal(got, want) {
			r.Errorf("topics are %+v", got)
		}
	})
}

// TestFilterRefusals: what is no filter, what may not be, and how many.
func TestFilterRefusals(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p := r.member()
		p.say(`{"type":"subscribe","topics":["chat/7","chat/+"],"presence":true,"ref":"x"}`)
		p.expect(`{"type":"subscribed",...`, presenceOf("chat/7", 1)) // a filter has none
		p.say(`{"type":"unsubscribe","topics":["chat/7","chat/+"]}`)
		p.expect(`{"type":"unsubscribed",...`)
		p.say(`{"type":"subscribe","topics":["$share/g/chat/+"]}`)
		p.expect(`{"type":"error","code":"invalid_request",...`)
		open(r)
		s, c := r.client(r.Join(herald.PlatformWeb).Token, "c")
		for _, f := range []string{"", "a/#/b", "a+", "$share/g", "$share//a", "$share/g+/a", "$share/g/", "$share/" + strings.Repeat("g", 300) + "/a", "$SYS/#", "herald/push", "$share/g/herald/#"} {
			if err := s.SubscribeFilter(f); herald.CodeOf(err) != herald.CodeInvalidRequest {
				r.Errorf("%q: %v", f, err)
			}
			if s.UnsubscribeFilter(f) {
				r.Errorf("%q was there", f)
			}
		}
		for i := range herald.MaxSubscriptions {
			if err := s.SubscribeFilter(fmt.Sprintf("a/%d/+", i)); err != nil {
				r.Fatal(err)
			}
		}
		if err := s.SubscribeFilter("a/1/+"); err != nil {
			r.Error(err) // it is there
		}
		if err := s.SubscribeFilter("one/more"); herald.CodeOf(err) != herald.CodeLimitReached {
			r.Error(err)
		}
		if !s.UnsubscribeFilter("a/1/+") || s.UnsubscribeFilter("a/1/+") {
			r.Error("a subscription ends once")
		}
		r.Rule(herald.TopicRules{Subscribe: []herald.TopicFilter{"chat/7"}})
		if err := s.SubscribeFilter("$share/g/chat/8"); herald.CodeOf(err) != herald.CodeForbidden {
			r.Error(err)
		}
		if err := s.SubscribeFilter("$share/g/chat/7"); err != nil {
			r.Error(err) // the rules are about topics, not groups
		}
		r.hub.Recheck(livetest.App)
		if len(c.revoked) != herald.MaxSubscriptions-1 || !strings.HasSuffix(c.revoked[0], " forbidden") {
			r.Errorf("%d ended: %.100q", len(c.revoked), c.revoked)
		}
		if got := r.hub.Topics(livetest.App, "", "", 9); len(got) != 1 || got[0].Topic != "$share/g/chat/7" {
			r.Errorf("left are %+v", got)
		}
		s.Closed()
		if err := s.SubscribeFilter("chat/7"); herald.CodeOf(err) != herald.CodeConflict {
			r.Error(err)
		}
		if len(r.hub.Topics(livetest.App, "", "", 9)) != 0 {
			r.Error("subscriptions are left")
		}
	})
}

// TestSharedGroups: each group has one of its sessions get it, in turn, of those
// that accept.
func TestSharedGroups(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		open(r)
		var list []*subscriber
		var sessions []*live.Session
		for i := range 3 {
			s, c := r.client(r.Join(herald.PlatformWeb).Token, fmt.Sprint("c", i), "$share/g/job/+")
			list, sessions = append(list, c), append(sessions, s)
		}
		_, other := r.client(r.Join(herald.PlatformWeb).Token, "other", "$share/h/job/#", "$share/g/job/1/x", "job/+")
		r.client("other-"+r.Join(herald.PlatformWeb).Token, "stranger", "$share/g/job/+")
		for i := range 6 {
			if n := r.publish(livetest.App, "job/1", fmt.Sprint(i)); n != 2 {
				r.Errorf("%d devices, want 2", n)
			}
			r.expectGot(list[i%3], fmt.Sprintf("job/1=%d@0 [] [$share/g/job/+]", i))
			r.expectGot(other, fmt.Sprintf("job/1=%d@0 [job/+] [$share/h/job/#]", i))
			for _, c := range list {
				r.expectGot(c)
			}
		}
		list[0].set(func(c *subscriber) { c.refuses = true })
		sessions[1].Closed()
		for i := range 4 {
			r.publish(livetest.App, "job/1", fmt.Sprint(i))
		}
		if got := list[2].take(); len(got) != 4 {
			r.Errorf("the one that accepts got %q", got)
		}
		list[2].set(func(c *subscriber) { c.refuses = true })
		if n := r.publish(livetest.App, "job/2", "1"); n != 1 {
			r.Errorf("%d devices, want 1", n)
		}
		for _, c := range list {
			r.expectGot(c)
		}
		if n := r.hub.Subscribers(livetest.App, "job/1").Len(); n != 1 {
			r.Errorf("%d subscribers, want the one that does not share", n)
		}
	})
}

// topicLog keeps what is appended until the test lets it go.
type topicLog struct {
	live.TopicLog
	wanted, pending bool
	held            []func()
	entries         []*record.TopicEntry
	err             error
}

func (l *topicLog) Wanted(herald.AppKey, herald.Topic) bool { return l.wanted }
func (l *topicLog) Pending(herald.AppKey) bool              { return l.pending || len(l.held) > 0 }
func (l *topicLog) Append(_ herald.AppKey, e *record.TopicEntry, then func(error)) {
	l.entries = append(l.entries, e)
	l.held = append(l.held, func() {
		if l.err == nil && l.wanted {
			e.Pos = herald.Pos(len(l.entries))
		}
		then(l.err)
	})
}

func (l *topicLog) release() {
	held := l.held
	l.held = nil
	for _, f := range held {
		f()
	}
}

// TestStoredPublications: with a QoS above 0 they are handed on when they are
// stored, and the rest at once.
func TestStoredPublications(t *testing.T) {
	log := &topicLog{}
	topical(t, live.Options{TopicLog: log}, func(r *room) {
		open(r)
		s, c := r.client(r.Join(herald.PlatformWeb).Token, "c", "a/+", "$share/g/a/+")
		var then []string
		publish := func(data string, qos byte) {
			r.hub.PublishThen(livetest.App, live.Publication{Topic: "a/1", Data: json.RawMessage(data), QoS: qos, Client: "p"}, func(n int, err error) {
				then = append(then, fmt.Sprintf("%s:%d:%v", data, n, err))
			})
		}
		expectThen := func(want ...string) {
			r.Helper()
			if !slices.Equal(then, want) {
				r.Errorf("then %q, want %q", then, want)
			}
			then = nil
		}
		publish("1", 1) // nobody wants it
		r.expectGot(c, "a/1=1@0 [a/+] [$share/g/a/+]")
		expectThen("1:1:<nil>")
		log.wanted = true
		publish("2", 1)
		publish("3", 0) // QoS 0 waits for nothing
		r.expectGot(c, "a/1=3@0 [a/+] [$share/g/a/+]")
		expectThen("3:1:<nil>")
		log.wanted = false
		publish("4", 2) // not wanted, and not before what waits
		r.expectGot(c)
		log.wanted = true
		log.release()
		r.expectGot(c, "a/1=2@2 [a/+] [$share/g/a/+]", "a/1=4@2 [a/+] [$share/g/a/+]")
		expectThen("2:1:<nil>", "4:1:<nil>")
		if e := log.entries[0]; e.QoS != 1 || e.Client != "p" || !slices.Equal(e.Shares, []live.Share{{Group: "g", Filter: "a/+", Client: "c"}}) {
			r.Errorf("stored is %+v", e)
		}
		log.err = errors.New("busy")
		publish("5", 1)
		log.release()
		r.expectGot(c)
		expectThen("5:0:busy")
		// For an app of which nobody is here it is stored as well.
		log.err = nil
		r.hub.Publish("nobody", live.Publication{Topic: "a/1", Data: json.RawMessage("1"), QoS: 1})
		if len(log.held) != 1 {
			r.Error("it is not stored")
		}
		log.release()
		// The number of the packet has to be noted, whoever wants it.
		log.wanted = false
		if err := s.PublishThen(live.Publication{Topic: "a/1", Data: json.RawMessage("6"), QoS: 2, In: 7}, func(int, error) {}); err != nil {
			r.Fatal(err)
		}
		if e := log.entries[len(log.entries)-1]; e.In != 7 || e.From == "" {
			r.Errorf("stored is %+v", e)
		}
		log.release()
		r.expectGot(c, "a/1=6@0 [a/+] [$share/g/a/+]")
		// What has expired while it waited is not handed on.
		log.wanted = true
		r.hub.Publish(livetest.App, live.Publication{Topic: "a/1", Data: json.RawMessage("7"), QoS: 1, Expires: time.Now().Add(time.Second)})
		time.Sleep(time.Second)
		log.release()
		r.expectGot(c)
	})
}

// TestPayloads: bytes that were published over MQTT, as other transports see them.
func TestPayloads(t *testing.T) {
	topical(t, live.Options{}, func(r *room) {
		p := r.member("chat/+")
		for payload, want := range map[string]string{
			`{"a": [1]}`:         `"data":{"a":[1]}`,
			"21.5":               `"data":21.5`,
			"":                   `"data":""`,
			"on <b>":             `"data":"on <b>"`,
			"{":                  `"data":"{"`,
			"\xff\x00":           `"base64":"/wA="`,
			"\"\xff\"":           `"base64":"Iv8i"`,
			"zwei\nZeilen\u2028": `"data":"zwei\nZeilen\u2028"`,
		} {
			r.hub.Publish(livetest.App, live.Publication{Topic: "chat/1", Payload: []byte(payload)})
			p.expect(`{"type":"topic","topic":"chat/1","time":"2000-01-01T00:00:00.000Z",` + want + "}")
		}
		r.hub.Publish(livetest.App, live.Publication{Topic: "chat/1", Payload: []byte("x"), Props: &live.PublicationProps{
			ContentType: "text/plain", User: []live.UserProperty{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Value: ""}}}})
		p.expect(`{"type":"topic","topic":"chat/1","time":"2000-01-01T00:00:00.000Z","data":"x","content_type":"text/plain","properties":{"a":"2","b":""}}`)
	})
}

// TestFiltersComeAndGo: a session that stays gets each publication exactly once
// while others come and go, and it changes its other subscriptions itself.
func TestFiltersComeAndGo(t *testing.T) {
	w := livetest.NewWorld()
	w.Rule(herald.TopicRules{})
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w})
	done := make(chan error, 1)
	go func() { done <- hub.Run(t.Context()) }()
	defer func() { hub.Close(); <-done }()
	attach := func(id string) (*live.Session, *subscriber) {
		c := &subscriber{sink: sink{room: 1 << 20, welcomed: make(chan struct{})}, client: id}
		s := hub.Attach(selfTransport, c, false)
		if err := s.Hello(live.Hello{Token: w.Join(herald.PlatformWeb).Token}); err != nil {
			t.Fatal(err)
		}
		<-c.welcomed
		return s, c
	}
	stays, got := attach("stays")
	if err := stays.SubscribeFilter("a/+"); err != nil {
		t.Fatal(err)
	}
	other, _ := attach("other")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i, f := range []struct {
		s *live.Session
		f string
	}{{stays, "#"}, {stays, "a/1"}, {other, "a/+"}, {other, "$share/g/#"}, {stays, "$share/g/#"}} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := f.s.SubscribeFilter(f.f); err != nil {
					t.Error(i, err)
				}
				f.s.UnsubscribeFilter(f.f)
			}
		})
	}
	const publications = 2000
	for i := range publications {
		hub.Publish(livetest.App, live.Publication{Topic: "a/1", Payload: []byte(fmt.Sprint(i))})
	}
	close(stop)
	wg.Wait()
	met := map[string]int{}
	for _, g := range got.take() {
		name, _, _ := strings.Cut(g, "@")
		if strings.Contains(g, "a/+") {
			met[name]++
		}
	}
	for i := range publications {
		if n := met[fmt.Sprintf("a/1=%d", i)]; n < 1 {
			t.Fatalf("publication %d came %d times", i, n)
		}
	}
}
