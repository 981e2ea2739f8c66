package audience_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// person is a device as the naive evaluator knows it.
type person struct {
	record.Device
	tags   []herald.Tag
	alias  herald.Alias
	seen   time.Time
	online bool
	topics []herald.Topic
	gone   bool
}

// meant says of one device whether an audience means it.
func (p *person) meant(a *herald.Audience, now time.Time) bool {
	if a.All {
		return true
	}
	yes := true
	if a.RegistrationIDs != nil {
		yes = yes && slices.Contains(a.RegistrationIDs, p.ID)
	}
	if a.Aliases != nil {
		yes = yes && slices.Contains(a.Aliases, p.alias)
	}
	if a.Tags != nil {
		yes = yes && slices.ContainsFunc(a.Tags, p.has)
	}
	for _, t := range a.TagsAnd {
		yes = yes && p.has(t)
	}
	yes = yes && !slices.ContainsFunc(a.TagsNot, p.has)
	if a.Platforms != nil {
		yes = yes && slices.Contains(a.Platforms, p.Platform)
	}
	if a.Languages != nil {
		yes = yes && slices.ContainsFunc(a.Languages, p.speaks)
	}
	if a.AppVersions != nil {
		yes = yes && slices.Contains(a.AppVersions, p.AppVersion)
	}
	if n := a.ActiveWithinDays; n != 0 {
		yes = yes && !p.seen.Before(now.Truncate(24*time.Hour).AddDate(0, 0, -n))
	}
	if a.Online != nil {
		yes = yes && p.online == *a.Online
	}
	if a.Topic != "" {
		yes = yes && slices.Contains(p.topics, a.Topic)
	}
	for i := range a.And {
		yes = yes && p.meant(&a.And[i], now)
	}
	if a.Or != nil {
		yes = yes && slices.ContainsFunc(a.Or, func(b herald.Audience) bool { return p.meant(&b, now) })
	}
	return yes && (a.Not == nil || !p.meant(a.Not, now))
}

func (p *person) has(t herald.Tag) bool { return slices.Contains(p.tags, t) }

func (p *person) speaks(l string) bool {
	have, want := strings.ToLower(p.Language), strings.ToLower(l)
	return have == want || strings.HasPrefix(have, want+"-")
}

var (
	someTags      = []herald.Tag{"a", "b", "c", "d"}
	someAliases   = []herald.Alias{"anna", "ben", "carl", "dora"}
	somePlatforms = []herald.Platform{"web", "ios", "android", "linux"}
	someLanguages = []string{"zh-CN", "zh", "zh-Hant-TW", "en", "en-GB", "fr"}
	someVersions  = []string{"1.0", "1.1", "2.0"}
	someTopics    = []herald.Topic{"chat", "chat/7"}
)

func oneOf[T any](r *rand.Rand, list []T) (out T) {
	if n := r.IntN(len(list) + 1); n < len(list) {
		return list[n]
	}
	return out
}

// populate makes a population of devices over forty days, some of whom have
// come back, changed, and gone.
func populate(t *testing.T, w *world, r *rand.Rand) []*person {
	t.Helper()
	start := w.clock()
	var people []*person
	for i := range 60 {
		w.now = start.AddDate(0, 0, -40+i*40/60)
		q := registry.RegisterRequest{Platform: oneOf(r, somePlatforms), Language: oneOf(r, someLanguages), AppVersion: oneOf(r, someVersions)}
		p := &person{seen: w.now, alias: oneOf(r, someAliases[:3])}
		if p.alias != "" {
			q.Alias = &p.alias
		}
		for _, tag := range someTags[:3] {
			if r.IntN(3) == 0 {
				p.tags = append(p.tags, tag)
			}
		}
		q.Tags = p.tags
		p.Device = w.register(q)
		people = append(people, p)
		// A flush writes who was seen into the day on which it runs.
		must(t, w.reg.Flush(t.Context()))
	}
	w.now = start
	w.topics = map[herald.Topic]*sets.Set{"chat": sets.New(), "chat/7": sets.New()}
	for _, p := range people {
		switch r.IntN(6) {
		case 0:
			w.remove(p.Device)
			p.gone = true
		case 1:
			w.reg.Seen(w.key, p.Ord)
			p.seen = start
		case 2:
			p.alias, p.Language, p.tags = "dora", "en", []herald.Tag{"d"}
			_, err := w.reg.Update(t.Context(), w.key, p.ID, record.DevicePatch{
				Alias: &p.alias, Language: &p.Language, AddTags: []herald.Tag{"d"}, RemoveTags: someTags[:3]})
			must(t, err)
		case 3:
			p.online = true
			w.online.Add(p.Ord)
			if t := oneOf(r, someTopics); t != "" {
				p.topics = append(p.topics, t)
				w.topics[t].Add(p.Ord)
			}
		}
	}
	return people
}

// names draws a list that may be absent or empty.
func names[T any](t *rapid.T, what string, from []T) []T {
	switch rapid.IntRange(0, 5).Draw(t, what) {
	case 0:
		return rapid.SliceOfN(rapid.SampledFrom(from), 1, 3).Draw(t, what+" values")
	case 1:
		if rapid.IntRange(0, 3).Draw(t, what+" empty") == 0 {
			return []T{}
		}
	}
	return nil
}

func anyAudience(t *rapid.T, people []*person, depth int) herald.Audience {
	if rapid.IntRange(0, 15).Draw(t, "all") == 0 {
		return herald.Audience{All: true}
	}
	a := herald.Audience{
		Aliases: names(t, "aliases", append(someAliases, "nobody")), Tags: names(t, "tags", append(someTags, "none")),
		Platforms: names(t, "platforms", somePlatforms), Languages: names(t, "languages", append(someLanguages, "ZH", "z")),
		AppVersions:      names(t, "versions", append(someVersions, "3")),
		ActiveWithinDays: rapid.SampledFrom([]int{0, 0, 0, 1, 7, 30}).Draw(t, "active"),
		Online:           rapid.SampledFrom([]*bool{nil, nil, nil, ptr(true), ptr(false)}).Draw(t, "online"),
		Topic:            rapid.SampledFrom([]herald.Topic{"", "", "", "chat", "chat/7", "none"}).Draw(t, "topic"),
	}
	if l := names(t, "tags_and", someTags); len(l) > 0 {
		a.TagsAnd = l
	}
	if l := names(t, "tags_not", someTags); len(l) > 0 {
		a.TagsNot = l
	}
	for _, p := range names(t, "ids", people) {
		a.RegistrationIDs = append(a.RegistrationIDs, p.ID)
	}
	if depth > 0 {
		below := func(what string) (out []herald.Audience) {
			for range max(0, rapid.IntRange(-2, 3).Draw(t, what)) {
				out = append(out, anyAudience(t, people, depth-1))
			}
			return out
		}
		a.And, a.Or = below("and"), below("or")
		if rapid.IntRange(0, 3).Draw(t, "not") == 0 {
			n := anyAudience(t, people, depth-1)
			a.Not = &n
		}
	}
	if a.Validate() != nil { // nothing in it: the only rule that can be broken here
		a.Tags = []herald.Tag{"a"}
	}
	return a
}

// unknown counts the names in an audience that nobody has.
func unknown(a *herald.Audience, people []*person, seen map[string]bool) (n int64) {
	count := func(name string, has func(*person) bool) {
		if !seen[name] && !slices.ContainsFunc(people, func(p *person) bool { return !p.gone && has(p) }) {
			n++
		}
		seen[name] = true
	}
	for _, id := range a.RegistrationIDs {
		count("id "+string(id), func(p *person) bool { return p.ID == id })
	}
	for _, alias := range a.Aliases {
		count("alias "+string(alias), func(p *person) bool { return p.alias == alias })
	}
	for _, l := range [][]herald.Audience{a.And, a.Or} {
		for i := range l {
			n += unknown(&l[i], people, seen)
		}
	}
	if a.Not != nil {
		n += unknown(a.Not, people, seen)
	}
	return n
}

// TestNaive holds Evaluate to an evaluator that asks each device in turn.
func TestNaive(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("population ", seed), func(t *testing.T) {
			w := newWorld(t)
			people := populate(t, w, rand.New(rand.NewPCG(seed, 7)))
			rapid.Check(t, func(t *rapid.T) {
				a := anyAudience(t, people, 2)
				var want []herald.Ordinal
				for _, p := range people {
					if !p.gone && p.meant(&a, w.clock()) {
						want = append(want, p.Ord)
					}
				}
				got, err := w.Evaluate(t.Context(), w.key, a)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got.Direct, want) || got.Devices != int64(len(want)) || !slices.Equal(got.Image.Ordinals(), want) {
					t.Fatalf("%v (%d, image %v), want %v", got.Direct, got.Devices, got.Image.Ordinals(), want)
				}
				if n := unknown(&a, people, map[string]bool{}); got.Unknown != n {
					t.Fatalf("%d unknown, want %d", got.Unknown, n)
				}
			})
		})
	}
}
