package storetest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Reports is what the API asks of a store beside what the stages do.
type Reports interface {
	// MessagesFor lists, newest first, the released messages before an ID that
	// may be for a device, of so many that it looks at.
	MessagesFor(ctx context.Context, app herald.AppKey, o herald.Ordinal, before herald.MessageID, look int, may func(herald.MessageID) bool) ([]*record.Message, herald.MessageID, error)
	// Erase forgets what the record knows of a device.
	Erase(ctx context.Context, e record.Erasure) ([]herald.MessageID, error)
	BeginErasure(ctx context.Context, e record.Erasure) error
	Erasures(ctx context.Context, app herald.AppKey) ([]record.Erasure, error)
}

func testMessagesFor(t *testing.T, f *fixture) {
	for n := range 3 {
		f.register(appA, n)
	}
	first, other, group, scheduled, last := f.message(0, 1), f.message(1), f.group(sets.Range(2000)), f.message(), f.message(0)
	scheduled.Due, scheduled.State, scheduled.Target = f.clock().Add(time.Hour), herald.MessageScheduled, -1
	hidden, large := f.group(sets.Range(2000)), f.group(dense(3)) // which has the even ones
	without, odd, elsewhere := f.group(sets.Minus(sets.Range(2000), sets.New(0))), f.group(sets.Minus(sets.Range(3<<16), dense(3))), f.group(sets.Minus(dense(3), sets.Range(1<<16)))
	for _, a := range []record.Acceptance{first, other, without, group, odd, hidden, scheduled, large, elsewhere, last} {
		f.accept(a)
	}
	_, err := f.EndMessage(f.ctx, appA, first.ID, herald.MessageExpired, f.clock())
	f.must(err)
	may := func(id herald.MessageID) bool {
		if id == first.ID || id == last.ID {
			t.Errorf("asked of message %d, which is direct", id)
		}
		return id != hidden.ID
	}
	for look := 1; look <= 11; look++ {
		var got []herald.MessageID
		for before := herald.MessageID(0); ; {
			list, next, err := f.MessagesFor(f.ctx, appA, 0, before, look, may)
			f.must(err)
			for _, m := range list {
				if got = append(got, m.ID); m.IsDirect() == (m.ID == group.ID || m.ID == large.ID) || len(m.Body) == 0 {
					t.Errorf("message %d is listed as %+v", m.ID, m)
				}
			}
			if before = next; next == 0 {
				break
			}
		}
		if want := []herald.MessageID{large.ID, last.ID, group.ID, first.ID}; !slices.Equal(got, want) {
			t.Errorf("looking at %d: %v, want %v", look, got, want)
		}
	}
	if list, _, err := f.MessagesFor(f.ctx, appA, 0, 0, 100, nil); err != nil || len(list) != 5 {
		t.Errorf("without a word on group messages there are %d, want 5: %v", len(list), err)
	}
	if list, next, err := f.MessagesFor(f.ctx, appB, 0, 0, 10, nil); err != nil || len(list) > 0 || next != 0 {
		t.Errorf("in another app: %v, %d, %v", list, next, err)
	}
}

func testErase(t *testing.T, f *fixture) {
	anna, bob := f.register(appA, 1, withAlias("anna")), f.register(appA, 2, withAlias("bob"))
	named := func(a record.Acceptance, aliases ...herald.Alias) record.Acceptance {
		a.Audience, a.Body, a.ByAlias = herald.Audience{Aliases: aliases}, []byte(`{"data":"`+strings.Repeat("long ", 4000)+`"}`), true
		return a
	}
	alone, both, others := named(f.message(anna.Ord), "anna"), named(f.message(anna.Ord, bob.Ord), "anna", "bob"), named(f.message(bob.Ord), "bob")
	alone.CollapseKey, alone.Facts = "c", &record.Facts{Category: "to anna"}
	alone.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("h"), Answer: []byte(`{"id":"` + alone.ID.String() + `"}`), Until: f.clock().Add(herald.IdempotencyTTL)}
	for _, a := range []record.Acceptance{alone, both, others} {
		f.accept(a)
	}
	history := func() (out []record.Event) {
		list, err := f.Segments(f.ctx, appA, 0, 0)
		f.must(err)
		for _, s := range list {
			events, err := record.ParseEvents(s.Batch)
			f.must(err)
			out = append(out, events...)
		}
		return out
	}
	events := []record.Event{event(alone.ID, anna.Ord), event(both.ID, anna.Ord, bob.Ord), event(others.ID, bob.Ord)}
	f.append(events...)
	b, err := record.AppendEvents(nil, events)
	f.must(err)
	f.must(f.FoldReceipts(f.ctx, record.Fold{App: appA, Upto: 1, Segments: []record.Segment{{From: 1, Batch: b}}}))

	e := record.Erasure{App: appA, Ord: anna.Ord, ID: anna.ID, Alias: "anna"}
	want := []herald.MessageID{alone.ID, both.ID}
	for _, gone := range []bool{false, true, true} { // it may be repeated
		if e.Gone != gone {
			_, err := f.RemoveDevice(f.ctx, appA, anna.ID)
			f.must(err)
		}
		e.Gone = gone
		got, err := f.Erase(f.ctx, e)
		f.must(err)
		if slices.Sort(got); !gone && !slices.Equal(got, want) {
			t.Errorf("changed %v, want %v", got, want)
		}
		if n := len(history()); n != map[bool]int{false: 3, true: 2}[gone] {
			t.Errorf("gone %v: %d events are left", gone, n)
		}
	}
	f.restart()
	for id, want := range map[herald.MessageID]string{
		alone.ID: `{"registration_ids":["` + string(record.ErasedID) + `"]}`, both.ID: `{"aliases":["erased","bob"]}`, others.ID: `{"aliases":["bob"]}`,
	} {
		m, err := f.Message(f.ctx, appA, id)
		f.must(err)
		audience, err := json.Marshal(m.Audience)
		f.must(err)
		if string(audience) != want || (string(m.Body) == "{}") != (id == alone.ID) || m.CollapseKey != "" || m.Facts != nil || m.Target != int64(len(m.Direct)) {
			t.Errorf("message %d is %s to %d devices with %d bytes, want %s", id, audience, m.Target, len(m.Body), want)
		}
	}
	for _, v := range history() {
		if v.Msg == alone.ID || v.Set.Contains(anna.Ord) || !v.Set.Contains(bob.Ord) {
			t.Errorf("the history has %+v", v)
		}
	}
	if list, err := f.Entries(f.ctx, appA, anna.Ord, 0, 10); err != nil || len(list) > 0 {
		t.Errorf("entries %v, %v", list, err)
	}
	if list, err := f.Entries(f.ctx, appA, bob.Ord, 0, 10); err != nil || len(list) != 2 {
		t.Errorf("entries of the other device %v, %v", list, err)
	}
	if list, err := f.ByCollapseKey(f.ctx, appA, "c"); err != nil || len(list) > 0 {
		t.Errorf("by collapse key %v, %v", list, err)
	}
	again := named(f.message(bob.Ord), "bob")
	again.Idempotency = &record.Idempotency{Key: "k", Hash: []byte("other"), Answer: []byte("{}"), Until: f.clock().Add(time.Hour)}
	f.accept(again) // the key is free
	if _, err := f.Erase(f.ctx, record.Erasure{App: "nobody"}); err == nil {
		t.Error("an app that there is not is erased in")
	}
}
