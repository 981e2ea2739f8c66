package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// What was sent and not acknowledged when its message ended may be reported as
// received for seven days, by the device and by the app server; a cursor says
// nothing about it.
func TestLateReceipts(t *testing.T) {
	for name, devices := range map[string]int{"direct": 3, "group": herald.MaxDirect + 3} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var first []api.Principal
			for i := range devices {
				p := w.device(w.a, api.RegisterRequest{})
				if i < 3 {
					w.online(p, true)
					first = append(first, p)
				}
			}
			m := w.sent(w.masterA, `{"audience":"all","data":1}`)
			_, err := w.s.Messages.Withdraw(t.Context(), w.masterA, m.ID)
			w.must(err)
			report := func(p api.Principal, r api.ReceiptsRequest) {
				t.Helper()
				_, err := w.s.Receipts.Report(t.Context(), p, r)
				w.must(err)
				w.settle()
			}
			received := func(of api.Principal) api.ReceiptsRequest {
				return api.ReceiptsRequest{Receipts: []api.Receipt{{ID: m.ID, Event: herald.StateReceived, RegistrationID: of.Device}}}
			}
			want := func(when string, received, unconfirmed int64) {
				t.Helper()
				v, err := w.s.Messages.Get(t.Context(), w.masterA, m.ID)
				w.must(err)
				if v.Counts.Received != received || v.Counts.States[herald.StateUnconfirmed] != unconfirmed {
					t.Errorf("%s: %+v", when, *v.Counts)
				}
			}
			want("at its end", 0, 3)
			w.pass(herald.LateReceipts - time.Minute)
			report(first[0], api.ReceiptsRequest{Cursor: w.registry.Cursor(w.a, 1<<40)})
			want("a cursor", 0, 3)
			report(first[0], received(first[0]))
			report(w.masterA, received(first[1]))
			want("within seven days", 2, 1)
			w.pass(2 * time.Minute)
			report(first[2], received(first[2]))
			want("after seven days", 2, 1)
		})
	}
}

// The counts of a message outlive it.
func TestCountsAfterThePurge(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{Alias: "anna"})
	w.online(d, true)
	id := w.sent(w.masterA, `{"audience":{"aliases":["anna"]},"data":1}`).ID
	before, err := w.s.Messages.Withdraw(t.Context(), w.masterA, id)
	w.must(err)
	m, err := w.db.Message(t.Context(), w.a, id)
	w.must(err)
	w.must(w.db.KeepCounts(t.Context(), m.Count(*before.Counts), m.Ended.Add(herald.CountRetention)))
	_, err = w.db.Purge(t.Context(), m.Ended, m.Ended.Add(time.Hour), 10)
	w.must(err)
	got, err := w.s.Messages.Get(t.Context(), w.masterA, id)
	w.must(err)
	if fmt.Sprint(*got.Counts) != fmt.Sprint(*before.Counts) || got.State != herald.MessageWithdrawn || got.ID != id ||
		got.Data != nil || got.Audience.Aliases != nil || !got.AcceptedAt.Equal(before.AcceptedAt) || !got.EndedAt.Equal(*before.EndedAt) {
		t.Errorf("got %+v, was %+v", got, before)
	}
	for what, p := range map[string]api.Principal{"another app": w.masterB} {
		if _, err := w.s.Messages.Get(t.Context(), p, id); herald.CodeOf(err) != herald.CodeNotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.s.Messages.Get(t.Context(), w.masterA, id+1); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("a message that never was: %v", err)
	}
}
