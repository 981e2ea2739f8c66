package receipt_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// tellOf reports a message's deliveries at random: some not at all, some in
// steps, some at once, some twice, some ended.
func (w *world) tellOf(m *record.Message, ords []herald.Ordinal, seed uint64) {
	w.t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	sent := sets.New()
	for _, o := range ords {
		if r.IntN(5) > 0 {
			sent.Add(o)
		}
	}
	w.must(w.ledger.Apply(context.Background(), app, record.Event{Msg: m.ID, State: herald.StateSent, Set: sent, Time: w.clock(), Via: "websocket"}))
	steps := []herald.DeliveryState{herald.StateReceived, herald.StateDisplayed, herald.StateClicked, herald.StateReceived, herald.StateDeviceGone}
	for _, o := range ords {
		w.pass(time.Duration(r.IntN(3)) * time.Second)
		for range r.IntN(3) {
			w.ledger.Report(app, w.event(m, steps[r.IntN(len(steps))], o))
		}
	}
	w.settle()
}

// read reads a message as an export does, and checks it against what is
// answered about each device.
func (w *world) read(m *record.Message, ords []herald.Ordinal) {
	w.t.Helper()
	ctx := context.Background()
	reading, err := w.ledger.Read(ctx, m)
	w.must(err)
	evens := sets.New()
	for _, o := range ords {
		if o%2 == 0 {
			evens.Add(o)
		}
	}
	survey, err := reading.Survey(ctx, []*sets.Set{evens})
	w.must(err)
	c := w.counts(m)
	want := receipt.Funnel{Target: c.Target, Steps: [4]int64{c.Sent, c.Received, c.Displayed, c.Clicked}}
	if survey.Whole != want {
		w.t.Errorf("the funnel is %+v, the counts say %+v", survey.Whole, want)
	}
	var groups, minutes receipt.Funnel
	for _, g := range survey.Groups {
		groups.Target += g.Target
		for i := range g.Steps {
			groups.Steps[i] += g.Steps[i]
		}
	}
	if groups != want {
		w.t.Errorf("the groups sum to %+v, not to %+v", groups, want)
	}
	for _, minute := range survey.Minutes {
		for i := range minute {
			minutes.Steps[i] += minute[i]
		}
	}
	if m.TTL > 0 && minutes.Steps != want.Steps {
		w.t.Errorf("the minutes sum to %v, not to %v", minutes.Steps, want.Steps)
	}
	if m.TTL == 0 && survey.Minutes != nil {
		w.t.Error("of TTL 0 there are times")
	}
	var all []receipt.Delivery
	for _, part := range reading.Parts() {
		list, err := reading.Deliveries(ctx, part, receipt.DeliveryFilter{})
		w.must(err)
		all = append(all, list...)
	}
	if len(all) != len(ords) {
		w.t.Fatalf("%d deliveries, want %d", len(all), len(ords))
	}
	for i, d := range all {
		if d.Ord != ords[i] || d.State != w.state(m, d.Ord) {
			w.t.Errorf("delivery %d is of %d in %s; want %d in %s", i, d.Ord, d.State, ords[i], w.state(m, ords[i]))
		}
		w.sameTimes(m, d)
	}
	w.pages(m, reading, all)
}

// sameTimes holds the times of a delivery against its history.
func (w *world) sameTimes(m *record.Message, d receipt.Delivery) {
	w.t.Helper()
	if m.TTL == 0 {
		return
	}
	events, err := w.ledger.History(context.Background(), m, d.Ord)
	w.must(err)
	want := receipt.Delivery{Ord: d.Ord, State: d.State, Detail: d.Detail}
	for _, e := range events {
		to := map[herald.DeliveryState]*time.Time{
			herald.StateSent: &want.Sent, herald.StateReceived: &want.Received, herald.StateDisplayed: &want.Displayed, herald.StateClicked: &want.Clicked,
			herald.StateDeviceGone: &want.Ended, herald.StateUnconfirmed: &want.Ended, herald.StateExpired: &want.Ended,
		}[e.State]
		if to.IsZero() {
			*to = e.Time
			if e.State == herald.StateSent {
				want.Via = e.Via
			}
		}
	}
	// Events of one batch may contradict each other; the history has both, and
	// the state says which of them counted.
	if d.State == herald.StateDeviceGone {
		want.Received, want.Displayed, want.Clicked = time.Time{}, time.Time{}, time.Time{}
	} else {
		want.Ended = time.Time{}
	}
	if d != want {
		w.t.Errorf("device %d: got %+v, its history says %+v", d.Ord, d, want)
	}
}

// pages reads some deliveries at a time, and by state.
func (w *world) pages(m *record.Message, reading *receipt.Reading, all []receipt.Delivery) {
	w.t.Helper()
	ctx := context.Background()
	var got []receipt.Delivery
	from := herald.Ordinal(0)
	for _, part := range reading.Parts() {
		for {
			list, err := reading.Deliveries(ctx, part, receipt.DeliveryFilter{From: from, Limit: 7})
			w.must(err)
			got = append(got, list...)
			if len(list) < 7 {
				break
			}
			from = list[6].Ord + 1
		}
	}
	if !slices.Equal(got, all) {
		w.t.Error("page by page there is something else than at once")
	}
	none := sets.New(all[0].Ord)
	for state, n := range w.counts(m).States {
		var found int64
		for _, part := range reading.Parts() {
			list, err := reading.Deliveries(ctx, part, receipt.DeliveryFilter{State: state})
			w.must(err)
			found += int64(len(list))
			list, err = reading.Deliveries(ctx, part, receipt.DeliveryFilter{State: state, Among: none})
			w.must(err)
			if len(list) > 1 || len(list) == 1 && (list[0].Ord != all[0].Ord || list[0].State != all[0].State) {
				w.t.Errorf("among one device there are %+v", list)
			}
		}
		if found != n {
			w.t.Errorf("%d deliveries are %s, the counts say %d", found, state, n)
		}
	}
}

func TestReading(t *testing.T) {
	spread := make([]herald.Ordinal, 0, 300) // over three slabs
	for i := range herald.Ordinal(300) {
		spread = append(spread, i*600)
	}
	near := spread[:40]
	for name, tt := range map[string]struct {
		kind kind
		ords []herald.Ordinal
		l    limits
	}{
		"one":                {direct, spread[7:8], limits{}},
		"direct":             {direct, spread, limits{}},
		"small group":        {group, spread, limits{}},
		"group in cells":     {group, spread, limits{small: -1}},
		"no memory":          {group, spread, limits{small: -1, bytes: 1}},
		"target kept apart":  {group, spread, limits{small: -1, inline: 1}},
		"now or never":       {volatile, near, limits{}},
		"group of one":       {group, near[:1], limits{small: -1}},
		"group within a few": {group, near, limits{small: -1, bytes: 1, inline: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorldWith(t, t.TempDir(), tt.l)
			defer func() { w.end(false) }()
			// Others with neighbouring numbers and the same devices must not be
			// taken for this one.
			other := w.message(tt.kind, 0, tt.ords...)
			m := w.message(tt.kind, 0, tt.ords...)
			w.tellOf(other, tt.ords, 1)
			w.tellOf(m, tt.ords, 2)
			w.read(m, tt.ords)
			if tt.kind == volatile {
				return
			}
			w.must(w.ledger.Fold(context.Background(), true))
			w.read(m, tt.ords)
			w.tellOf(m, tt.ords[:len(tt.ords)/2], 3) // some folded, some not
			w.read(m, tt.ords)
			w.restart(true)
			w.read(m, tt.ords)
			w.restart(false)
			w.read(m, tt.ords)
			ended := w.finish(m, herald.MessageExpired, herald.StateExpired)
			w.settle()
			c := w.counts(ended)
			if c.States[herald.StatePending] != 0 {
				t.Errorf("after its end: %v", c.States)
			}
			w.pass(herald.LateReceipts + time.Hour) // from now on it is not held
			w.must(w.ledger.Fold(context.Background(), true))
			reading, err := w.ledger.Read(context.Background(), ended)
			w.must(err)
			survey, err := reading.Survey(context.Background(), nil)
			w.must(err)
			if survey.Whole.Target != c.Target || survey.Whole.Steps[1] != c.Received {
				t.Errorf("long after its end: %+v, want %+v", survey.Whole, c)
			}
		})
	}
}

// TestReadingLeavesOutTheDead: the image of a group message holds devices that
// were removed before it.
func TestReadingLeavesOutTheDead(t *testing.T) {
	for _, l := range []limits{{}, {small: -1}} {
		w := newWorldWith(t, t.TempDir(), l)
		w.dead[3] = 1
		m := w.message(group, 5, 1, 2, 3)
		w.apply(m, herald.StateReceived, 1, 3)
		reading, err := w.ledger.Read(context.Background(), m)
		w.must(err)
		survey, err := reading.Survey(context.Background(), nil)
		w.must(err)
		list, err := reading.Deliveries(context.Background(), reading.Parts()[0], receipt.DeliveryFilter{})
		w.must(err)
		if survey.Whole.Target != 2 || survey.Whole.Steps[1] != 1 || len(list) != 2 {
			t.Errorf("%+v and %+v, want two devices", survey.Whole, list)
		}
		w.end(false)
	}
}

// TestReadingOfWhatIsGone: a purge meanwhile is an error, or shows in the
// message that is not there any more; it is no crash.
func TestReadingOfWhatIsGone(t *testing.T) {
	for _, l := range []limits{{}, {small: -1, bytes: 1, inline: 1}} {
		w := newWorldWith(t, t.TempDir(), l)
		m := w.message(group, 0, 1, 70_000, 140_000)
		ended := w.finish(m, herald.MessageExpired, herald.StateExpired)
		w.pass(herald.TraceRetention + time.Hour)
		w.must(w.ledger.Fold(context.Background(), true))
		w.restart(false)
		reading, err := w.ledger.Read(context.Background(), ended)
		w.must(err)
		_, err = w.db.Purge(context.Background(), w.clock(), w.clock(), 10)
		w.must(err)
		for _, part := range reading.Parts() {
			list, err := reading.Deliveries(context.Background(), part, receipt.DeliveryFilter{})
			if len(list) > 0 {
				t.Errorf("after a purge: %v, %v", list, err)
			}
		}
		if _, err := w.ledger.Read(context.Background(), ended); herald.CodeOf(err) != herald.CodeNotFound {
			t.Errorf("a new reading: %v", err)
		}
		w.end(false)
	}
}

func TestReadingEndsWithItsCaller(t *testing.T) {
	w := newWorld(t, t.TempDir())
	defer w.end(false)
	m := w.message(direct, 0, 1, 2)
	reading, err := w.ledger.Read(t.Context(), m)
	w.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := reading.Survey(ctx, nil); err == nil {
		t.Error("a survey goes on for nobody")
	}
	if _, err := reading.Deliveries(ctx, 0, receipt.DeliveryFilter{}); err == nil {
		t.Error("a list goes on for nobody")
	}
}
