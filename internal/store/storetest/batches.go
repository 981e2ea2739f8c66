package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func idem(key, hash, answer string) *record.Idempotency {
	return &record.Idempotency{Key: key, Hash: []byte(hash), Answer: []byte(answer), Until: start.Add(time.Hour)}
}

// testAcceptAll accepts good and bad messages of all kinds together.
func testAcceptAll(t *testing.T, f *fixture) {
	before := f.accept(f.message(1))
	direct, wide, large := f.message(1, 2), f.group(sets.Range(5000)), f.group(dense(3))
	later := f.message()
	later.Due, later.State, later.Target = start.Add(time.Hour), herald.MessageScheduled, -1
	gone := f.message(1)
	gone.TTL, gone.Volatile, gone.Idempotency = 0, true, idem("v", "h", "volatile")
	keyed, again, other := f.message(1), f.message(1), f.message(1)
	keyed.Idempotency, again.Idempotency, other.Idempotency = idem("k", "h", "first"), idem("k", "h", "second"), idem("k", "x", "third")
	repeated := f.group(dense(3)) // with chunks that are written before it is known to be one
	repeated.Idempotency = idem("k", "h", "fourth")
	unsorted, nowhere := f.message(2, 1), f.message(1)
	nowhere.App = none
	last := f.message(1)

	list := []*record.Acceptance{&direct, &wide, &large, &later, &gone, &keyed, &again, &other, &repeated, &unsorted, &nowhere, &last}
	got := f.AcceptAll(f.ctx, list)
	pos, n := before.Pos, before.FirstN+1
	for i, want := range []record.Accepted{
		0: {Pos: pos + 1, FirstN: n}, 1: {Pos: pos + 2}, 2: {Pos: pos + 3}, 3: {}, 4: {}, 5: {Pos: pos + 4, FirstN: n + 2},
		6: {Prior: []byte("first")}, 7: {}, 8: {Prior: []byte("first")}, 9: {}, 10: {}, 11: {Pos: pos + 5, FirstN: n + 3},
	} {
		same(t, "Accepted", got[i].Accepted, want)
	}
	for i, code := range []herald.Code{7: herald.CodeIdempotencyConflict, 9: herald.CodeInternal, 10: herald.CodeNotFound, 11: ""} {
		if c := herald.CodeOf(got[i].Err); c != code {
			t.Errorf("outcome %d: %v", i, got[i].Err)
		}
	}
	f.wantHead(appA, pos+5)
	f.restart() // it was durable
	for _, a := range []record.Acceptance{direct, wide, large, keyed, last} {
		if m := f.find(a.ID); m.State != herald.MessageSending || m.Pos == 0 {
			t.Errorf("message %d came back as %+v", a.ID, m)
		}
	}
	if m := f.find(later.ID); m.State != herald.MessageScheduled {
		t.Errorf("the scheduled message is %s", m.State)
	}
	for _, a := range []record.Acceptance{gone, again, other, repeated, unsorted} {
		_, err := f.Message(f.ctx, appA, a.ID)
		refused(t, err, herald.CodeNotFound)
	}
	if e := f.entries(1); len(e) != 4 {
		t.Errorf("device 1 has the entries %v", e)
	}
	if got := f.AcceptAll(f.ctx, nil); len(got) != 0 {
		t.Errorf("nothing gave %v", got)
	}
}

// testAcceptAllBad has one message of several fail in the database itself.
func testAcceptAllBad(t *testing.T, f *fixture) {
	there := f.message(1)
	f.accept(there)
	var list []*record.Acceptance
	for i := range 100 {
		a := f.message(1)
		if i == 40 || i == 70 {
			a.ID = there.ID
		}
		list = append(list, &a)
	}
	pos := herald.Pos(1)
	for i, o := range f.AcceptAll(f.ctx, list) {
		if i == 40 || i == 70 {
			refused(t, o.Err, herald.CodeConflict)
			continue
		}
		if pos++; o.Err != nil || o.Pos != pos {
			t.Errorf("message %d: %+v, want position %d", i, o, pos)
		}
	}
	f.wantHead(appA, 99)

	ended, cancel := context.WithCancel(f.ctx)
	cancel()
	a, b := f.message(1), f.group(dense(2))
	for _, o := range f.AcceptAll(ended, []*record.Acceptance{&a, &b}) {
		if !errors.Is(o.Err, context.Canceled) {
			t.Errorf("with an ended context: %+v", o)
		}
	}
	f.wantHead(appA, 99)
}

// testAcceptAllConcurrently has batches and single messages share commits.
func testAcceptAllConcurrently(t *testing.T, f *fixture) {
	const n, each = 20, 30
	together(2*n, func(i int) {
		if i%2 == 1 {
			if _, err := f.Accept(f.ctx, f.message(1)); err != nil {
				t.Error(err)
			}
			return
		}
		var list []*record.Acceptance
		for range each {
			a := f.message(2)
			list = append(list, &a)
		}
		last := herald.Pos(0)
		for _, o := range f.AcceptAll(f.ctx, list) {
			// Nothing comes between the messages of a batch.
			if o.Err != nil || last != 0 && o.Pos != last+1 {
				t.Errorf("got %+v after position %d", o, last)
			}
			last = o.Pos
		}
	})
	f.wantHead(appA, n*each+n)
}

// testRebound changes who has an alias, and looks at what the hook is told.
func testRebound(t *testing.T, f *fixture) {
	told := func(what string, want ...herald.Alias) {
		t.Helper()
		f.mu.Lock()
		defer f.mu.Unlock()
		got := f.sets[appA][len(f.sets[appA])-1].Rebound
		if slices.Contains(got, "") {
			return // any alias
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the hook was told of %q, want %q", what, got, want)
		}
	}
	f.register(appA, 1)
	told("a device without an alias")
	d := f.register(appA, 2, withAlias("x"))
	told("a new device", "x")
	update := func(p record.DevicePatch) {
		t.Helper()
		_, err := f.UpdateDevice(f.ctx, appA, d.ID, p)
		f.must(err)
	}
	y, none := herald.Alias("y"), herald.Alias("")
	update(record.DevicePatch{AddTags: []herald.Tag{"t"}})
	told("a tag")
	update(record.DevicePatch{Alias: &y})
	told("another alias", "x", "y")
	update(record.DevicePatch{Alias: &none})
	told("no alias", "y")
	_, err := f.BindDevices(f.ctx, appA, []record.Binding{{ID: d.ID, Alias: "z"}}, false)
	f.must(err)
	told("a binding", "z")
	_, err = f.RemoveDevice(f.ctx, appA, d.ID)
	f.must(err)
	told("a device was removed", "z")
}
