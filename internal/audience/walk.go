package audience

import (
	"runtime"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// walk evaluates one expression over sets that stand still.
type walk struct {
	view sets.Snapshot
	// asked, if not nil, gathers the names of the sets that are asked for,
	// which are empty then: the view is made of them.
	asked []string
	found found
	present
	// saved is what segments came to; within one walk each is evaluated once.
	saved map[string]*sets.Set
	today time.Time // in UTC, whose days all have 24 hours
}

// operand is a set on the way. Only one that is owned may be written to; the
// others belong to the view, whose large sets are not worth a copy.
type operand struct {
	set   *sets.Set
	owned bool
}

func own(s *sets.Set) operand { return operand{s, true} }

// letOthersRun is called after each operation, which takes about a millisecond
// with sets of ten million: with few processors, what has become ready since
// would wait for the whole expression.
func letOthersRun() { runtime.Gosched() }

func (x operand) and(y operand) operand {
	defer letOthersRun()
	switch {
	case x.owned:
		x.set.And(y.set)
		return x
	case y.owned:
		y.set.And(x.set)
		return y
	}
	return own(sets.Intersect(x.set, y.set))
}

func (x operand) or(y operand) operand {
	defer letOthersRun()
	switch {
	case x.owned:
		x.set.Or(y.set)
		return x
	case y.owned:
		y.set.Or(x.set)
		return y
	}
	return own(sets.Union(x.set, y.set))
}

func (x operand) without(y operand) operand {
	defer letOthersRun()
	if x.owned {
		x.set.AndNot(y.set)
		return x
	}
	return own(sets.Minus(x.set, y.set))
}

// named gives a set of the view.
func (w *walk) named(name string) operand {
	if w.asked != nil {
		w.asked = append(w.asked, name)
		return own(sets.New())
	}
	if s := w.view.Set(name); s != nil {
		return operand{s, false}
	}
	return own(sets.New())
}

// eval evaluates an object. Its members are joined by AND; they are taken in
// an order that begins with the small ones, so that the large bitmaps are only
// ever intersected.
func (w *walk) eval(a *herald.Audience) operand {
	if a.All {
		return w.all()
	}
	var acc operand
	and := func(x operand) {
		if acc.set == nil {
			acc = x
		} else {
			acc = acc.and(x)
		}
	}
	if a.RegistrationIDs != nil {
		and(own(w.byID(a.RegistrationIDs)))
	}
	if a.Aliases != nil {
		and(own(w.byAlias(a.Aliases)))
	}
	if a.Topic != "" {
		and(own(w.topics[a.Topic].Clone()))
	}
	if a.Online != nil && *a.Online {
		and(own(w.online.Clone()))
	}
	anyOf := func(present bool, names []string) {
		if present {
			and(w.union(names))
		}
	}
	anyOf(a.Tags != nil, mapped(a.Tags, record.TagSet))
	for _, t := range a.TagsAnd {
		and(w.named(record.TagSet(t)))
	}
	anyOf(a.Platforms != nil, mapped(a.Platforms, record.PlatformSet))
	anyOf(a.Languages != nil, mapped(a.Languages, record.LanguageSet))
	anyOf(a.AppVersions != nil, mapped(a.AppVersions, record.VersionSet))
	if a.ActiveWithinDays != 0 {
		and(w.union(w.days(a.ActiveWithinDays)).or(operand{w.recent, false}))
	}
	if a.Files != nil {
		and(w.byFile(a.Files))
	}
	if a.Segments != nil {
		and(w.bySegment(a.Segments))
	}
	for i := range a.And {
		and(w.eval(&a.And[i]))
	}
	if a.Or != nil {
		or := own(sets.New())
		for i := range a.Or {
			if x := w.eval(&a.Or[i]); i == 0 {
				or = x
			} else {
				or = or.or(x)
			}
		}
		and(or)
	}
	return w.except(a, acc)
}

// except takes off what the negative members name; with no positive member
// they start from everybody. An expression with no member at all, which is not
// valid, names nobody.
func (w *walk) except(a *herald.Audience, acc operand) operand {
	switch {
	case acc.set != nil:
	case len(a.TagsNot) == 0 && a.Online == nil && a.Not == nil:
		return own(sets.New())
	default:
		acc = w.all()
	}
	for _, t := range a.TagsNot {
		acc = acc.without(w.named(record.TagSet(t)))
	}
	if a.Online != nil && !*a.Online {
		acc = acc.without(operand{w.online, false})
	}
	if a.Not != nil {
		acc = acc.without(w.eval(a.Not))
	}
	return acc
}

func (w *walk) all() operand { return own(sets.Range(w.view.Next)) }

func (w *walk) byID(ids []herald.RegistrationID) *sets.Set {
	s := sets.New()
	for _, id := range ids {
		if o, ok := w.found.ids[id]; ok {
			s.Add(o)
		}
	}
	return s
}

func (w *walk) byAlias(aliases []herald.Alias) *sets.Set {
	s := sets.New()
	for _, a := range aliases {
		for _, o := range w.found.aliases[a] {
			s.Add(o)
		}
	}
	return s
}

func (w *walk) union(names []string) operand {
	if len(names) == 0 {
		return own(sets.New())
	}
	list := make([]*sets.Set, len(names))
	for i, n := range names {
		x := w.named(n)
		if len(names) == 1 {
			return x
		}
		list[i] = x.set
	}
	return own(unionAll(list))
}

// unionBytes is how much is joined before others get the processor: some three
// dense sets of ten million.
const unionBytes = 4 << 20

// unionAll joins sets: small ones all at once, dense ones some at a time.
func unionAll(list []*sets.Set) *sets.Set {
	var out *sets.Set
	from, size := 0, int64(0)
	for i, s := range list {
		if size += s.Size(); size < unionBytes && i+1 < len(list) {
			continue
		}
		if out == nil {
			out = sets.UnionAll(list[from : i+1]...)
		} else {
			for _, more := range list[from : i+1] {
				out.Or(more)
			}
		}
		from, size = i+1, 0
		letOthersRun()
	}
	return out
}

// days names the sets of today and the n days before it (UTC).
func (w *walk) days(n int) []string {
	out := make([]string, 0, n+1)
	for i := 0; i <= n; i++ {
		out = append(out, record.SeenSet(w.today.AddDate(0, 0, -i)))
	}
	return out
}

func mapped[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = name(v)
	}
	return out
}
