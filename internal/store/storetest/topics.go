package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// topicRun is a life of the server in these tests.
func (f *fixture) topicRun(id int64) record.TopicRun {
	return record.TopicRun{ID: id, Began: f.clock()}
}

// topics commits operations and ends the test if one of them is refused.
func (f *fixture) topics(run record.TopicRun, ops ...*record.TopicOp) {
	f.t.Helper()
	f.must(f.CommitTopics(f.ctx, run, ops))
	for _, o := range ops {
		f.must(o.Err)
		if o.Entry != nil && o.Entry.Pos != 0 {
			f.mu.Lock()
			f.last[o.App] = o.Entry.Pos // no hook is told of it
			f.mu.Unlock()
		}
	}
}

func (f *fixture) publish(topic, text string, change ...func(*record.TopicEntry)) *record.TopicOp {
	e := &record.TopicEntry{Topic: herald.Topic(topic), QoS: 1, Payload: []byte(text), Time: f.clock()}
	for _, c := range change {
		c(e)
	}
	return &record.TopicOp{App: appA, Entry: e, Keep: true}
}

func openSession(client string, ord herald.Ordinal, expiry uint32, clean bool) *record.TopicOp {
	return &record.TopicOp{App: appA, Client: client, Open: &record.TopicSession{App: appA, Client: client, Ord: ord, Expiry: expiry, Clean: clean, Version: 5}}
}

func changeSession(client string, c record.TopicSessionChange) *record.TopicOp {
	return &record.TopicOp{App: appA, Client: client, Change: &c}
}

func subscribe(client string, filters ...string) *record.TopicOp {
	var c record.TopicSessionChange
	for _, filter := range filters {
		c.Subscribe = append(c.Subscribe, record.TopicSub{Filter: filter, QoS: 1})
	}
	return changeSession(client, c)
}

func (f *fixture) query(client string, after herald.Pos, limit int) record.TopicQuery {
	return record.TopicQuery{App: appA, Client: client, After: after, Limit: limit, Most: 1000, Now: f.clock(), Oldest: f.clock().Add(-24 * time.Hour)}
}

// waiting reads what waits for a session, as text.
func (f *fixture) waiting(client string, after herald.Pos, limit int) (string, record.TopicPage) {
	f.t.Helper()
	p, err := f.TopicEntries(f.ctx, f.query(client, after, limit))
	f.must(err)
	var out []string
	for _, e := range p.Entries {
		out = append(out, string(e.Payload))
	}
	return strings.Join(out, " "), p
}

func (f *fixture) wantWaiting(client, want string) {
	f.t.Helper()
	if got, _ := f.waiting(client, 0, 100); got != want {
		f.t.Errorf("%q waits for %s, want %q", got, client, want)
	}
}

func testTopicLog(t *testing.T, f *fixture) {
	d := f.register(appA, 1)
	run := f.topicRun(1)
	format := byte(1)
	full := f.publish("chat/1", "full", func(e *record.TopicEntry) {
		e.From, e.Client, e.QoS, e.Retain, e.Expires = d.ID, "publisher", 2, true, f.clock().Add(time.Hour)
		e.Props = &record.TopicProps{PayloadFormat: &format, ContentType: "text/plain", ResponseTopic: "chat/2", CorrelationData: []byte{}, User: []record.TopicPair{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}}
	})
	early := f.publish("chat/1", "early")
	f.topics(run, openSession("one", d.Ord, 60, false), openSession("two", d.Ord, 60, false), early, subscribe("one", "chat/1", "other"), subscribe("two", "chat/+"),
		full, f.publish("chat/3", "three"), f.publish("other", "other"), f.publish("elsewhere", "x"))
	if full.Entry.Pos != early.Entry.Pos+1 {
		t.Errorf("the positions are %d and %d", early.Entry.Pos, full.Entry.Pos)
	}
	f.topics(run, f.publish("chat/1", "json", func(e *record.TopicEntry) { e.Payload, e.Data = nil, []byte(`{"a":1}`) }))
	f.restart()
	f.wantWaiting("one", "full other ")
	f.wantWaiting("two", "full three ")
	_, p := f.waiting("one", 0, 1)
	if len(p.Entries) != 1 || !p.More || p.Upto != full.Entry.Pos {
		t.Errorf("a page of one is %+v", p)
	}
	want := *full.Entry
	want.Filters = []string{"chat/1"}
	same(t, "entry", p.Entries[0], want)
	_, p = f.waiting("one", full.Entry.Pos, 2)
	if len(p.Entries) != 2 || p.More || string(p.Entries[1].Data) != `{"a":1}` {
		t.Errorf("the page after it is %+v", p)
	}
	h, err := f.Head(f.ctx, appA)
	f.must(err)
	if p.Upto != h.Pos {
		t.Errorf("it is complete up to %d, and the head is %d", p.Upto, h.Pos)
	}
	if text, p := f.waiting("one", h.Pos, 10); text != "" || p.Upto != h.Pos || p.More {
		t.Errorf("after the head is %q %+v", text, p)
	}
	n, err := f.TopicWaiting(f.ctx, f.query("one", 0, 0))
	f.must(err)
	if n != 3 {
		t.Errorf("%d wait", n)
	}
	f.sleep(time.Hour)
	f.wantWaiting("one", "other ")
	f.sleep(24 * time.Hour)
	f.wantWaiting("one", "")
	_, err = f.TopicEntries(f.ctx, f.query("nobody", 0, 1))
	refused(t, err, herald.CodeNotFound)
	foreign := f.query("one", 0, 1)
	foreign.App = appB
	_, err = f.TopicEntries(f.ctx, foreign)
	refused(t, err, herald.CodeNotFound)
	// The log has no holes: what comes next takes the next position.
	next := f.register(appA, 2)
	f.wantHeadPos(appA, h.Pos+1)
	if next.Ord == d.Ord {
		t.Error("the ordinal was given twice")
	}
}

// wantHeadPos checks where a log stands, of which topics have a part.
func (f *fixture) wantHeadPos(app herald.AppKey, want herald.Pos) {
	f.t.Helper()
	h, err := f.Head(f.ctx, app)
	f.must(err)
	if h.Pos != want {
		f.t.Errorf("the head is %d, want %d", h.Pos, want)
	}
}

// testTopicsFar reads sessions for which more came than is looked at one by one,
// and more than may wait.
func testTopicsFar(t *testing.T, f *fixture) {
	run := f.topicRun(1)
	f.topics(run, openSession("exact", 1, 60, false), subscribe("exact", "a/7", "a/8"),
		openSession("wild", 1, 60, false), subscribe("wild", "a/+/x", "a/7", "b/#"), openSession("all", 1, 60, false), subscribe("all", "#", "a/7"))
	for from := 0; from < 5000; from += 1000 {
		var ops []*record.TopicOp
		for i := from; i < from+1000; i++ {
			ops = append(ops, f.publish(fmt.Sprintf("a/%d", i%1000), fmt.Sprint(i)))
		}
		f.topics(run, ops...)
	}
	f.topics(run, f.publish("a/1/x", "x"), f.publish("b", "b"), f.publish("b0", "no"), f.publish("b/c/d", "d"))
	f.wantWaiting("exact", "7 8 1007 1008 2007 2008 3007 3008 4007 4008")
	f.wantWaiting("wild", "7 1007 2007 3007 4007 x b d")
	q := f.query("all", 0, 2)
	q.Most = 3
	p, err := f.TopicEntries(f.ctx, q)
	f.must(err)
	if len(p.Entries) != 2 || string(p.Entries[0].Payload) != "b" || !p.More || p.Dropped != 5001 || p.Counted == 0 {
		t.Errorf("of all that waits there is %+v", p)
	}
	f.topics(run, &record.TopicOp{App: appA, Client: "all", Change: &record.TopicSessionChange{}, Count: p.Dropped, Counted: p.Counted})
	p, err = f.TopicEntries(f.ctx, q)
	f.must(err)
	s, err := f.TopicSession(f.ctx, run, appA, "all")
	f.must(err)
	if p.Dropped != 0 || s.Dropped != 5001 {
		t.Errorf("counted again: %d, in all %d", p.Dropped, s.Dropped)
	}
}

func testTopicShares(t *testing.T, f *fixture) {
	run := f.topicRun(1)
	const shared = "$share/g/a/+"
	f.topics(run, openSession("one", 1, 60, false), openSession("two", 2, 60, false), subscribe("one", shared), subscribe("two", shared, "a/2"))
	give := func(text, client string) *record.TopicOp {
		o := f.publish("a/"+text, text)
		o.Assigned = []record.TopicShare{{Group: "g", Filter: "a/+", Client: client}}
		return o
	}
	f.topics(run, give("1", "one"), give("2", "one"), give("3", "two"))
	f.wantWaiting("one", "1 2")
	f.wantWaiting("two", "2 3")
	_, p := f.waiting("two", 0, 10)
	same(t, "filters", [][]string{p.Entries[0].Filters, p.Entries[1].Filters}, [][]string{{"a/2"}, {shared}})
	same(t, "shares", p.Entries[1].Shares, []record.TopicShare{{Group: "g", Filter: "a/+", Client: "two"}})
	var filters []record.TopicFilter
	var members []record.TopicMember
	read := func(run record.TopicRun) {
		filters, members = nil, nil
		f.must(f.TopicFilters(f.ctx, run, appA, func(t record.TopicFilter) { filters = append(filters, t) }, func(m record.TopicMember) { members = append(members, m) }))
		slices.SortFunc(filters, func(a, b record.TopicFilter) int { return strings.Compare(a.Filter, b.Filter) })
		slices.SortFunc(members, func(a, b record.TopicMember) int { return strings.Compare(a.Client, b.Client) })
	}
	f.topics(run, &record.TopicOp{App: appA, Client: "two", Away: f.clock()})
	read(run)
	same(t, "filters", filters, []record.TopicFilter{{Filter: shared, All: 2, Stored: 2}, {Filter: "a/2", All: 1, Stored: 1}})
	same(t, "members", members, []record.TopicMember{{Filter: shared, Client: "one", QoS: 1, Connected: true}, {Filter: shared, Client: "two", QoS: 1}})
	f.topics(run, changeSession("one", record.TopicSessionChange{Read: p.Upto}), changeSession("two", record.TopicSessionChange{Unsubscribe: []string{shared}}))
	f.wantWaiting("one", "")
	f.wantWaiting("two", "2")
	read(f.topicRun(2))
	same(t, "members", members, []record.TopicMember{{Filter: shared, Client: "one", QoS: 1}})
}

func testTopicSessions(t *testing.T, f *fixture) {
	run := f.topicRun(1)
	open := func(run record.TopicRun, client string, ord herald.Ordinal, expiry uint32, clean bool) *record.TopicOp {
		t.Helper()
		o := openSession(client, ord, expiry, clean)
		f.must(f.CommitTopics(f.ctx, run, []*record.TopicOp{o}))
		return o
	}
	if o := open(run, "brief", 1, 0, true); o.Err != nil || o.Present || o.State == nil {
		t.Errorf("a session that ends with its connection: %+v", o)
	}
	_, err := f.TopicSession(f.ctx, run, appA, "brief")
	refused(t, err, herald.CodeNotFound)
	first := open(run, "one", 1, 60, false)
	if first.Err != nil || first.Present {
		t.Fatalf("a new session: %+v", first)
	}
	refused(t, open(run, "one", 2, 60, true).Err, herald.CodeConflict)
	f.topics(run, f.publish("a", "before"), subscribe("one", "a"), f.publish("a", "1"))
	same(t, "moved", subscribeMoves(f, run, "one", "a", 2), []record.TopicMove{{Client: "one", Filter: "a"}})
	same(t, "moved", subscribeMoves(f, run, "one", "a", 0), []record.TopicMove{{Client: "one", Filter: "a", Stored: -1}})
	same(t, "moved", subscribeMoves(f, run, "one", "a", 1), []record.TopicMove{{Client: "one", Filter: "a", Stored: 1}})
	f.topics(run, f.publish("a", "2"), &record.TopicOp{App: appA, Client: "one", Away: f.clock()})
	f.restart()
	f.sleep(59 * time.Second)
	again := open(run, "one", 1, 30, false)
	if again.Err != nil || !again.Present || len(again.State.Subs) != 1 || again.State.Subs[0].Filter != "a" || again.State.Expiry != 30 {
		t.Fatalf("a session that goes on: %+v", again)
	}
	f.wantWaiting("one", "1 2")
	// Another life of the server finds it away since that began.
	f.sleep(time.Hour)
	later := f.topicRun(2)
	f.sleep(29 * time.Second)
	s, err := f.TopicSession(f.ctx, later, appA, "one")
	f.must(err)
	if want := later.Began.Add(30 * time.Second); !s.Ends.Equal(want) {
		t.Errorf("it ends at %v, want %v", s.Ends, want)
	}
	if o := open(later, "one", 1, 30, false); !o.Present {
		t.Error("it had not ended")
	}
	f.sleep(time.Hour)
	third := f.topicRun(3)
	f.sleep(30 * time.Second)
	_, err = f.TopicSession(f.ctx, third, appA, "one")
	refused(t, err, herald.CodeNotFound)
	o := open(third, "one", 2, 30, false) // what has ended is nobody's
	if o.Err != nil || o.Present || !o.Ended || len(o.Moved) != 1 || o.Moved[0].All != -1 {
		t.Errorf("a session in the place of one that has ended: %+v", o)
	}
	f.wantWaiting("one", "")
	f.topics(third, subscribe("one", "a"), f.publish("a", "3"))
	f.wantWaiting("one", "3")
	if o := open(third, "one", 2, 30, true); o.Present || !o.Ended || len(o.State.Subs) != 0 {
		t.Errorf("a clean session: %+v", o)
	}
	f.wantWaiting("one", "")
	end := &record.TopicOp{App: appA, Client: "one", End: true}
	f.topics(third, end)
	if !end.Ended {
		t.Error("it has not ended")
	}
	f.topics(third, end)
	gone := subscribe("one", "a")
	f.must(f.CommitTopics(f.ctx, third, []*record.TopicOp{gone, {App: none, Client: "x", End: true}}))
	refused(t, gone.Err, herald.CodeNotFound)
}

func subscribeMoves(f *fixture, run record.TopicRun, client, filter string, qos byte) []record.TopicMove {
	f.t.Helper()
	o := changeSession(client, record.TopicSessionChange{Subscribe: []record.TopicSub{{Filter: filter, QoS: qos}}})
	f.topics(run, o)
	return o.Moved
}

func testTopicChanges(t *testing.T, f *fixture) {
	run := f.topicRun(1)
	sub := record.TopicSub{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2, ID: 268435455}
	will := &record.TopicWill{Delay: 5, Entry: record.TopicEntry{Topic: "will", QoS: 1, Payload: []byte("gone"), Time: f.clock()}}
	hour := uint32(3600)
	f.topics(run, openSession("one", 1, 60, false), changeSession("one", record.TopicSessionChange{Subscribe: []record.TopicSub{sub, {Filter: "b", QoS: 1}}, Will: will, Expiry: &hour}))
	in := f.publish("a", "own", func(e *record.TopicEntry) { e.Client, e.In = "one", 7 })
	unwanted := f.publish("z", "", func(e *record.TopicEntry) { e.Client, e.In = "one", 8 })
	unwanted.Keep = false
	f.topics(run, in, unwanted, f.publish("b", "1"), f.publish("b", "2"), f.publish("b", "3"), f.publish("a", "4"))
	if unwanted.Entry.Pos != 0 {
		t.Error("an entry that nobody wants took a position")
	}
	f.wantWaiting("one", "1 2 3 4") // and not what it published itself
	_, p := f.waiting("one", 0, 10)
	at := func(i int) herald.Pos { return p.Entries[i].Pos }
	f.topics(run, changeSession("one", record.TopicSessionChange{In: []uint16{9, 7}, InDone: []uint16{8}, Released: []herald.Pos{at(1), at(3)}, Done: []herald.Pos{at(2)}}))
	f.topics(run, changeSession("one", record.TopicSessionChange{Released: []herald.Pos{at(1)}, Done: []herald.Pos{at(3)}}))
	f.restart()
	s, err := f.TopicSession(f.ctx, run, appA, "one")
	f.must(err)
	sub.Since = in.Entry.Pos - 1
	want := record.TopicSessionState{TopicSession: record.TopicSession{App: appA, Client: "one", Ord: 1, Expiry: 3600, Version: 5}, Read: s.Read,
		Released: []herald.Pos{at(1)}, Done: []herald.Pos{at(2), at(3)}, In: []uint16{7, 9}, Will: will,
		Subs: []record.TopicSub{sub, {Filter: "b", QoS: 1, Since: sub.Since}}}
	same(t, "session", *s, want)
	f.wantWaiting("one", "1")
	f.topics(run, changeSession("one", record.TopicSessionChange{Read: at(3), NoWill: true}), changeSession("one", record.TopicSessionChange{Read: at(0)}))
	s, err = f.TopicSession(f.ctx, run, appA, "one")
	f.must(err)
	want.Read, want.Done, want.Will = at(3), nil, nil
	same(t, "session", *s, want)
	f.wantWaiting("one", "")
	// Two changes in one commit, of which one is refused.
	refusedOp := changeSession("nobody", record.TopicSessionChange{In: []uint16{1}})
	f.must(f.CommitTopics(f.ctx, run, []*record.TopicOp{refusedOp, changeSession("one", record.TopicSessionChange{Unsubscribe: []string{"b", "never"}})}))
	refused(t, refusedOp.Err, herald.CodeNotFound)
	s, err = f.TopicSession(f.ctx, run, appA, "one")
	f.must(err)
	if len(s.Subs) != 1 {
		t.Errorf("the subscriptions are %+v", s.Subs)
	}
}

func testTopicsDue(t *testing.T, f *fixture) {
	run := f.topicRun(1)
	will := &record.TopicWill{Delay: 5, Entry: record.TopicEntry{Topic: "will", QoS: 1, Payload: []byte("gone"), Time: f.clock()}}
	for _, client := range []string{"a", "b", "c", "d"} {
		f.topics(run, openSession(client, 1, 60, false), changeSession(client, record.TopicSessionChange{Will: will}))
	}
	due := func() string {
		t.Helper()
		list, err := f.DueTopics(f.ctx, f.clock(), 10)
		f.must(err)
		var out []string
		for _, d := range list {
			out = append(out, fmt.Sprint(d.Client, " ", d.Over, " ", d.Will != nil))
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	f.topics(run, &record.TopicOp{App: appA, Client: "a", Away: f.clock()}, &record.TopicOp{App: appA, Client: "b", Away: f.clock()})
	f.sleep(5 * time.Second)
	if got := due(); got != "a false true, b false true" {
		t.Errorf("due are %s", got)
	}
	f.topics(run, openSession("b", 1, 60, false), changeSession("a", record.TopicSessionChange{NoWill: true}))
	if got := due(); got != "" {
		t.Errorf("due are %s", got)
	}
	f.restart()
	later := f.topicRun(2)
	for more := true; more; {
		var err error
		more, err = f.AdoptTopics(f.ctx, later, 2)
		f.must(err)
	}
	f.sleep(5 * time.Second)
	if got := due(); got != "b false true, c false true, d false true" {
		t.Errorf("due are %s", got)
	}
	f.sleep(50 * time.Second) // a is over now
	over := &record.TopicOp{App: appA, Client: "a", End: true, Over: f.clock()}
	early := &record.TopicOp{App: appA, Client: "c", End: true, Over: f.clock()}
	f.topics(later, over, early)
	if !over.Ended || early.Ended {
		t.Errorf("ended: %v and %v", over.Ended, early.Ended)
	}
	// A will that is not published yet becomes due with the end of its session.
	clean := openSession("c", 1, 60, true)
	f.topics(later, clean)
	same(t, "will", clean.Will, will)
}

func testTopicsRemoved(t *testing.T, f *fixture) {
	d, other := f.register(appA, 1), f.register(appA, 2)
	run := f.topicRun(1)
	f.topics(run, openSession("one", d.Ord, 60, false), openSession("two", d.Ord, 60, false), openSession("three", other.Ord, 60, false),
		subscribe("one", "a", "b/#"), subscribe("two", "a"), subscribe("three", "a", "b/+"),
		f.publish("a", "x", func(e *record.TopicEntry) { e.From, e.Client = d.ID, "one" }))
	s, err := f.TopicSubscribers(f.ctx, appA, []string{"a"})
	f.must(err)
	same(t, "subscribers", s.Ordinals(), []herald.Ordinal{d.Ord, other.Ord})
	s, err = f.TopicSubscribers(f.ctx, appA, []string{"b/#", "c"})
	f.must(err)
	same(t, "subscribers", s.Ordinals(), []herald.Ordinal{d.Ord})
	list, err := f.TopicSessions(f.ctx, run, record.TopicSessionFilter{App: appA, Ord: d.Ord, Limit: 10})
	f.must(err)
	if len(list) != 2 || list[0].Client != "one" || list[0].Device != d.ID {
		t.Errorf("the sessions of the device are %+v", list)
	}
	list, err = f.TopicSessions(f.ctx, run, record.TopicSessionFilter{App: appA, Any: true, After: "one", Limit: 1})
	f.must(err)
	if len(list) != 1 || list[0].Client != "three" || list[0].Device != other.ID {
		t.Errorf("the sessions after it are %+v", list)
	}
	_, err = f.RemoveDevice(f.ctx, appA, d.ID)
	f.must(err)
	slices.SortFunc(f.moves, func(a, b record.TopicMove) int { return strings.Compare(a.Client+a.Filter, b.Client+b.Filter) })
	same(t, "told", f.moves, []record.TopicMove{{Client: "one", Filter: "a", All: -1, Stored: -1}, {Client: "one", Filter: "b/#", All: -1, Stored: -1}, {Client: "two", Filter: "a", All: -1, Stored: -1}})
	list, err = f.TopicSessions(f.ctx, run, record.TopicSessionFilter{App: appA, Any: true, Limit: 10})
	f.must(err)
	if len(list) != 1 || list[0].Client != "three" {
		t.Errorf("after the removal the sessions are %+v", list)
	}
	_, err = f.Erase(f.ctx, record.Erasure{App: appA, ID: d.ID, Ord: d.Ord, Gone: true})
	f.must(err)
	_, p := f.waiting("three", 0, 10)
	if len(p.Entries) != 1 || p.Entries[0].From != "" || p.Entries[0].Client != "" || string(p.Entries[0].Payload) != "x" {
		t.Errorf("after the erasure there is %+v", p.Entries)
	}
}

func testTopicPurge(t *testing.T, f *fixture) {
	run := f.topicRun(1)
	f.topics(run, openSession("one", 1, 600, false), subscribe("one", "#", "$share/g/a"))
	for i := range 4 {
		o := f.publish("a", fmt.Sprint(i))
		o.Assigned = []record.TopicShare{{Group: "g", Filter: "a", Client: "one"}}
		f.topics(run, o)
		f.sleep(time.Second)
	}
	before := start.Add(3 * time.Second)
	for _, want := range []int{2, 1, 0} {
		n, err := f.PurgeTopics(f.ctx, appA, before, 2)
		f.must(err)
		if n != want {
			t.Errorf("%d were deleted, want %d", n, want)
		}
	}
	f.wantWaiting("one", "3")
	n, err := f.PurgeTopics(f.ctx, appB, before, 2)
	f.must(err)
	if n != 0 {
		t.Errorf("of another app %d were deleted", n)
	}
}
