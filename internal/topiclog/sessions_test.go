package topiclog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/topiclog"
)

func TestSessions(t *testing.T) {
	w := newWorld(t)
	if _, present := w.open("one", false); present {
		t.Error("a new session was there")
	}
	w.subscribe("one", "a", "b")
	first, second := w.publish("a", "1"), w.publish("a", "2")
	w.publish("b", "3")
	// Lazy changes are joined, and are there when the session is opened again.
	for _, pos := range []herald.Pos{first.Pos, second.Pos} {
		w.Change(appA, "one", record.TopicSessionChange{Done: []herald.Pos{pos}, Lazy: true}, nil)
	}
	told := make(chan error, 1)
	w.Change(appA, "one", record.TopicSessionChange{Read: first.Pos, Lazy: true}, func(err error) { told <- err })
	w.must(w.Away(w.ctx, appA, "one", w.clock()))
	w.must(<-told)
	s, present := w.open("one", false)
	if !present || s.Read != first.Pos || !slices.Equal(s.Done, []herald.Pos{second.Pos}) || len(s.Subs) != 2 {
		t.Errorf("the session is %+v", s)
	}
	w.wantWaiting("one", "3")
	// QoS 2 of the client: its packet ID is in the commit of the entry.
	e := entry("z", "wanted by nobody")
	e.Client, e.In, e.QoS = "one", 5, 2
	done := make(chan error, 1)
	w.Append(appA, e, func(err error) { done <- err })
	w.must(<-done)
	w.restart()
	if s, _ = w.open("one", false); !slices.Equal(s.In, []uint16{5}) {
		t.Errorf("taken of the client are %v", s.In)
	}
	_, _, err := w.Open(w.ctx, record.TopicSession{App: appA, Client: "one", Ord: 2, Expiry: 60})
	w.wantCode(err, herald.CodeConflict)
	w.wantCode(w.change("two", record.TopicSessionChange{In: []uint16{1}}), herald.CodeNotFound)
	got, n, err := w.Session(w.ctx, appA, "one")
	w.must(err)
	if n != 1 || len(got.Subs) != 2 {
		t.Errorf("%d wait for %+v", n, got)
	}
	w.must(w.End(w.ctx, appA, "one"))
	_, _, err = w.Session(w.ctx, appA, "one")
	w.wantCode(err, herald.CodeNotFound)
	if w.publish("a", "x").Pos != 0 {
		t.Error("something is stored for a session that has ended")
	}
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if err := w.End(ctx, appA, "one"); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was given up: %v", err)
	}
	w.stop()
	w.wantCode(w.change("one", record.TopicSessionChange{Lazy: true}), herald.CodeStorageUnavailable)
	w.wantCode(w.End(w.ctx, appA, "one"), herald.CodeStorageUnavailable)
}

func TestShared(t *testing.T) {
	w := newWorld(t)
	for _, client := range []string{"one", "two", "three"} {
		w.open(client, false)
		w.subscribe(client, "$share/g/a/+")
	}
	w.must(w.Away(w.ctx, appA, "two", w.clock()))
	w.restart() // all are away from here on
	w.open("three", false)
	w.publish("warm", "up")
	var got []string
	for range 4 {
		e := w.publish("a/1", "x")
		got = append(got, e.Shares[0].Client)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"one", "one", "two", "two"}) {
		t.Errorf("those who are away got it: %q", got)
	}
	if s := w.Shared(appA, "g", "a/+"); s != "one" && s != "two" {
		t.Errorf("the group has %q", s)
	}
	if s := w.Shared(appA, "h", "a/+"); s != "" {
		t.Errorf("a group without members has %q", s)
	}
	// One that got it already, whether it persists or not.
	for client, stored := range map[string]bool{"three": true, "fleeting": false} {
		e := entry("a/1", client)
		e.Shares = []record.TopicShare{{Group: "g", Filter: "a/+", Client: client}}
		done := make(chan error, 1)
		w.Append(appA, e, func(err error) { done <- err })
		w.must(<-done)
		if (e.Pos != 0) != stored {
			t.Errorf("given to %s it is at %d", client, e.Pos)
		}
	}
	w.wantWaiting("three", "three")
	w.wantWaiting("one", "x", "x")
	for _, client := range []string{"one", "two"} {
		w.must(w.End(w.ctx, appA, client))
	}
	if e := w.publish("a/2", "left"); e.Shares[0].Client != "three" {
		t.Errorf("it went to %+v", e.Shares)
	}
	w.must(w.change("three", record.TopicSessionChange{Unsubscribe: []string{"$share/g/a/+"}}))
	if w.Wanted(appA, "a/1") {
		t.Error("a group without members wants it")
	}
}

func TestRemovedDevice(t *testing.T) {
	w := newWorld(t)
	d, _, err := w.db.Register(w.ctx, record.Registration{Device: record.Device{App: appA, ID: "00000000000000000001", Platform: herald.PlatformWeb, Created: w.now, Seen: w.now}})
	w.must(err)
	_, _, err = w.Open(w.ctx, record.TopicSession{App: appA, Client: "one", Ord: d.Ord, Expiry: 60})
	w.must(err)
	w.subscribe("one", "$share/g/a", "b")
	w.publish("a", "1")
	_, err = w.db.RemoveDevice(w.ctx, appA, d.ID)
	w.must(err)
	if s := w.Shared(appA, "g", "a"); s != "" {
		t.Errorf("a group has %q, which is gone", s)
	}
	if e := w.publish("a", "2"); e.Pos != 0 {
		t.Errorf("it is stored for nobody: %+v", e)
	}
}

func TestTidy(t *testing.T) {
	w := newWorld(t, func(c *topiclog.Config) { c.TTL = time.Hour })
	w.open("one", false)
	w.open("two", false)
	w.subscribe("one", "a")
	will := &record.TopicWill{Delay: 5, Entry: record.TopicEntry{Topic: "w", Payload: []byte("gone")}}
	w.must(w.change("two", record.TopicSessionChange{Will: will}))
	w.publish("a", "1")
	w.must(w.Away(w.ctx, appA, "two", w.clock()))
	w.sleep(5 * time.Second)
	w.must(w.Tidy(w.ctx, false))
	w.must(w.Tidy(w.ctx, false))
	if !slices.Equal(w.wills, []string{"two gone"}) {
		t.Errorf("the wills were %q", w.wills)
	}
	w.sleep(time.Minute)
	w.must(w.Tidy(w.ctx, false))
	list, next, err := w.List(w.ctx, record.TopicSessionFilter{App: appA, Any: true, Limit: 10})
	w.must(err)
	if len(list) != 1 || list[0].Client != "one" || next != "" {
		t.Errorf("the sessions are %+v", list)
	}
	w.sleep(time.Hour)
	w.must(w.Tidy(w.ctx, true))
	w.wantWaiting("one")
	if n, err := w.db.PurgeTopics(w.ctx, appA, w.clock(), 10); err != nil || n != 0 {
		t.Errorf("%d entries were left: %v", n, err)
	}
	// What a life of the server leaves behind the next one settles.
	w.must(w.change("one", record.TopicSessionChange{Will: will}))
	w.restart()
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	w.sleep(time.Hour)
	<-w.willed // the first
	<-w.willed
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}

func TestWaitingLimit(t *testing.T) {
	w := newWorld(t, func(c *topiclog.Config) { c.Waiting = 3 })
	w.open("one", false)
	w.subscribe("one", "a", "#")
	for i := range 5 {
		w.publish("a", fmt.Sprint(i))
	}
	w.wantWaiting("one", "2", "3", "4")
	w.wantWaiting("one", "2", "3", "4")
	w.must(w.change("one", record.TopicSessionChange{}))
	s, n, err := w.Session(w.ctx, appA, "one")
	w.must(err)
	if s.Dropped != 2 || n != 3 {
		t.Errorf("%d dropped, %d wait", s.Dropped, n)
	}
}
