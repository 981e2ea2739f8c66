package bench

import (
	"github.com/herald-push/herald"
)

// Expression draws the n-th random audience of a population: one to three
// members in each object, nested up to two levels below the first.
func (p *Population) Expression(n int) herald.Audience {
	r := p.stream(ofExpression, uint64(n))
	return p.object(&r, 0)
}

func (p *Population) object(r *random, depth int) (a herald.Audience) {
	for range 1 + r.below(3) {
		p.member(&a, r, depth)
	}
	return a
}

func (p *Population) member(a *herald.Audience, r *random, depth int) {
	kinds := 10
	if depth == 2 {
		kinds = 7 // no nesting
	}
	switch r.below(kinds) {
	case 0:
		a.Tags = p.someTags(r, 3)
	case 1:
		a.TagsAnd = p.someTags(r, 2)
	case 2:
		a.TagsNot = p.someTags(r, 2)
	case 3:
		a.Platforms = []herald.Platform{herald.Platform(pick(platformShares(), uint8(r.next())))}
	case 4:
		a.Languages = []string{[]string{"zh", "zh-CN", "en", "en-GB", "de", "pt", "ja", "ar"}[r.below(8)]}
	case 5:
		for range 1 + r.below(5) {
			a.AppVersions = append(a.AppVersions, p.Profile(herald.Ordinal(r.below(p.Devices))).Version)
		}
	case 6:
		a.ActiveWithinDays = []int{1, 7, 30}[r.below(3)]
	case 7:
		a.And = []herald.Audience{p.object(r, depth+1), p.object(r, depth+1)}
	case 8:
		a.Or = []herald.Audience{p.object(r, depth+1), p.object(r, depth+1), p.object(r, depth+1)}
	case 9:
		not := p.object(r, depth+1)
		a.Not = &not
	}
}

// someTags draws tags: mostly common ones, and sometimes a small one.
func (p *Population) someTags(r *random, most int) (out []herald.Tag) {
	for range 1 + r.below(most) {
		if p.SmallTags > 0 && r.below(8) == 0 {
			out = append(out, SmallTagName(r.below(p.SmallTags)))
		} else {
			out = append(out, TagName(r.below(p.Tags)))
		}
	}
	return out
}

// Dense draws the n-th audience that comes to about half of the devices, in no
// order that would make its bitmap small.
func (p *Population) Dense(n int) herald.Audience {
	r := p.stream(ofExpression, uint64(n)|1<<40)
	return herald.Audience{
		Tags:    []herald.Tag{TagName(r.below(min(p.Tags, 4))), TagName(r.below(min(p.Tags, 20)))},
		TagsNot: []herald.Tag{TagName(min(p.Tags-1, 20+r.below(20)))},
		Or:      []herald.Audience{{Platforms: []herald.Platform{"android"}}, {Languages: []string{"zh"}}},
	}
}
