package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// forum is who publishes and subscribes over MQTT, in two apps, and the journal
// of it.
type forum struct {
	ctx     context.Context
	w       *world // nil where nothing is pushed
	address func() string
	random  func(stream string, n int) *rand.Rand
	pace    time.Duration // between two posts of a member
	loss    int           // one packet of so many is lost, and the connection with it
	least   time.Duration // that a connection is not cut otherwise
	members []*member
	calm    *atomic.Bool // everybody stays connected and acknowledges at once
	quiet   atomic.Bool  // nobody posts
	last    atomic.Bool  // everybody connects once more, and posts a last time

	mu       sync.Mutex // guards what follows
	posts    map[string]*post
	arrivals []arrival
	wrong    []string
}

// post is what a member published.
type post struct {
	app, from   int
	nonce       string
	topic       string
	payload     []byte
	qos         byte
	seq         int       // of those of its member with this topic and QoS
	began, kept time.Time // kept: when the server said that it has it
}

// arrival is a post that reached the application of a member.
type arrival struct {
	member, conn          int
	topic, nonce, payload string
	qos                   byte
	at                    time.Time
}

// filtersOf are the subscriptions of the members of an app, by turns. The first
// level of a topic is t, those behind it are 0 to 2.
var filtersOf = [][]filter{
	{{text: "t/#", qos: 2}},
	{{text: "t/+/1", qos: 2}, {text: "t/0/0", qos: 1}, {text: "t/2/2", qos: 2}},
	{{text: "t/1/+", qos: 1}, {text: "t/0/2", qos: 0}},
	{{text: "t/0/0", qos: 2}, {text: "t/1/1", qos: 2}, {text: "t/2/#", qos: 1}},
}

// join adds a member, which plays as soon as the forum begins.
func (f *forum) join(m *member) {
	m.f, m.index = f, len(f.members)
	m.version = 4 + byte(m.index+m.index/len(filtersOf))%2
	m.filters = slices.Clone(filtersOf[m.index%len(filtersOf)])
	m.in, m.seqs = map[uint16]string{}, map[string]int{}
	f.members = append(f.members, m)
}

func (f *forum) pause(d time.Duration) {
	select {
	case <-f.ctx.Done():
	case <-time.After(d):
	}
}

// complain notes what no server may do, and ends the connection.
func (f *forum) complain(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
	return errEnded
}

func (f *forum) granted(m *member, i int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m.filters[i].since.IsZero() {
		m.filters[i].since = time.Now()
	}
}

func (f *forum) begin(m *member, topic string, qos byte, seq int) *post {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := &post{app: m.app, from: m.index, nonce: fmt.Sprintf("p%d-%d", m.index, len(f.posts)), topic: topic, qos: qos, seq: seq, began: time.Now()}
	p.payload = fmt.Appendf(nil, `{"nonce":%q,"app":%d}`, p.nonce, p.app)
	f.posts[p.nonce] = p
	return p
}

func (f *forum) owned(p *post) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.kept.IsZero() {
		p.kept = time.Now()
	}
}

func (f *forum) arrived(a arrival) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrivals = append(f.arrivals, a)
}

// matching gives the subscription by which a post comes to a member.
func (m *member) matching(p *post) (filter, bool) {
	for _, x := range m.filters {
		if m.app == p.app && matches(x.text, p.topic) {
			return x, true
		}
	}
	return filter{}, false
}

// matches: a filter covers a topic (MQTT 5.0 section 4.7.1).
func matches(filter, topic string) bool {
	a, b := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range a {
		switch {
		case level == "#":
			return true
		case i >= len(b) || level != "+" && level != b[i]:
			return false
		}
	}
	return len(a) == len(b)
}

// due lists the posts that a member must have got: the server has said that it
// has them, and they were published after the subscription was granted.
func (f *forum) due() (list []obligation) {
	for _, p := range f.posts {
		if p.qos == 0 || p.kept.IsZero() {
			continue
		}
		for _, m := range f.members {
			if x, ok := m.matching(p); ok && x.qos > 0 && !x.since.IsZero() && p.began.After(x.since) {
				list = append(list, obligation{m.index, p.nonce})
			}
		}
	}
	return list
}

// obligation is a post that a member has to get.
type obligation struct {
	member int
	nonce  string
}

// counted says how often each post reached each member.
func (f *forum) counted() map[obligation]int {
	got := map[obligation]int{}
	for _, a := range f.arrivals {
		got[obligation{a.member, a.nonce}]++
	}
	return got
}

// drained waits until every member has what it must have, also what all say
// when they have connected once more: what the server sends of old things would
// come before that. Calm has to reign.
func (f *forum) drained(patience time.Duration) {
	f.settled(patience)
	f.mu.Lock()
	before := len(f.posts)
	f.mu.Unlock()
	f.last.Store(true)
	for deadline := time.Now().Add(patience); f.ctx.Err() == nil && time.Now().Before(deadline); f.pause(20 * time.Millisecond) {
		f.mu.Lock()
		n := len(f.posts) - before
		f.mu.Unlock()
		if n == len(f.members)*len(lastTopics) {
			break
		}
	}
	f.settled(patience)
}

// lastTopics are matched by a subscription of each member with QoS 1 or 2.
var lastTopics = []string{"t/0/0", "t/1/1", "t/2/2"}

// settled waits until the server has said that it has all posts, and every
// member has what it must have, or nothing has arrived for some time.
func (f *forum) settled(patience time.Duration) {
	last, since, end := -1, time.Now(), time.Now().Add(2*patience)
	for f.ctx.Err() == nil && time.Since(since) < patience && time.Now().Before(end) {
		f.mu.Lock()
		n, got, missing := len(f.arrivals), f.counted(), false
		for _, o := range f.due() {
			missing = missing || got[o] == 0
		}
		for _, p := range f.posts {
			missing = missing || p.qos > 0 && p.kept.IsZero()
		}
		f.mu.Unlock()
		if !missing {
			return
		}
		if n != last {
			last, since = n, time.Now()
		}
		f.pause(20 * time.Millisecond)
	}
}
