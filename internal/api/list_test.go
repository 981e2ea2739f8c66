package api_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// A list says of each message what the message says of itself, also where that
// is counted and not stored.
func TestListedStates(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	open := w.sent(w.masterA, `{"audience":"all","data":1}`)
	done := w.sent(w.masterA, `{"audience":"all","data":2}`)
	nobody := w.sent(w.masterA, `{"audience":{"tags":["nobody"]},"data":3}`)
	later := w.sent(w.masterA, `{"audience":"all","data":4,"send_at":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
	w.settle()
	_, err := w.s.Receipts.Report(t.Context(), d, api.ReceiptsRequest{Receipts: []api.Receipt{{ID: done.ID, Event: herald.StateReceived}}})
	w.must(err)
	want := map[herald.MessageID]herald.MessageState{
		open.ID: herald.MessageSending, done.ID: herald.MessageDone, nobody.ID: herald.MessageDone, later.ID: herald.MessageScheduled,
	}
	for _, state := range []herald.MessageState{"", herald.MessageSending, herald.MessageDone, herald.MessageScheduled, herald.MessageExpired} {
		found := 0
		for cursor := ""; ; {
			page, err := w.s.Messages.List(t.Context(), w.masterA, state, cursor, 1)
			w.must(err)
			for _, v := range page.Messages {
				found++
				one, err := w.s.Messages.Get(t.Context(), w.masterA, v.ID)
				w.must(err)
				if v.State != want[v.ID] || v.State != one.State || state != "" && v.State != state || (v.Counts == nil) != (v.State == herald.MessageScheduled) {
					t.Errorf("listed by %q: %s with counts %v; alone it is %s", state, v.State, v.Counts, one.State)
				}
			}
			if cursor = page.NextCursor; cursor == "" {
				break
			}
		}
		expected := 0
		for _, s := range want {
			if state == "" || s == state {
				expected++
			}
		}
		if found != expected {
			t.Errorf("%d messages are listed by %q, want %d", found, state, expected)
		}
	}
}

// unreadable is a record in which a message is damaged.
type unreadable struct {
	*sqlite.DB
	id herald.MessageID
}

func (u unreadable) Message(ctx context.Context, app herald.AppKey, id herald.MessageID) (*record.Message, error) {
	if id == u.id {
		return nil, errors.New("the stored bytes are not those that were written")
	}
	return u.DB.Message(ctx, app, id)
}

func TestDamagedMessageHidesNoOther(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	first, damaged := w.sent(w.masterA, `{"audience":"all","data":1}`), w.sent(w.masterA, `{"audience":"all","data":2}`)
	s := api.New(api.Config{Registry: w.registry, Dispatch: w.d, Ledger: w.ledger, Messages: unreadable{w.db, damaged.ID}})
	page, err := s.Messages.List(t.Context(), w.masterA, "", "", 0)
	w.must(err)
	if l := page.Messages; len(l) != 2 || l[0].ID != damaged.ID || l[0].Counts != nil || l[0].State != herald.MessageSending || l[1].ID != first.ID || l[1].Counts == nil {
		t.Errorf("the list is %s", asJSON(t, page))
	}
	if _, err := s.Messages.Get(t.Context(), w.masterA, damaged.ID); err == nil {
		t.Error("a damaged message is shown as if it were whole")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Messages.List(ctx, w.masterA, "", "", 0); err == nil {
		t.Error("a caller who has gone gets a list")
	}
}
