package receipt

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// TestMaskLikeSets: what an event does to one delivery as bits is what it does
// with sets.
func TestMaskLikeSets(t *testing.T) {
	ended := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := New(Config{DeadAt: func(herald.AppKey, herald.Pos) *sets.Set { return sets.New() }})
	b := l.book("aaaaaaaaaaaaaaaaaaaaaaaa")
	rapid.Check(t, func(t *rapid.T) {
		g := &group{id: 1, msg: &record.Message{Message: herald.Message{ID: 1}, Ended: ended}, cell: &cell{target: sets.New(5)}}
		m := mask(0)
		for range rapid.IntRange(1, 8).Draw(t, "events") {
			state := rapid.SampledFrom(known).Draw(t, "state")
			late := rapid.Bool().Draw(t, "late")
			e := record.Event{Msg: 1, State: state, Set: sets.New(5), Time: ended}
			if late {
				e.Time = ended.Add(herald.LateReceipts + time.Second)
			}
			if after := m.after(bit(state), late); after != 0 {
				m = m.with(after)
			}
			b.mu.Lock()
			b.applyTo(g, nil, e)
			b.mu.Unlock()
			for _, s := range known {
				if got, want := m&bit(s) != 0, g.cell.has(s).Contains(5); got != want {
					t.Fatalf("after %s (late %v) the bit of %s is %v, the set says %v", state, late, s, got, want)
				}
			}
		}
	})
}

func TestBits(t *testing.T) {
	seen := mask(0)
	for _, s := range known {
		if b := bit(s); b == 0 || seen&b != 0 {
			t.Errorf("%s has bit %b, and %b are taken", s, b, seen)
		}
		seen |= bit(s)
	}
	if bit(herald.StatePending) != 0 || len(known) > len(stretch{}.bits) {
		t.Errorf("pending has a bit, or there is no room for %d states", len(known))
	}
}

// lookups is a source that counts.
type lookups struct {
	MessageSource
	n int
}

func (s *lookups) Message(_ context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error) {
	s.n++
	return &record.Message{Message: herald.Message{App: app, ID: id}, State: herald.MessageSending, Direct: []herald.Ordinal{1}, FirstN: uint64(id)}, nil
}

// TestFactsOutliveMessages: the facts of a message are known when the catalog
// has long dropped the message, until their room is used up.
func TestFactsOutliveMessages(t *testing.T) {
	source := &lookups{}
	c := NewCatalog(source)
	c.room = 10_000 * (factsSize + 4)
	ask := func(id herald.MessageID) *facts {
		f, err := c.about(t.Context(), "a", id)
		if err != nil || f.firstN != uint64(id) {
			t.Fatalf("message %d: %+v, %v", id, f, err)
		}
		return f
	}
	for id := range herald.MessageID(10_000) {
		ask(id)
	}
	if ask(0); source.n != 10_000 {
		t.Errorf("%d lookups for 10,000 messages", source.n)
	}
	ended := &record.Message{Message: herald.Message{App: "a", ID: 5}, Direct: []herald.Ordinal{1}, FirstN: 5, Ended: time.Now(), EndPos: 9}
	c.Put(ended)
	if f := ask(5); f.endPos != 9 {
		t.Errorf("what has ended is not known: %+v", f)
	}
	open := *ended
	open.Ended, open.EndPos = time.Time{}, 0
	c.Put(&open)
	if f := ask(5); f.endPos != 9 {
		t.Errorf("an older copy took the place of one that has ended: %+v", f)
	}
	for id := range herald.MessageID(20_000) {
		ask(id)
	}
	if n := len(c.facts); n != 10_000 || len(c.queue)-c.head != n {
		t.Errorf("%d facts are kept, with %d in the queue", n, len(c.queue)-c.head)
	}
	c.Forget("a", 19_999)
	before := source.n
	if ask(19_999); source.n != before+1 {
		t.Error("a forgotten message is still known")
	}
}

func (s *lookups) MessagesByID(ctx context.Context, app herald.AppKey, ids []herald.MessageID) (out []*record.Message, err error) {
	for _, id := range ids {
		if id < 100 {
			m, _ := s.Message(ctx, app, id)
			out = append(out, m)
		}
	}
	return out, nil
}

// TestCatalogReadsTogether: what is not in the catalog is read in one call,
// and is in it then.
func TestCatalogReadsTogether(t *testing.T) {
	source := &lookups{}
	c := NewCatalog(source)
	if _, err := c.Message(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := c.Messages(t.Context(), "a", []herald.MessageID{1, 2, 3, 500})
		if err != nil || len(got) != 3 || got[1].ID != 1 || got[2].ID != 2 || got[3].ID != 3 {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if source.n != 3 {
		t.Errorf("%d messages were read, want 3", source.n)
	}
}

// TestCatalogKeepsWhatManyAskFor: a message to one device that is read for it
// drives nothing out, and what is reported of it is known all the same.
func TestCatalogKeepsWhatManyAskFor(t *testing.T) {
	source := &lookups{}
	c := NewCatalog(source)
	group := &record.Message{Message: herald.Message{App: "a", ID: 900}, State: herald.MessageSending, Group: record.ImageApart()}
	c.left = messageSize(group)
	c.Put(group)
	if got, err := c.Messages(t.Context(), "a", []herald.MessageID{1, 900}); err != nil || len(got) != 2 || source.n != 1 {
		t.Fatalf("%v, %v, with %d reads", got, err, source.n)
	}
	if f, err := c.about(t.Context(), "a", 1); err != nil || f.firstN != 1 || source.n != 1 {
		t.Fatalf("%+v, %v, with %d reads", f, err, source.n)
	}
	if _, err := c.Message(t.Context(), "a", 900); err != nil || source.n != 1 {
		t.Fatalf("the group message was driven out: %v", err)
	}
}
