package receipt_test

import (
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// What many devices report of the same messages, while the store is away, is
// one event for each message when it is back, with the time of the first.
func TestReportOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	ords := make([]herald.Ordinal, 300)
	for i := range ords {
		ords[i] = herald.Ordinal(i * 1000)
	}
	d, g, v := w.message(direct, 0, ords...), w.message(group, 0, ords...), w.message(volatile, 0, ords...)
	one := w.message(volatile, 0, 5)
	w.faulty.set(true, false)
	w.ledger.Report(app, w.event(d, herald.StateSent, ords...)) // keeps the log busy
	<-w.faulty.tried
	first := w.pass(time.Second)
	for i := range ords {
		o := ords[(i*7)%len(ords)] // in no order
		w.ledger.ReportOne(app, o, herald.StateReceived, "receipt", w.pass(time.Millisecond), d.ID, g.ID, v.ID)
		w.ledger.ReportOne(app, o, herald.StateReceived, "receipt", w.clock(), d.ID, d.ID) // again
	}
	w.ledger.ReportOne(app, ords[1], herald.StateClicked, "receipt", w.clock(), g.ID)
	w.ledger.ReportOne(app, 5, herald.StateClicked, "receipt", w.clock(), one.ID, d.ID)
	w.ledger.ReportOne(app, 77, herald.StateReceived, "receipt", w.clock(), g.ID) // not in its target
	w.faulty.set(false, false)
	w.settle()
	for _, m := range []*record.Message{d, g, v} {
		if c := w.counts(m); c.Received != int64(len(ords)) {
			t.Errorf("counts %+v", c)
		}
	}
	if got := w.state(one, 5); got != herald.StateClicked {
		t.Errorf("the message to one is %s", got)
	}
	if got := w.history(g, ords[1]); !slices.Equal(got, []herald.DeliveryState{herald.StateReceived, herald.StateClicked}) {
		t.Errorf("history %v", got)
	}
	events, err := w.ledger.History(t.Context(), d, ords[2])
	w.must(err)
	if len(events) != 2 || events[1].Time.Sub(first) > 10*time.Millisecond {
		t.Errorf("history %+v after %s", events, first)
	}
	if n := w.faulty.batches(); n > 2 {
		t.Errorf("%d batches for events that waited together", n)
	}
	w.restart(true)
	if c := w.counts(d); c.Received != int64(len(ords)) {
		t.Errorf("after a restart: counts %+v", c)
	}
}

// Many messages to one device each are found again like few.
func TestReportOneOfManyMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	list := make([]*record.Message, 40)
	for i := range list {
		list[i] = w.message(direct, 0, 1, 2)
	}
	w.faulty.set(true, false)
	w.ledger.Report(app, w.event(list[0], herald.StateSent, 1)) // keeps the log busy
	<-w.faulty.tried
	for _, o := range []herald.Ordinal{1, 2, 1} {
		for _, m := range list {
			w.ledger.ReportOne(app, o, herald.StateReceived, "receipt", w.clock(), m.ID)
		}
	}
	w.faulty.set(false, false)
	w.settle()
	for i, m := range list {
		if c := w.counts(m); c.Received != 2 {
			t.Errorf("message %d: %+v", i, c)
		}
	}
	// After so much the next is gathered, unless somebody waits for it.
	for _, m := range list[:5] {
		w.ledger.ReportOne(app, 2, herald.StateClicked, "receipt", w.clock(), m.ID)
	}
	w.ledger.Report(app, w.event(list[0], herald.StateDisplayed, 1))
	w.settle()
	for i, m := range list {
		if c, want := w.counts(m), int64(1); i < 5 && c.Clicked != want || i >= 5 && c.Clicked != 0 {
			t.Errorf("message %d: %+v", i, c)
		}
	}
}

// Past what a queue holds, reports of devices go, and ends stay.
func TestReportOneIsShed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	m, n := w.message(direct, 0, 1), w.message(direct, 0, 2)
	w.faulty.set(true, false)
	w.ledger.Report(app, w.event(n, herald.StateSent, 2)) // keeps the log busy
	<-w.faulty.tried
	w.ledger.ReportOne(app, 1, herald.StateReceived, "receipt", w.clock(), m.ID)
	w.ledger.Report(app, w.event(n, herald.StateOverflow, 2))
	many := make([]herald.MessageID, herald.MaxIDsPerCall)
	for i := range many {
		many[i] = n.ID
	}
	for range 16*100_000/len(many) + 1 {
		w.ledger.ReportOne(app, 3, herald.StateReceived, "receipt", w.clock(), many...)
	}
	w.ledger.ReportOne(app, 1, herald.StateSent, "receipt", w.clock(), m.ID) // after it
	w.faulty.set(false, false)
	w.settle()
	if got := w.state(m, 1); got != herald.StateSent {
		t.Errorf("the report of a device was not dropped, or the one after it was: %s", got)
	}
	if got := w.state(n, 2); got != herald.StateOverflow {
		t.Errorf("an end was dropped: %s", got)
	}
}
