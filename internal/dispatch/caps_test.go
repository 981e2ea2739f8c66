package dispatch

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// caps sets the frequency caps of the app, as of now.
func (b *bench) caps(rules ...record.CapRule) {
	b.t.Helper()
	for i := range rules {
		rules[i].Since = b.clock()
	}
	_, err := b.registry.UpdateApp(b.t.Context(), b.app, func(row *record.App) { row.Settings.Caps = rules })
	b.must(err)
}

// send sends a message of a category and gives it when it was handed over.
func (b *bench) send(category string, t Target) *record.Message {
	b.t.Helper()
	r := request(t)
	r.Message.App, r.Message.TTL = b.app, 24*time.Hour
	if category != "" {
		r.Facts = &record.Facts{Category: category}
	}
	m, _, err := b.d.Accept(context.Background(), r)
	b.must(err)
	b.reach()
	m, err = b.db.Message(context.Background(), b.app, m.ID)
	b.must(err)
	return m
}

// rejected gives the devices that a message was refused for.
func (b *bench) rejected(m *record.Message) []herald.Ordinal {
	b.t.Helper()
	got, err := b.ledger.NotRejected(context.Background(), m)
	b.must(err)
	all := sets.New(m.Direct...)
	if m.Group != nil {
		all = sets.Range(uint64(m.Target))
	}
	out := sets.Minus(all, got).Ordinals()
	c, err := b.ledger.Counts(context.Background(), m)
	b.must(err)
	if c.States[herald.StateRejected] != int64(len(out)) {
		b.t.Errorf("%d rejected are counted, %d are", c.States[herald.StateRejected], len(out))
	}
	var sum int64
	for _, n := range c.States {
		sum += n
	}
	if sum != c.Target {
		b.t.Errorf("the states sum to %d of %d", sum, c.Target)
	}
	return out
}

func (b *bench) wantRejected(what string, m *record.Message, want ...herald.Ordinal) {
	b.t.Helper()
	if got := b.rejected(m); !slices.Equal(got, want) {
		b.t.Errorf("%s: refused for %v, want %v", what, got, want)
	}
}

func TestCaps(t *testing.T) {
	b := newBench(t)
	o := b.devices(3)
	b.online(o...)
	b.follow()
	b.send("news", to(o[0])) // before there is a rule
	b.pass(time.Second)
	b.caps(record.CapRule{Category: "news", Max: 2, Seconds: 3600})
	// What came before the rule counts, but is not refused itself.
	b.wantRejected("the second", b.send("news", to(o[0], o[1])))
	b.pass(time.Minute)
	third := b.send("news", to(o...))
	b.wantRejected("the third", third, o[0])
	b.wantRejected("another category", b.send("other", to(o...)))
	b.wantRejected("no category", b.send("", to(o...)))
	last := b.send("news", to(o...))
	b.wantRejected("the fourth", last, o[0], o[1])
	for _, h := range b.outlet.handed() {
		if h.Msg.ID == last.ID && (h.Set.Contains(o[0]) || h.Set.Contains(o[1])) {
			t.Error("it was handed over although it was refused")
		}
	}
	events, err := b.ledger.History(t.Context(), third, o[0])
	b.must(err)
	if len(events) != 1 || events[0].Detail != CapDetail || events[0].State != herald.StateRejected {
		t.Errorf("history %+v", events)
	}
	// The window moves on; what was refused did not count.
	b.pass(time.Hour)
	b.wantRejected("an hour later", b.send("news", to(o...)))
}

// What devices have had is learned from the record again after a restart, and
// what is gone through again comes to the same.
func TestCapsAfterRestart(t *testing.T) {
	b := newBench(t)
	o := b.devices(2)
	b.follow()
	b.caps(record.CapRule{Category: "news", Max: 1, Seconds: 86_400}, record.CapRule{Category: "news", Max: 2, Seconds: 2 * 86_400})
	first := b.send("news", to(o[0]))
	second := b.send("news", to(o...))
	b.wantRejected("the second", second, o[0])
	b.close()
	b.open()
	b.must(b.ledger.Load(t.Context(), b.app))
	b.follow()
	b.reach()
	b.wantRejected("the first, after a restart", first)
	b.wantRejected("the second, after a restart", second, o[0])
	b.wantRejected("the third", b.send("news", to(o...)), o...)
	b.pass(25 * time.Hour)
	b.wantRejected("a day later", b.send("news", to(o...)))
	b.pass(22*time.Hour + 30*time.Minute)
	b.wantRejected("both rules", b.send("news", to(o...)), o...)
}

func TestCapsOfGroups(t *testing.T) {
	b := newBench(t)
	b.devices(1)
	b.follow()
	b.caps(record.CapRule{Category: "news", Max: 1, Seconds: 3600})
	group := func(ords ...herald.Ordinal) Target { return toGroup(ords...) }
	b.send("news", group(0))
	last := b.send("news", group(0))
	if got, err := b.ledger.NotRejected(t.Context(), last); err != nil || !got.Empty() {
		t.Errorf("not refused for %v, %v", got.Ordinals(), err)
	}
	b.wantRejected("a direct one", b.send("news", to(0)), 0)
}

// TestAtLeast holds the counting by sets against counting.
func TestAtLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "n")
		ords := rapid.SliceOf(rapid.Uint32Range(0, 40))
		target := sets.New(asOrdinals(ords.Draw(t, "target"))...)
		var groups []*sets.Set
		for range rapid.IntRange(0, 8).Draw(t, "groups") {
			groups = append(groups, sets.New(asOrdinals(ords.Draw(t, "group"))...))
		}
		got := atLeast(groups, target, n)
		for o := range herald.Ordinal(41) {
			in := 0
			for _, g := range groups {
				if g.Contains(o) {
					in++
				}
			}
			if want := in >= n && target.Contains(o); got.Contains(o) != want {
				t.Fatalf("%d is in %d of the sets, want at least %d: %v", o, in, n, got.Contains(o))
			}
		}
	})
}

func asOrdinals(list []uint32) []herald.Ordinal {
	out := make([]herald.Ordinal, len(list))
	for i, v := range list {
		out[i] = herald.Ordinal(v)
	}
	return out
}

func TestCapWindowForgets(t *testing.T) {
	w := &capWindow{per: time.Hour, direct: map[herald.Ordinal][]time.Time{}}
	at := begin
	for i := range 5000 {
		at = at.Add(time.Minute)
		m := &record.Message{Direct: []herald.Ordinal{herald.Ordinal(i)}}
		m.Due = at
		w.add(m, sets.New(herald.Ordinal(i)))
	}
	if len(w.direct) > 2000 {
		t.Errorf("%d devices are remembered", len(w.direct))
	}
	for range maxCapGroups + 10 {
		m := &record.Message{Group: record.ImageApart()}
		m.Due = at
		w.add(m, sets.New(1))
	}
	if len(w.groups) != maxCapGroups {
		t.Errorf("%d messages to many devices are remembered", len(w.groups))
	}
	m := &record.Message{Group: record.ImageApart()}
	m.Due = at.Add(2 * time.Hour)
	if w.add(m, sets.New(1)); len(w.groups) != 1 {
		t.Errorf("%d old ones are remembered", len(w.groups))
	}
}
