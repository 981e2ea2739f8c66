package bench

import (
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// naive evaluates audiences over a population with a boolean for each device.
type naive struct {
	p     *Population
	named map[string][]bool
	dead  []bool
}

func newNaive(p *Population) *naive {
	n := &naive{p: p, named: map[string][]bool{}, dead: make([]bool, p.Devices)}
	for i := range p.Devices {
		d := p.Profile(herald.Ordinal(i))
		for _, name := range p.setsOf(&d) {
			n.add(name, i)
		}
		n.dead[i] = d.Dead
	}
	for t := range p.SmallTags {
		for _, o := range p.SmallTag(t) {
			n.add(record.TagSet(SmallTagName(t)), int(o))
		}
	}
	return n
}

func (n *naive) add(name string, i int) {
	if n.named[name] == nil {
		n.named[name] = make([]bool, n.p.Devices)
	}
	n.named[name][i] = true
}

func (n *naive) set(name string) []bool {
	if s := n.named[name]; s != nil {
		return s
	}
	return make([]bool, n.p.Devices)
}

// combine gives what holds of some sets for each device.
func (n *naive) combine(list [][]bool, all bool) []bool {
	out := make([]bool, n.p.Devices)
	for i := range out {
		out[i] = all
		for _, s := range list {
			if s[i] != all {
				out[i] = !all
				break
			}
		}
	}
	return out
}

func inverse(s []bool) []bool {
	out := make([]bool, len(s))
	for i, in := range s {
		out[i] = !in
	}
	return out
}

func (n *naive) tags(list []herald.Tag) (out [][]bool) {
	for _, t := range list {
		out = append(out, n.set(record.TagSet(t)))
	}
	return out
}

// eval gives the devices that an expression of Expression chooses, the dead
// among them.
func (n *naive) eval(a *herald.Audience) []bool {
	if a.All {
		return n.combine(nil, true)
	}
	var and, or [][]bool
	anyOf := func(list [][]bool) { and = append(and, n.combine(list, false)) }
	if a.Tags != nil {
		anyOf(n.tags(a.Tags))
	}
	and = append(and, n.tags(a.TagsAnd)...)
	if a.TagsNot != nil {
		and = append(and, inverse(n.combine(n.tags(a.TagsNot), false)))
	}
	if a.Platforms != nil {
		for _, p := range a.Platforms {
			or = append(or, n.set(record.PlatformSet(p)))
		}
		anyOf(or)
	}
	if a.Languages != nil {
		or = nil
		for _, l := range a.Languages {
			or = append(or, n.set("language:"+strings.ToLower(l)))
		}
		anyOf(or)
	}
	if a.AppVersions != nil {
		or = nil
		for _, v := range a.AppVersions {
			or = append(or, n.set("version:"+v))
		}
		anyOf(or)
	}
	if a.ActiveWithinDays > 0 {
		or = nil
		for d := range a.ActiveWithinDays + 1 {
			or = append(or, n.set(record.SeenSet(n.p.Now.AddDate(0, 0, -d))))
		}
		anyOf(or)
	}
	for i := range a.And {
		and = append(and, n.eval(&a.And[i]))
	}
	if a.Or != nil {
		or = nil
		for i := range a.Or {
			or = append(or, n.eval(&a.Or[i]))
		}
		anyOf(or)
	}
	if a.Not != nil {
		and = append(and, inverse(n.eval(a.Not)))
	}
	return n.combine(and, true)
}

// living counts the devices of a set that are not dead.
func (n *naive) living(s []bool) (count int64) {
	for i, in := range s {
		if in && !n.dead[i] {
			count++
		}
	}
	return count
}
