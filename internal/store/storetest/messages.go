package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// find reads a message.
func (f *fixture) find(id herald.MessageID) *record.Message {
	f.t.Helper()
	m, err := f.Message(f.ctx, appA, id)
	f.must(err)
	return m
}

func (f *fixture) entries(ord herald.Ordinal) []record.Entry {
	f.t.Helper()
	e, err := f.Entries(f.ctx, appA, ord, 0, 1<<30)
	f.must(err)
	return e
}

// want is the message that must be read back after an acceptance.
func want(a record.Acceptance, out record.Accepted) *record.Message {
	m := a.Message
	m.Pos, m.FirstN = out.Pos, out.FirstN
	if image, ok := m.Group.Whole(); ok {
		if b, err := record.AppendSet(nil, image); err != nil || len(b) > 16<<10 {
			m.Group = record.ImageApart() // which is not read with the message
		}
	}
	return &m
}

func atHand(m *record.Message) bool {
	_, ok := m.Group.Whole()
	return ok
}

func testAcceptDirect(t *testing.T, f *fixture) {
	a := f.message(3, 70, 90000)
	a.CollapseKey, a.OrderingKey, a.Priority, a.ByAlias, a.EvalPos, a.Unknown = "c", "o", herald.PriorityHigh, true, 7, 2
	a.Facts = &record.Facts{Category: "news 新闻"}
	first := f.accept(a)
	same(t, "Accepted", first, record.Accepted{Pos: 1, FirstN: 0})
	b := f.message(3)
	second := f.accept(b)
	same(t, "Accepted", second, record.Accepted{Pos: 2, FirstN: 3})
	nobody := f.message()
	third := f.accept(nobody)
	same(t, "Accepted", third, record.Accepted{Pos: 3, FirstN: 4})
	var many []herald.Ordinal
	for i := range herald.MaxDirect {
		many = append(many, herald.Ordinal(100+i*7))
	}
	wide := f.message(many...)
	fourth := f.accept(wide)
	same(t, "Accepted", fourth, record.Accepted{Pos: 4, FirstN: 4})
	f.restart()
	same(t, "message", f.find(a.ID), want(a, first))
	same(t, "message to one", f.find(b.ID), want(b, second))
	same(t, "message to nobody", f.find(nobody.ID), want(nobody, third))
	same(t, "message to many", f.find(wide.ID), want(wide, fourth))
	same(t, "entries", f.entries(3), []record.Entry{{Pos: 2, N: 3, Msg: b.ID}, {Pos: 1, N: 0, Msg: a.ID}})
	same(t, "entries of the last of many", f.entries(100+999*7), []record.Entry{{Pos: 4, N: 4 + 999, Msg: wide.ID}})
	for _, c := range []struct {
		first, last herald.Ordinal
		want        []herald.Ordinal
	}{{0, 2, nil}, {3, 69, []herald.Ordinal{3}}, {0, 107, []herald.Ordinal{3, 70, 100, 107}}, {7000, 1<<32 - 1, append(many[986:len(many):len(many)], 90000)}} {
		devices, err := f.EntryDevices(f.ctx, appA, c.first, c.last)
		f.must(err)
		if !sets.Equal(devices, sets.New(c.want...)) {
			t.Errorf("devices %d to %d that have entries: %d, want %d", c.first, c.last, devices.Ordinals(), c.want)
		}
	}
	e, err := f.Entries(f.ctx, appA, 3, 0, 1)
	f.must(err)
	same(t, "one entry", e, []record.Entry{{Pos: 2, N: 3, Msg: b.ID}})
	e, err = f.Entries(f.ctx, appA, 3, 1, 10)
	f.must(err)
	same(t, "entries after the first", e, []record.Entry{{Pos: 2, N: 3, Msg: b.ID}})
	h, err := f.Head(f.ctx, appA)
	f.must(err)
	same(t, "Head", h, record.Head{Epoch: 1, Pos: 4, NextN: 1004})
	highest, err := f.MaxMessageID(f.ctx)
	f.must(err)
	if highest != wide.ID {
		t.Errorf("MaxMessageID is %d, want %d", highest, wide.ID)
	}
	_, err = f.Entries(f.ctx, none, 0, 0, 1)
	refused(t, err, herald.CodeNotFound)
	_, err = f.EntryDevices(f.ctx, none, 0, 1)
	refused(t, err, herald.CodeNotFound)
	testEntryMessages(t, f, b.ID)
}

func testAcceptGroup(t *testing.T, f *fixture) {
	small, empty := f.group(sets.Range(3_000_000)), f.group(sets.New())
	a, b := f.accept(small), f.accept(empty)
	f.restart()
	same(t, "group message", f.find(small.ID), want(small, a))
	got := f.find(empty.ID)
	same(t, "group message to nobody", got, want(empty, b))
	if got.IsDirect() {
		t.Error("a group message with no device came back as direct")
	}
	same(t, "entries", f.entries(1), []record.Entry{})
	f.wantHead(appA, 2)
}

func testAcceptDense(t *testing.T, f *fixture) {
	for _, slabs := range []int{3, 16, 40} {
		m := f.group(dense(slabs))
		out := f.accept(m)
		same(t, fmt.Sprintf("message of %d slabs", slabs), f.find(m.ID), want(m, out))
		f.wantTarget(m.ID, dense(slabs))
		f.must(f.StateChunks(f.ctx, appA, m.ID, func(c record.Chunk) error { return fmt.Errorf("the target is listed as state %s", c.State) }))
		// The same message again is refused, and leaves the first as it was.
		_, err := f.Accept(f.ctx, m)
		refused(t, err, herald.CodeConflict)
		f.restart()
		same(t, "message after a restart", f.find(m.ID), want(m, out))
		f.wantTarget(m.ID, dense(slabs))
	}
	key := &record.Idempotency{Key: "k", Hash: []byte("h"), Answer: []byte("first"), Until: start.Add(time.Hour)}
	for i := range 2 {
		m := f.group(dense(3))
		m.Idempotency = key
		out := f.accept(m)
		if (out.Prior != nil) != (i == 1) {
			t.Errorf("call %d with one idempotency key: %+v", i, out)
		}
	}
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	m := f.group(dense(3))
	if _, err := f.Accept(ctx, m); err == nil {
		t.Error("a cancelled call was accepted")
	}
	_, err := f.Message(f.ctx, appA, m.ID)
	refused(t, err, herald.CodeNotFound)
	f.wantHead(appA, 4)
}

func testAcceptConcurrently(t *testing.T, f *fixture) {
	const n = 100
	msgs, outs := make([]record.Acceptance, n), make([]record.Accepted, n)
	for i := range msgs {
		msgs[i] = f.message(1, herald.Ordinal(2+i))
		if i%10 == 0 {
			msgs[i] = f.group(dense(3))
		}
	}
	together(n, func(i int) {
		var err error
		if outs[i], err = f.Accept(f.ctx, msgs[i]); err != nil {
			t.Error(err)
		}
	})
	f.wantHead(appA, n)
	numbers := map[uint64]bool{}
	for i, m := range msgs {
		same(t, "message", f.find(m.ID), want(m, outs[i]))
		for k := range m.Direct {
			numbers[outs[i].FirstN+uint64(k)] = true
		}
	}
	if h, err := f.Head(f.ctx, appA); err != nil || len(numbers) != 180 || h.NextN != 180 {
		t.Errorf("%d delivery numbers, head %+v, %v; want 180", len(numbers), h, err)
	}
	e := f.entries(1)
	if len(e) != 90 || !slices.IsSortedFunc(e, func(a, b record.Entry) int { return int(b.Pos) - int(a.Pos) }) {
		t.Errorf("device 1 has %d entries, or out of order: %v", len(e), e)
	}
}

func testAcceptRefuses(t *testing.T, f *fixture) {
	m := f.message(1)
	out := f.accept(m)
	_, err := f.Accept(f.ctx, m)
	refused(t, err, herald.CodeConflict)
	unsorted := f.message(2, 1)
	_, err = f.Accept(f.ctx, unsorted)
	refused(t, err, herald.CodeInternal)
	m.App = none
	_, err = f.Accept(f.ctx, m)
	refused(t, err, herald.CodeNotFound)
	// A bad message among good ones in the same commits fails alone.
	const n = 60
	together(n, func(i int) {
		b := f.message(5)
		if i%3 == 0 {
			b.ID = m.ID
		}
		switch _, err := f.Accept(f.ctx, b); {
		case i%3 == 0 && herald.CodeOf(err) != herald.CodeConflict:
			t.Errorf("a message ID that exists: %v", err)
		case i%3 != 0 && err != nil:
			t.Errorf("a good message beside bad ones: %v", err)
		}
	})
	f.wantHead(appA, out.Pos+40)
	if e := f.entries(5); len(e) != 40 {
		t.Errorf("%d of 40 entries are there", len(e))
	}
}

func testVolatile(t *testing.T, f *fixture) {
	m := f.message(1)
	m.TTL, m.Volatile = 0, true
	m.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("h"), Answer: []byte("a"), Until: start.Add(time.Hour)}
	same(t, "Accepted", f.accept(m), record.Accepted{})
	same(t, "Accepted again", f.accept(m), record.Accepted{Prior: []byte("a")})
	_, err := f.Message(f.ctx, appA, m.ID)
	refused(t, err, herald.CodeNotFound)
	same(t, "entries", f.entries(1), []record.Entry{})
	f.wantHead(appA, 0)
}

func testIdempotency(t *testing.T, f *fixture) {
	m := f.message(1)
	m.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("h"), Answer: []byte("first"), Until: start.Add(time.Hour)}
	first := f.accept(m)
	f.restart()
	again := f.message(1)
	again.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("h"), Answer: []byte("second"), Until: start.Add(2 * time.Hour)}
	same(t, "Accepted again", f.accept(again), record.Accepted{Prior: []byte("first")})
	_, err := f.Message(f.ctx, appA, again.ID)
	refused(t, err, herald.CodeNotFound)
	again.Idempotency.Hash = []byte("other")
	_, err = f.Accept(f.ctx, again)
	refused(t, err, herald.CodeIdempotencyConflict)
	other := f.message(1)
	other.App, other.Idempotency = appB, again.Idempotency
	if out := f.accept(other); out.Prior != nil {
		t.Error("the key of one app answered for another")
	}
	f.wantHead(appA, first.Pos)
	f.sleep(time.Hour)
	if out := f.accept(again); out.Prior != nil || out.Pos != 2 {
		t.Errorf("after the key has expired: %+v", out)
	}
}

func testIdempotencyConcurrently(t *testing.T, f *fixture) {
	var mu sync.Mutex
	fresh := 0
	together(50, func(i int) {
		m := f.message(1)
		m.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("h"), Answer: fmt.Append(nil, m.ID), Until: start.Add(time.Hour)}
		out, err := f.Accept(f.ctx, m)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if out.Prior == nil {
			fresh++
		}
	})
	if fresh != 1 || len(f.entries(1)) != 1 {
		t.Errorf("one key made %d messages and %d entries", fresh, len(f.entries(1)))
	}
	f.wantHead(appA, 1)
}

func testMessagesByID(t *testing.T, f *fixture) {
	var all []*record.Message
	for i := range 7 {
		m := f.message(herald.Ordinal(i))
		if i == 3 {
			m = f.group(dense(3))
		}
		all = append(all, want(m, f.accept(m)))
	}
	for _, c := range []struct {
		name string
		ask  []int // of all; -1 is a message that nobody has
		want []int
	}{
		{"none", nil, nil}, {"one", []int{2}, []int{2}}, {"dense", []int{3}, []int{3}}, {"two", []int{0, 6}, []int{0, 6}},
		{"a stranger among them", []int{1, -1, 5}, []int{1, 5}}, {"all", []int{0, 1, 2, 3, 4, 5, 6}, []int{0, 1, 2, 3, 4, 5, 6}},
	} {
		ids := []herald.MessageID{}
		for _, i := range c.ask {
			id := herald.MessageID(1 << 60)
			if i >= 0 {
				id = all[i].ID
			}
			ids = append(ids, id)
		}
		got, err := f.MessagesByID(f.ctx, appA, ids)
		f.must(err)
		slices.SortFunc(got, func(a, b *record.Message) int { return cmp.Compare(a.ID, b.ID) })
		var want []*record.Message
		for _, i := range c.want {
			want = append(want, all[i])
		}
		same(t, c.name, got, want)
	}
	got, err := f.MessagesByID(f.ctx, appB, []herald.MessageID{all[0].ID})
	f.must(err)
	same(t, "of the other app", got, []*record.Message(nil))
	_, err = f.MessagesByID(f.ctx, none, []herald.MessageID{1})
	refused(t, err, herald.CodeNotFound)
}

func testMessages(t *testing.T, f *fixture) {
	var ids []herald.MessageID
	for i := range 5 {
		m := f.message(1)
		if i == 2 {
			m = f.group(dense(3))
		}
		f.accept(m)
		ids = append(ids, m.ID)
	}
	_, err := f.EndMessage(f.ctx, appA, ids[1], herald.MessageReplaced, start)
	f.must(err)
	slices.Reverse(ids)
	for _, c := range []struct {
		name   string
		filter record.MessageFilter
		want   []herald.MessageID
	}{
		{"all", record.MessageFilter{}, ids},
		{"page", record.MessageFilter{Limit: 2}, ids[:2]},
		{"next page", record.MessageFilter{Before: ids[1], Limit: 2}, ids[2:4]},
		{"last page", record.MessageFilter{Before: ids[3], Limit: 2}, ids[4:]},
		{"state", record.MessageFilter{State: herald.MessageReplaced}, ids[3:4]},
		{"state of none", record.MessageFilter{State: herald.MessageExpired}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := f.Messages(f.ctx, appA, c.filter)
			if err != nil {
				t.Fatal(err)
			}
			var got []herald.MessageID
			for _, m := range list {
				got = append(got, m.ID)
				if len(m.Direct) > 0 || atHand(m) || m.IsDirect() != (m.ID != ids[2]) || len(m.Body) == 0 {
					t.Errorf("message %d is listed as %+v", m.ID, m)
				}
			}
			same(t, "IDs", got, c.want)
		})
	}
	_, err = f.Messages(f.ctx, none, record.MessageFilter{})
	refused(t, err, herald.CodeNotFound)
}

func testReleases(t *testing.T, f *fixture) {
	direct, group := f.message(1), f.group(dense(3))
	a := f.accept(direct)
	f.register(appA, 1)
	b := f.accept(group)
	f.sleep(time.Minute)
	pos, err := f.EndMessage(f.ctx, appA, direct.ID, herald.MessageWithdrawn, f.clock())
	f.must(err)
	f.restart()
	got, err := f.Releases(f.ctx, appA, 0, 100)
	f.must(err)
	withdrawn := want(direct, a)
	withdrawn.State, withdrawn.Ended, withdrawn.EndPos = herald.MessageWithdrawn, start.Add(time.Minute), pos
	all := []record.Release{{Pos: a.Pos, Kind: record.ReleaseMessage, Msg: withdrawn, At: start},
		{Pos: b.Pos, Kind: record.ReleaseMessage, Msg: want(group, b), At: start},
		{Pos: pos, Kind: record.ReleaseWithdraw, Msg: withdrawn, At: start.Add(time.Minute)}}
	same(t, "releases", got, all)
	got, err = f.Releases(f.ctx, appA, a.Pos, 1)
	f.must(err)
	same(t, "one release", got, all[1:2])
	got, err = f.Releases(f.ctx, appA, pos, 1)
	f.must(err)
	same(t, "no release", got, []record.Release{})
	_, err = f.Releases(f.ctx, none, 0, 1)
	refused(t, err, herald.CodeNotFound)
}

func testEndMessage(t *testing.T, f *fixture) {
	for _, state := range []herald.MessageState{herald.MessageWithdrawn, herald.MessageReplaced, herald.MessageExpired} {
		m := f.message(1)
		out := f.accept(m)
		pos, err := f.EndMessage(f.ctx, appA, m.ID, state, start.Add(time.Second))
		f.must(err)
		if (pos != 0) != (state == herald.MessageWithdrawn) {
			t.Errorf("%s took position %d", state, pos)
		}
		ended := want(m, out)
		ended.State, ended.Ended, ended.EndPos = state, start.Add(time.Second), pos
		same(t, "message", f.find(m.ID), ended)
		same(t, "entries", f.entries(1), []record.Entry{})
		for _, other := range []herald.MessageState{herald.MessageWithdrawn, herald.MessageExpired} {
			_, err = f.EndMessage(f.ctx, appA, m.ID, other, start)
			refused(t, err, herald.CodeConflict)
		}
		same(t, "message", f.find(m.ID), ended)
	}
	_, err := f.EndMessage(f.ctx, appA, 1, herald.MessageExpired, start)
	refused(t, err, herald.CodeNotFound)
	m := f.message(1)
	f.accept(m)
	for _, state := range []herald.MessageState{herald.MessageSending, herald.MessageDone, ""} {
		_, err = f.EndMessage(f.ctx, appA, m.ID, state, start)
		refused(t, err, herald.CodeInternal)
	}
	var mu sync.Mutex
	won := 0
	together(10, func(i int) {
		_, err := f.EndMessage(f.ctx, appA, m.ID, herald.MessageWithdrawn, start)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			won++
		}
	})
	if won != 1 {
		t.Errorf("%d of 10 callers ended the message", won)
	}
	f.wantHead(appA, 6)
}

func testEndWide(t *testing.T, f *fixture) {
	m, stays := f.message(sets.Range(1000).Ordinals()...), f.message(0, 500, 999)
	f.accept(m)
	f.accept(stays)
	_, err := f.EndMessage(f.ctx, appA, m.ID, herald.MessageExpired, start)
	f.must(err)
	for i, ord := range []herald.Ordinal{0, 500, 999} {
		same(t, "entries", f.entries(ord), []record.Entry{{Pos: 2, N: 1000 + uint64(i), Msg: stays.ID}})
	}
	same(t, "entries", f.entries(1), []record.Entry{})
}

func testCollapse(t *testing.T, f *fixture) {
	var ids []herald.MessageID
	for i := range 4 {
		m := f.message(1)
		m.CollapseKey = "news"
		if i == 3 {
			m.Due = start.Add(time.Hour) // scheduled
		}
		f.accept(m)
		ids = append(ids, m.ID)
	}
	f.accept(f.message(1))
	_, err := f.EndMessage(f.ctx, appA, ids[1], herald.MessageReplaced, start)
	f.must(err)
	for _, c := range []struct {
		app  herald.AppKey
		key  string
		want []herald.MessageID
	}{{appA, "news", []herald.MessageID{ids[0], ids[2], ids[3]}}, {appA, "other", nil}, {appB, "news", nil}, {appA, "", nil}} {
		got, err := f.ByCollapseKey(f.ctx, c.app, c.key)
		f.must(err)
		same(t, "messages with key "+c.key, got, c.want)
	}
	_, err = f.ByCollapseKey(f.ctx, none, "news")
	refused(t, err, herald.CodeNotFound)
}
