package storetest

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// testModel runs random calls against the store and a model in memory.
func testModel(t *testing.T, f *fixture) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		app := herald.AppKey(string(appA[:21]) + string([]byte{byte('a' + round/676), byte('a' + round/26%26), byte('a' + round%26)}))
		f.must(f.CreateApp(f.ctx, record.App{Key: app, SecretHash: []byte("h"), Created: start}))
		m := &model{t: rt, f: f, app: app, bound: map[int]herald.Alias{}, ords: map[int]herald.Ordinal{}, live: map[herald.MessageID][]herald.Ordinal{}}
		rt.Repeat(map[string]func(*rapid.T){
			"register": m.register, "remove": m.remove, "accept": m.accept, "end": m.end, "": m.check,
		})
	})
}

type model struct {
	t     *rapid.T
	f     *fixture
	app   herald.AppKey
	pos   herald.Pos
	next  herald.Ordinal
	n     uint64
	ords  map[int]herald.Ordinal // by installation
	bound map[int]herald.Alias
	live  map[herald.MessageID][]herald.Ordinal // direct messages that have not ended
}

func (m *model) register(t *rapid.T) {
	i := rapid.IntRange(0, 5).Draw(t, "installation")
	alias := herald.Alias(rapid.SampledFrom([]string{"", "ann", "bob"}).Draw(t, "alias"))
	d, isNew, err := m.f.Register(m.f.ctx, registration(m.app, i, withAlias(alias)))
	if err != nil {
		t.Fatal(err)
	}
	ord, known := m.ords[i]
	switch {
	case isNew == known:
		t.Fatalf("new %v, known %v", isNew, known)
	case !known:
		ord = m.next
		m.next++
		m.pos++
	case m.bound[i] != alias:
		m.pos++
	}
	m.ords[i], m.bound[i] = ord, alias
	if d.Ord != ord || d.Alias != alias {
		t.Fatalf("got ordinal %d alias %q, want %d and %q", d.Ord, d.Alias, ord, alias)
	}
}

func (m *model) remove(t *rapid.T) {
	i := rapid.IntRange(0, 5).Draw(t, "installation")
	_, err := m.f.RemoveDevice(m.f.ctx, m.app, regID(i))
	_, known := m.ords[i]
	if known != (err == nil) {
		t.Fatalf("known %v, removed with %v", known, err)
	}
	if known {
		m.pos++
		delete(m.ords, i)
		delete(m.bound, i)
	}
}

func (m *model) accept(t *rapid.T) {
	ords := slices.Sorted(slices.Values(rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) herald.Ordinal {
		return herald.Ordinal(rapid.IntRange(0, 3).Draw(t, "ordinal"))
	}), 0, 4, rapid.ID[herald.Ordinal]).Draw(t, "target")))
	a := m.f.message(ords...)
	a.App = m.app
	out, err := m.f.Accept(m.f.ctx, a)
	m.pos++
	if err != nil || out.Pos != m.pos || out.FirstN != m.n {
		t.Fatalf("got %+v and %v, want position %d and number %d", out, err, m.pos, m.n)
	}
	m.n += uint64(len(ords))
	m.live[a.ID] = ords
}

func (m *model) end(t *rapid.T) {
	if len(m.live) == 0 {
		t.Skip("nothing to end")
	}
	var ids []herald.MessageID
	for id := range m.live {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := rapid.SampledFrom(ids).Draw(t, "message")
	state := rapid.SampledFrom([]herald.MessageState{herald.MessageWithdrawn, herald.MessageExpired}).Draw(t, "state")
	if _, err := m.f.EndMessage(m.f.ctx, m.app, id, state, start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if state == herald.MessageWithdrawn {
		m.pos++
	}
	delete(m.live, id)
}

func (m *model) check(t *rapid.T) {
	h, err := m.f.Head(m.f.ctx, m.app)
	if err != nil || h.Pos != m.pos || h.NextOrd != uint64(m.next) || h.NextN != m.n {
		t.Fatalf("head %+v, %v; want position %d, ordinal %d, number %d", h, err, m.pos, m.next, m.n)
	}
	got := map[herald.MessageID]*sets.Set{}
	for o := herald.Ordinal(0); o <= 3; o++ {
		entries, err := m.f.Entries(m.f.ctx, m.app, o, 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if got[e.Msg] == nil {
				got[e.Msg] = sets.New()
			}
			got[e.Msg].Add(o)
		}
	}
	for id, ords := range m.live {
		if !sets.Equal(got[id], sets.New(ords...)) {
			t.Fatalf("message %d has entries for %v, want %v", id, got[id].Ordinals(), ords)
		}
		delete(got, id)
	}
	if len(got) > 0 {
		t.Fatalf("%d ended messages have entries", len(got))
	}
}
