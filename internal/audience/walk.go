package audience

import (
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// walk evaluates one expression over an index that stands still.
type walk struct {
	view   sets.View
	found  found
	online *sets.Set
	recent *sets.Set // seen a moment ago, not in the sets of days yet
	today  time.Time // in UTC, whose days all have 24 hours
}

// eval gives a new set. The members of an object are joined by AND; the
// members are taken in an order that begins with the small ones, so that the
// large bitmaps are only ever intersected.
func (w *walk) eval(a *herald.Audience) *sets.Set {
	if a.All {
		return w.all()
	}
	var acc *sets.Set
	and := func(s *sets.Set) {
		if acc == nil {
			acc = s
		} else {
			acc.And(s)
		}
	}
	if a.RegistrationIDs != nil {
		and(w.byID(a.RegistrationIDs))
	}
	if a.Aliases != nil {
		and(w.byAlias(a.Aliases))
	}
	if a.Online != nil && *a.Online {
		and(w.online.Clone())
	}
	anyOf := func(present bool, names []string) {
		if present {
			and(w.union(names))
		}
	}
	anyOf(a.Tags != nil, mapped(a.Tags, record.TagSet))
	for _, t := range a.TagsAnd {
		and(w.view.Set(record.TagSet(t)).Clone())
	}
	anyOf(a.Platforms != nil, mapped(a.Platforms, record.PlatformSet))
	anyOf(a.Languages != nil, mapped(a.Languages, record.LanguageSet))
	anyOf(a.AppVersions != nil, mapped(a.AppVersions, record.VersionSet))
	if a.ActiveWithinDays != 0 {
		s := w.union(w.days(a.ActiveWithinDays))
		s.Or(w.recent)
		and(s)
	}
	for i := range a.And {
		and(w.eval(&a.And[i]))
	}
	if a.Or != nil {
		or := sets.New()
		for i := range a.Or {
			or.Or(w.eval(&a.Or[i]))
		}
		and(or)
	}
	return w.without(a, acc)
}

// without takes off what the negative members name; with no positive member
// they start from everybody. An expression with no member at all, which is not
// valid, names nobody.
func (w *walk) without(a *herald.Audience, acc *sets.Set) *sets.Set {
	switch {
	case acc != nil:
	case len(a.TagsNot) == 0 && a.Online == nil && a.Not == nil:
		return sets.New()
	default:
		acc = w.all()
	}
	for _, t := range a.TagsNot {
		acc.AndNot(w.view.Set(record.TagSet(t)))
	}
	if a.Online != nil && !*a.Online {
		acc.AndNot(w.online)
	}
	if a.Not != nil {
		acc.AndNot(w.eval(a.Not))
	}
	return acc
}

func (w *walk) all() *sets.Set { return sets.Range(w.view.Next()) }

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

func (w *walk) union(names []string) *sets.Set {
	s := sets.New()
	for _, n := range names {
		s.Or(w.view.Set(n))
	}
	return s
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
