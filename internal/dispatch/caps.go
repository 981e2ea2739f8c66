package dispatch

import (
	"context"
	"reflect"
	"slices"
	"sort"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// A frequency cap says how many messages of a category a device gets within a
// time. What was released to whom is in the record; what is here is derived from
// it, by the follower of the app alone, and is made again at a start. A message
// has its time from the record too, so that releases that are gone through again
// come to the same.

// CapDetail is the detail of a delivery that a frequency cap has ended as
// rejected.
const CapDetail = "frequency_cap"

// Bounds of what is looked at to learn what devices have had.
const (
	maxCapReplay = 200_000 // log positions at a start
	maxCapGroups = 1000    // messages to many devices in a window; older ones are forgotten
)

// capBook is what the devices of one app have had of the categories with caps.
// Only the follower of the app uses it.
type capBook struct {
	rules   []record.CapRule // for which it was made
	windows map[string]*capWindow
}

// capWindow is what devices have had of one category, for as long as its longest
// rule looks back.
type capWindow struct {
	per    time.Duration
	groups []capGroup // oldest first
	direct map[herald.Ordinal][]time.Time
	upto   herald.Pos // of the last message that is counted
	hits   int        // in direct, about
	swept  int        // what hits was after they were looked through last
}

// capGroup is a message to many devices, and who got it.
type capGroup struct {
	at  time.Time
	set *sets.Set
}

// capRules gives the rules of an app about a category, and all of them.
func (d *Dispatcher) capRules(m *record.Message) (of, all []record.CapRule) {
	if m.Facts == nil || m.Facts.Category == "" {
		return nil, nil // nearly always
	}
	app, err := d.c.Registry.App(m.App)
	if err != nil {
		return nil, nil
	}
	all = app.Row().Settings.Caps
	for _, r := range all {
		// A rule is for what comes after it.
		if r.Category == m.Facts.Category && !m.Due.Before(r.Since) {
			of = append(of, r)
		}
	}
	return of, all
}

// keepToCaps is capped for a message that has come to its turn. If it fails the
// message goes out all the same, because one too many is better than none; but
// not while the database cannot be reached.
func (d *Dispatcher) keepToCaps(ctx context.Context, m *record.Message) error {
	if m.State != herald.MessageSending {
		return nil
	}
	err := d.capped(ctx, m)
	if err == nil || d.c.Store.Lost(err) {
		return err
	}
	d.c.Log.ErrorContext(ctx, "dispatch: a message went out without regard to frequency caps", "app", m.App, "message", m.ID, "error", err)
	return nil
}

// capped ends a message at once, as rejected, for devices that have had as many
// of its category as they may. It comes before the message is shown to anybody.
func (d *Dispatcher) capped(ctx context.Context, m *record.Message) error {
	rules, all := d.capRules(m)
	if len(all) == 0 || len(rules) == 0 && !slices.ContainsFunc(all, func(r record.CapRule) bool { return r.Category == m.Facts.Category }) {
		return nil
	}
	w, err := d.capWindow(ctx, m, all)
	if err != nil || m.Pos <= w.upto {
		return err
	}
	target, err := d.c.Ledger.NotRejected(ctx, m)
	if err != nil {
		return err
	}
	over := w.over(rules, target, m.Due)
	if !over.Empty() {
		e := record.Event{Msg: m.ID, State: herald.StateRejected, Set: over, Time: d.c.Now(), Via: "server", Detail: CapDetail}
		if err := d.c.Ledger.Apply(ctx, m.App, e); err != nil {
			return err
		}
		target = sets.Minus(target, over)
	}
	w.add(m, target)
	return nil
}

// capWindow gives what devices have had of the category of a message, up to it.
func (d *Dispatcher) capWindow(ctx context.Context, m *record.Message, rules []record.CapRule) (*capWindow, error) {
	d.mu.Lock()
	book := d.caps[m.App]
	d.mu.Unlock()
	if book == nil || !reflect.DeepEqual(book.rules, rules) {
		book = &capBook{rules: rules, windows: map[string]*capWindow{}}
		for _, r := range rules {
			w := book.windows[r.Category]
			if w == nil {
				w = &capWindow{direct: map[herald.Ordinal][]time.Time{}}
				book.windows[r.Category] = w
			}
			w.per = max(w.per, r.Per())
		}
		if err := d.fillCaps(ctx, book, m); err != nil {
			return nil, err
		}
		d.mu.Lock()
		if d.caps == nil {
			d.caps = map[herald.AppKey]*capBook{}
		}
		d.caps[m.App] = book
		d.mu.Unlock()
	}
	return book.windows[m.Facts.Category], nil
}

// fillCaps goes through what was released before a message, as far back as any
// rule looks.
func (d *Dispatcher) fillCaps(ctx context.Context, book *capBook, m *record.Message) error {
	longest := time.Duration(0)
	for _, w := range book.windows {
		longest = max(longest, w.per)
	}
	after, err := d.logAt(ctx, m.App, m.Pos, m.Due.Add(-longest))
	if err != nil {
		return err
	}
	const page = 256
	for {
		list, err := d.c.Store.Releases(ctx, m.App, after, page)
		if err != nil {
			return err
		}
		for _, r := range list {
			if r.Pos >= m.Pos {
				return nil
			}
			after = r.Pos
			if r.Kind == record.ReleaseWithdraw || r.Msg == nil || r.Msg.Facts == nil || book.windows[r.Msg.Facts.Category] == nil || r.Msg.Pos != r.Pos {
				continue
			}
			got, err := d.c.Ledger.NotRejected(ctx, r.Msg)
			if err != nil {
				return err
			}
			book.windows[r.Msg.Facts.Category].add(r.Msg, got)
		}
		if len(list) < page {
			return nil
		}
	}
}

// logAt finds a log position before everything that was released since a time,
// and before another position. It looks no further back than maxCapReplay.
func (d *Dispatcher) logAt(ctx context.Context, app herald.AppKey, before herald.Pos, since time.Time) (herald.Pos, error) {
	from := before - min(before, maxCapReplay)
	var failed error
	n := sort.Search(int(before-from), func(i int) bool {
		if failed != nil {
			return true
		}
		list, err := d.c.Store.Releases(ctx, app, from+herald.Pos(i), 1)
		failed = err
		return err != nil || len(list) == 0 || list[0].Pos >= before || !list[0].At.Before(since)
	})
	return from + herald.Pos(n), failed
}

// add notes who gets a message.
func (w *capWindow) add(m *record.Message, got *sets.Set) {
	w.upto = max(w.upto, m.Pos)
	if m.IsDirect() {
		for o := range got.All() {
			w.direct[o] = append(w.direct[o], m.Due)
			w.hits++
		}
		w.sweep(m.Due)
		return
	}
	w.groups = append(w.groups, capGroup{m.Due, got})
	old := m.Due.Add(-w.per)
	w.groups = slices.DeleteFunc(w.groups, func(g capGroup) bool { return !g.at.After(old) })
	if n := len(w.groups) - maxCapGroups; n > 0 {
		w.groups = slices.Delete(w.groups, 0, n)
	}
}

// sweep forgets what is older than the window, now and then.
func (w *capWindow) sweep(now time.Time) {
	if w.hits < 2*w.swept+1024 {
		return
	}
	old := now.Add(-w.per)
	w.hits = 0
	for o, list := range w.direct {
		list = slices.DeleteFunc(list, func(at time.Time) bool { return !at.After(old) })
		if w.hits += len(list); len(list) == 0 {
			delete(w.direct, o)
		} else {
			w.direct[o] = list
		}
	}
	w.swept = w.hits
}

// over gives the devices of a target that have had as many as one of the rules
// allows.
func (w *capWindow) over(rules []record.CapRule, target *sets.Set, now time.Time) *sets.Set {
	out := sets.New()
	for _, r := range rules {
		since := now.Add(-r.Per())
		var groups []*sets.Set
		for _, g := range w.groups {
			if g.at.After(since) {
				groups = append(groups, g.set)
			}
		}
		out.Or(atLeast(groups, target, int(r.Max)))
		direct := func(o herald.Ordinal, list []time.Time) {
			n := 0
			for _, at := range list {
				if at.After(since) {
					n++
				}
			}
			for _, g := range groups {
				if n > 0 && g.Contains(o) {
					n++
				}
			}
			if n >= int(r.Max) {
				out.Add(o)
			}
		}
		if target.Len() <= int64(len(w.direct)) {
			for o := range target.All() {
				direct(o, w.direct[o])
			}
			continue
		}
		for o, list := range w.direct {
			if target.Contains(o) {
				direct(o, list)
			}
		}
	}
	return out
}

// atLeast gives the devices of a target that are in n or more of some sets.
func atLeast(groups []*sets.Set, target *sets.Set, n int) *sets.Set {
	if len(groups) < n {
		return sets.New()
	}
	in := make([]*sets.Set, n+1) // in[k]: in k or more of the sets so far
	for k := 1; k <= n; k++ {
		in[k] = sets.New()
	}
	for _, g := range groups {
		g = sets.Intersect(g, target)
		for k := n; k > 1; k-- {
			in[k].Or(sets.Intersect(in[k-1], g))
		}
		in[1].Or(g)
	}
	return in[n]
}
