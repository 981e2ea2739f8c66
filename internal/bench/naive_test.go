package bench

import (
	"math/bits"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// crowd has a bit for each device.
type crowd []uint64

func (c crowd) has(i int) bool { return c[i/64]>>(i%64)&1 != 0 }

func (c crowd) add(i int) { c[i/64] |= 1 << (i % 64) }

// naive evaluates audiences over a population with a bit for each device, and
// without anything that compresses them.
type naive struct {
	p     *Population
	named map[string]crowd
	dead  crowd
}

func newNaive(p *Population) *naive {
	n := &naive{p: p, named: map[string]crowd{}}
	n.dead = n.nobody()
	for i := range p.Devices {
		d := p.Profile(herald.Ordinal(i))
		for _, name := range p.setsOf(&d) {
			n.add(name, i)
		}
		if d.Dead {
			n.dead.add(i)
		}
	}
	for t := range p.SmallTags {
		for _, o := range p.SmallTag(t) {
			n.add(record.TagSet(SmallTagName(t)), int(o))
		}
	}
	return n
}

func (n *naive) nobody() crowd { return make(crowd, (n.p.Devices+63)/64) }

// trim takes off the bits that stand for no device.
func (n *naive) trim(c crowd) crowd {
	if over := n.p.Devices % 64; over != 0 {
		c[len(c)-1] &= 1<<over - 1
	}
	return c
}

func (n *naive) add(name string, i int) {
	if n.named[name] == nil {
		n.named[name] = n.nobody()
	}
	n.named[name].add(i)
}

func (n *naive) set(name string) crowd {
	if s := n.named[name]; s != nil {
		return s
	}
	return n.nobody()
}

// combine gives who is in all of some crowds, or in any.
func (n *naive) combine(list []crowd, all bool) crowd {
	out := n.nobody()
	if all {
		out = n.inverse(out)
	}
	for _, s := range list {
		for i := range out {
			if all {
				out[i] &= s[i]
			} else {
				out[i] |= s[i]
			}
		}
	}
	return out
}

func (n *naive) inverse(s crowd) crowd {
	out := n.nobody()
	for i := range s {
		out[i] = ^s[i]
	}
	return n.trim(out)
}

func (n *naive) tags(list []herald.Tag) (out []crowd) {
	for _, t := range list {
		out = append(out, n.set(record.TagSet(t)))
	}
	return out
}

// eval gives the devices that an expression of Expression chooses, the dead
// among them.
func (n *naive) eval(a *herald.Audience) crowd {
	if a.All {
		return n.combine(nil, true)
	}
	var and, or []crowd
	anyOf := func(list []crowd) { and = append(and, n.combine(list, false)) }
	if a.Tags != nil {
		anyOf(n.tags(a.Tags))
	}
	and = append(and, n.tags(a.TagsAnd)...)
	if a.TagsNot != nil {
		and = append(and, n.inverse(n.combine(n.tags(a.TagsNot), false)))
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
		and = append(and, n.inverse(n.eval(a.Not)))
	}
	return n.combine(and, true)
}

// living counts the devices of a set that are not dead.
func (n *naive) living(s crowd) (count int64) {
	for i := range s {
		count += int64(bits.OnesCount64(s[i] &^ n.dead[i]))
	}
	return count
}
