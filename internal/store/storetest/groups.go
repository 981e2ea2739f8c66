package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// GroupMessages keeps what was sent to groups of apps.
type GroupMessages interface {
	BeginGroupMessage(ctx context.Context, m record.GroupMessage, since time.Time) (prior *record.GroupMessage, err error)
	EndGroupMessage(ctx context.Context, m record.GroupMessage) error
	GroupMessage(ctx context.Context, group herald.GroupKey, id herald.MessageID) (record.GroupMessage, error)
	GroupMessages(ctx context.Context, group herald.GroupKey, before herald.MessageID, limit int) ([]record.GroupMessage, error)
}

const (
	groupA herald.GroupKey = "group-aaaaaaaaaaaaaaaaaaaaaaaa"
	groupB herald.GroupKey = "group-bbbbbbbbbbbbbbbbbbbbbbbb"
)

func testGroups(t *testing.T, f *fixture) {
	a := record.AppGroup{Key: groupA, Name: "one", SecretHash: []byte("hash"), Created: start}
	b := record.AppGroup{Key: groupB, Name: "two", SecretHash: []byte("other"), Created: start, Apps: []herald.AppKey{appB}}
	f.must(f.PutAppGroup(f.ctx, b))
	f.must(f.PutAppGroup(f.ctx, a))
	a.Apps, a.OldHash, a.OldUntil = []herald.AppKey{appB, appA}, []byte("old"), start.Add(time.Hour)
	f.must(f.PutAppGroup(f.ctx, a))
	for range 2 {
		got, err := f.AppGroups(f.ctx)
		f.must(err)
		same(t, "groups", got, []record.AppGroup{a, b})
		f.restart()
	}
	_, err := f.BeginGroupMessage(f.ctx, record.GroupMessage{Group: groupA, ID: f.nextID(), Created: start, Expires: start.Add(time.Hour)}, start)
	f.must(err)
	f.must(f.DeleteAppGroup(f.ctx, groupA))
	refused(t, f.DeleteAppGroup(f.ctx, groupA), herald.CodeNotFound)
	got, err := f.AppGroups(f.ctx)
	f.must(err)
	same(t, "the other group", got, []record.AppGroup{b})
	list, err := f.GroupMessages(f.ctx, groupA, 0, 10)
	f.must(err)
	same(t, "messages of a group that is gone", list, []record.GroupMessage(nil))
}

func testGroupMessages(t *testing.T, f *fixture) {
	begin := func(group herald.GroupKey, key string, since time.Time) (record.GroupMessage, *record.GroupMessage) {
		t.Helper()
		now := f.clock()
		m := record.GroupMessage{Group: group, ID: f.nextID(), IdemKey: key, Hash: []byte{1}, Created: now, Expires: now.Add(48 * time.Hour)}
		prior, err := f.BeginGroupMessage(f.ctx, m, since)
		f.must(err)
		return m, prior
	}
	first, prior := begin(groupA, "k", start)
	if prior != nil {
		t.Errorf("a prior message: %+v", prior)
	}
	first.Results = []record.GroupResult{
		{App: appA, Message: 7, Answer: []byte(`{"id":"7"}`)},
		{App: appB, Code: herald.CodeInvalidRequest, Text: "wrong", Remedy: "Right it.", Field: "ttl"},
	}
	f.must(f.EndGroupMessage(f.ctx, first))
	f.restart()
	if _, prior = begin(groupA, "k", start); prior == nil {
		t.Fatal("the repetition was not noticed")
	}
	same(t, "prior", *prior, first)
	second, prior := begin(groupA, "", start)
	if prior != nil {
		t.Error("a message without a key was taken for a repetition")
	}
	if _, prior = begin(groupB, "k", start); prior != nil {
		t.Error("the key of another group counts")
	}
	got, err := f.GroupMessage(f.ctx, groupA, first.ID)
	f.must(err)
	same(t, "message", got, first)
	_, err = f.GroupMessage(f.ctx, groupB, first.ID)
	refused(t, err, herald.CodeNotFound)
	list, err := f.GroupMessages(f.ctx, groupA, 0, 10)
	f.must(err)
	same(t, "list", list, []record.GroupMessage{second, first})
	list, err = f.GroupMessages(f.ctx, groupA, second.ID, 1)
	f.must(err)
	same(t, "page", list, []record.GroupMessage{first})

	// A key is good for a while, and what has expired goes.
	f.sleep(49 * time.Hour)
	third, prior := begin(groupA, "k", f.clock().Add(-24*time.Hour))
	if prior != nil {
		t.Error("an old key still counts")
	}
	list, err = f.GroupMessages(f.ctx, groupA, 0, 10)
	f.must(err)
	same(t, "what is left", list, []record.GroupMessage{third})
}

func testGroupMessagesTogether(t *testing.T, f *fixture) {
	ids := make(chan herald.MessageID, 8)
	together(8, func(int) {
		m := record.GroupMessage{Group: groupA, ID: f.nextID(), IdemKey: "k", Created: start, Expires: start.Add(time.Hour)}
		prior, err := f.BeginGroupMessage(f.ctx, m, start)
		if err != nil {
			t.Error(err)
			return
		}
		if prior != nil {
			m = *prior
		}
		ids <- m.ID
	})
	close(ids)
	seen := map[herald.MessageID]bool{}
	for id := range ids {
		seen[id] = true
	}
	if len(seen) != 1 {
		t.Errorf("%d messages came of one key", len(seen))
	}
}
