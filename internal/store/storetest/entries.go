package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// testEntryMessages looks at the entries of device 3: one of a message to it
// alone, and one of a message to several.
func testEntryMessages(t *testing.T, f *fixture, alone herald.MessageID) {
	list, err := f.EntryMessages(f.ctx, appA, 3, 0, 10)
	f.must(err)
	bare := make([]record.Entry, len(list))
	for i, e := range list {
		bare[i] = e.Entry
	}
	same(t, "entries with messages", bare, f.entries(3))
	for _, e := range list {
		if e.Msg != alone {
			if e.Message != nil {
				t.Errorf("a message to several came with the entry of one: %+v", e.Message)
			}
			continue
		}
		m := *f.find(alone)
		m.Audience, m.Unknown, m.OrderingKey, m.Accepted = herald.Audience{}, 0, "", time.Time{}
		same(t, "message with its entry", e.Message, &m)
	}
	list, err = f.EntryMessages(f.ctx, appA, 3, 1, 10)
	f.must(err)
	if len(list) != 1 || list[0].Msg != alone {
		t.Errorf("entries after the first: %+v", list)
	}
	const more = 70
	for range more {
		f.accept(f.message(4711))
	}
	for _, limit := range []int{1, 31, 32, 33, more - 1, more, 2 * more} {
		all, err := f.Entries(f.ctx, appA, 4711, 0, limit)
		f.must(err)
		list, err := f.EntryMessages(f.ctx, appA, 4711, 0, limit)
		f.must(err)
		bare := make([]record.Entry, len(list))
		for i, e := range list {
			bare[i] = e.Entry
			if e.Message != nil && e.Message.ID != e.Msg {
				t.Errorf("entry of message %d comes with message %d", e.Msg, e.Message.ID)
			}
		}
		same(t, fmt.Sprintf("at most %d entries", limit), bare, all)
		if list[0].Message == nil {
			t.Error("the newest entry comes without its message")
		}
	}
	_, err = f.EntryMessages(f.ctx, none, 0, 0, 1)
	refused(t, err, herald.CodeNotFound)
}
