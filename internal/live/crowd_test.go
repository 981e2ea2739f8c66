package live_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/live/livetest"
	"github.com/herald-push/herald/internal/sets"
)

// TestManySubscribers: sessions come and go, few and more than are looked at
// together; the counts and who gets what follow a model.
func TestManySubscribers(t *testing.T) {
	for _, n := range []int{30, 70, 1500} {
		topical(t, live.Options{}, func(r *room) {
			random := rand.New(rand.NewPCG(1, 2))
			c := r.crowd(n)
			for step, stay := range []int{100, 30, 90, 2, 60, 0} {
				c.change(random, stay)
				for _, name := range crowdTopics {
					c.check(name, fmt.Sprintf(`"%d of %s"`, step, name))
				}
			}
			if list := r.hub.Topics(livetest.App, "", "", 9); len(list) != 0 {
				r.Fatalf("left are %+v", list)
			}
		})
	}
}

var crowdTopics = []herald.Topic{"chat/1", "chat/2", "chat/3"}

// crowd is many sessions, and what each should be subscribed to.
type crowd struct {
	*room
	peers []*peer
	ords  []herald.Ordinal
	model []map[herald.Topic]bool
}

// crowd opens sessions; every other device has two.
func (r *room) crowd(n int) *crowd {
	r.Helper()
	c := &crowd{room: r}
	var m livetest.Member
	for i := range n {
		if i%3 != 1 { // the 65th session, with which a topic is not small any more, is a second one
			m = r.Join(herald.PlatformWeb)
		}
		k := &sink{room: 1 << 20}
		p := &peer{r, r.hub.Attach(r.transport, k, false), k, 1}
		if err := p.Hello(live.Hello{Token: m.Token}); err != nil {
			r.Fatal(err)
		}
		c.peers, c.ords, c.model = append(c.peers, p), append(c.ords, m.Ord), append(c.model, map[herald.Topic]bool{})
	}
	synctest.Wait()
	return c
}

// change has so many percent of the sessions be subscribed to each topic.
func (c *crowd) change(random *rand.Rand, percent int) {
	c.Helper()
	for i, p := range c.peers {
		for _, name := range crowdTopics {
			var err *herald.Error
			switch want := random.IntN(100) < percent; {
			case want && !c.model[i][name]:
				err = p.Subscribe([]herald.Topic{name}, random.IntN(2) == 0, "")
				c.model[i][name] = true
			case !want && c.model[i][name]:
				err = p.Unsubscribe([]herald.Topic{name}, "")
				delete(c.model[i], name)
			}
			if err != nil {
				c.Fatal(err)
			}
		}
	}
}

// check counts who is subscribed to a topic, and publishes to them.
func (c *crowd) check(name herald.Topic, data string) {
	c.Helper()
	want, sessions := sets.New(), 0
	for i := range c.peers {
		if c.model[i][name] {
			want.Add(c.ords[i])
			sessions++
		}
	}
	var count live.TopicCount
	if list := c.hub.Topics(livetest.App, string(name), "", 1); len(list) > 0 {
		count = list[0]
	}
	if count.Devices != int(want.Len()) || count.Sessions != sessions || !sets.Equal(c.hub.Subscribers(livetest.App, name), want) {
		c.Fatalf("%s: %+v, want %d devices in %d sessions", data, count, want.Len(), sessions)
	}
	if n := c.publish(livetest.App, name, data); n != int(want.Len()) {
		c.Fatalf("%s: reached %d, want %d", data, n, want.Len())
	}
	for i, p := range c.peers {
		times := 0
		for _, f := range p.next() {
			if strings.Contains(f, data) {
				times++
			}
		}
		if subscribed := c.model[i][name]; times > 1 || times == 1 != subscribed {
			c.Fatalf("%s: session %d got it %d times, subscribed: %v", data, i, times, subscribed)
		}
	}
}

// TestPublishWhileOthersComeAndGo: who stays gets everything once and in order.
func TestPublishWhileOthersComeAndGo(t *testing.T) {
	w := livetest.NewWorld()
	hub := live.NewHub(live.Options{Directory: w, Backlog: w, Receipts: w})
	done := make(chan error, 1)
	go func() { done <- hub.Run(t.Context()) }()
	transport := &lines{}
	attach := func() (*live.Session, *sink) {
		c := &sink{room: 1 << 20, welcomed: make(chan struct{})}
		s := hub.Attach(transport, c, false)
		if err := s.Hello(live.Hello{Token: w.Join(herald.PlatformWeb).Token}); err != nil {
			t.Error(err)
		}
		<-c.welcomed
		return s, c
	}
	const stay, publications = 700, 100
	var staying []*sink
	for range stay {
		s, c := attach()
		if err := s.Subscribe([]herald.Topic{"chat/7"}, true, ""); err != nil {
			t.Fatal(err)
		}
		staying = append(staying, c)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				s, _ := attach()
				if err := s.Subscribe([]herald.Topic{"chat/7", "chat/8"}, true, ""); err != nil {
					t.Error(err)
				}
				_ = s.Unsubscribe([]herald.Topic{"chat/7"}, "")
				s.Closed()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range publications {
		if n := hub.Publish(livetest.App, live.Publication{Topic: "chat/7", Data: json.RawMessage(fmt.Sprint(i))}); n < stay {
			t.Fatalf("publication %d reached %d", i, n)
		}
		hub.Recheck(livetest.App)
	}
	close(stop)
	wg.Wait()
	for _, c := range staying {
		frames, _ := c.got()
		next := 0
		for _, f := range frames {
			if strings.HasPrefix(f, `{"type":"topic"`) {
				if !strings.HasSuffix(f, fmt.Sprintf(`"data":%d}`+"\n", next)) {
					t.Fatalf("got %s, want number %d", f, next)
				}
				next++
			}
		}
		if next != publications {
			t.Fatalf("got %d publications, want %d", next, publications)
		}
	}
	hub.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
