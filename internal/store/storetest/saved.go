package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func testAudienceSegments(t *testing.T, f *fixture) {
	expression := func(tag herald.Tag) *herald.Audience { return &herald.Audience{Tags: []herald.Tag{tag}} }
	put := func(app herald.AppKey, name string, a *herald.Audience) herald.Pos {
		t.Helper()
		pos, err := f.PutAudienceSegment(f.ctx, app, record.AudienceSegment{Name: name, Audience: a, Created: start, Updated: f.clock()})
		f.must(err)
		f.mu.Lock()
		defer f.mu.Unlock()
		if pos != f.last[app] {
			t.Errorf("it was written at %d, and the hooks told of %d", pos, f.last[app])
		}
		return pos
	}
	at := func(name string, pos herald.Pos) string {
		t.Helper()
		s, err := f.AudienceSegment(f.ctx, appA, name, pos)
		if herald.CodeOf(err) == herald.CodeNotFound {
			return "none"
		}
		f.must(err)
		return string(s.Audience.Tags[0])
	}
	names := func(app herald.AppKey, after string, limit int) (out []string) {
		t.Helper()
		list, err := f.AudienceSegments(f.ctx, app, after, limit)
		f.must(err)
		for _, s := range list {
			out = append(out, s.Name+"="+string(s.Audience.Tags[0]))
		}
		return out
	}
	if pos := put(appA, "b", expression("one")); pos != 1 {
		t.Errorf("the first version is at %d", pos)
	}
	put(appA, "a", expression("other"))
	put(appA, "b", expression("two"))
	put(appA, "b", nil)
	put(appA, "b", expression("three"))
	put(appB, "c", expression("foreign"))
	f.restart()
	for pos, want := range map[herald.Pos]string{0: "none", 1: "one", 2: "one", 3: "two", 4: "none", 5: "three", 99: "three"} {
		if got := at("b", pos); got != want {
			t.Errorf("at %d it is %q, want %q", pos, got, want)
		}
	}
	same(t, "list", names(appA, "", 10), []string{"a=other", "b=three"})
	same(t, "page", names(appA, "a", 1), []string{"b=three"})
	same(t, "of the other app", names(appB, "", 10), []string{"c=foreign"})
	f.wantHead(appA, 5)

	// What was replaced long ago is forgotten, what holds is not.
	f.sleep(herald.CountRetention + time.Hour)
	put(appA, "x", expression("new"))
	if got := at("b", 3); got != "none" {
		t.Errorf("an old version is kept: %q", got)
	}
	same(t, "list after a long time", names(appA, "", 10), []string{"a=other", "b=three", "x=new"})
}

func testFiles(t *testing.T, f *fixture) {
	id := func(n int) herald.FileID { return herald.FileID(fmt.Sprintf("%020d", n)) }
	put := func(app herald.AppKey, n int, set *sets.Set) record.File {
		t.Helper()
		row := record.File{ID: id(n), Name: "list", Kind: record.FileOfAliases, Pos: 3, Lines: 5, Devices: set.Len(), Unknown: 1, Duplicates: 2, Created: f.clock(), Used: f.clock()}
		f.must(f.PutFile(f.ctx, app, row, set))
		return row
	}
	listed := func(before herald.FileID, limit int) (out []herald.FileID) {
		t.Helper()
		list, err := f.Files(f.ctx, appA, before, limit)
		f.must(err)
		for _, r := range list {
			out = append(out, r.ID)
		}
		return out
	}
	wide := sets.New()
	for slab := range 200 {
		wide.Add(herald.Ordinal(slab<<16 + slab))
	}
	first := put(appA, 1, wide)
	put(appA, 2, sets.New())
	put(appB, 1, sets.New(7))
	f.restart()
	row, set, err := f.File(f.ctx, appA, id(1))
	f.must(err)
	same(t, "file", row, first)
	if !sets.Equal(set, wide) {
		t.Errorf("the set has %d members", set.Len())
	}
	_, set, err = f.File(f.ctx, appB, id(1))
	f.must(err)
	same(t, "of the other app", set.Ordinals(), []herald.Ordinal{7})
	same(t, "list", listed("", 10), []herald.FileID{id(2), id(1)})
	same(t, "page", listed(id(2), 10), []herald.FileID{id(1)})
	same(t, "short page", listed("", 1), []herald.FileID{id(2)})

	f.must(f.KeepFile(f.ctx, appA, id(2), start.Add(time.Hour)))
	f.must(f.KeepFile(f.ctx, appA, id(2), start.Add(time.Minute)))
	f.must(f.DropFiles(f.ctx, appA, start.Add(time.Minute), start))
	same(t, "what was used lately", listed("", 10), []herald.FileID{id(2)})
	f.must(f.DeleteFile(f.ctx, appA, id(2)))
	for what, err := range map[string]error{
		"delete": f.DeleteFile(f.ctx, appA, id(2)),
		"keep":   f.KeepFile(f.ctx, appA, id(2), start),
	} {
		if herald.CodeOf(err) != herald.CodeNotFound {
			t.Errorf("%s what is gone: %v", what, err)
		}
	}
	if _, _, err := f.File(f.ctx, appA, id(1)); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("find what is gone: %v", err)
	}
	if _, _, err := f.File(f.ctx, appB, id(1)); err != nil {
		t.Errorf("the file of the other app: %v", err)
	}
}

func testResolve(t *testing.T, f *fixture) {
	a := f.register(appA, 1, withAlias("anna"))
	b := f.register(appA, 2, withAlias("anna"))
	c := f.register(appA, 3)
	foreign := f.register(appB, 4, withAlias("ben"))
	head, err := f.Head(f.ctx, appA)
	f.must(err)
	later := f.register(appA, 5, withAlias("anna"))
	changed, err := f.BoundAfter(f.ctx, appA, head.Pos)
	f.must(err)
	same(t, "who changed the alias", changed.Ordinals(), []herald.Ordinal{later.Ord})
	for _, tt := range []struct {
		name   string
		kind   record.FileKind
		values []string
		known  int64
		want   []herald.Ordinal
	}{
		{"IDs", record.FileOfIDs, []string{string(c.ID), string(foreign.ID), string(a.ID), "00000000000000000000"}, 2, []herald.Ordinal{a.Ord, c.Ord}},
		{"aliases", record.FileOfAliases, []string{"ben", "anna", `"quoted"\`}, 1, []herald.Ordinal{a.Ord, b.Ord, later.Ord}},
		{"none", record.FileOfAliases, []string{}, 0, nil},
	} {
		set, known, err := f.Resolve(f.ctx, appA, tt.kind, tt.values)
		f.must(err)
		if known != tt.known || !sets.Equal(set, sets.New(tt.want...)) {
			t.Errorf("%s: %v, %d known; want %v, %d", tt.name, set.Ordinals(), known, tt.want, tt.known)
		}
	}
}

func testRecipients(t *testing.T, f *fixture) {
	put := func(app herald.AppKey, a herald.Alias, want bool) {
		t.Helper()
		created, err := f.PutRecipient(f.ctx, app, a)
		f.must(err)
		if created != want {
			t.Errorf("%s is new: %v", a, created)
		}
	}
	ords := func(app herald.AppKey, aliases ...herald.Alias) map[herald.Alias]uint32 {
		t.Helper()
		found, err := f.Recipients(f.ctx, app, aliases)
		f.must(err)
		out := map[herald.Alias]uint32{}
		for a, r := range found {
			if r.Alias != a || !r.Created.Equal(start) {
				t.Errorf("%s is %+v", a, r)
			}
			out[a] = r.Ord
		}
		return out
	}
	put(appA, "anna", true)
	put(appA, "anna", false)
	put(appB, "anna", true)
	d := f.register(appA, 1, withAlias("ben"))
	f.register(appA, 2, withAlias("anna"))
	f.restart()
	put(appA, "carl", true)
	same(t, "recipients", ords(appA, "anna", "ben", "carl", "nobody"), map[herald.Alias]uint32{"anna": 0, "ben": 1, "carl": 2})
	same(t, "of the other app", ords(appB, "anna", "ben"), map[herald.Alias]uint32{"anna": 0})
	for _, a := range []herald.Alias{"anna", "ben", "carl", "nobody"} {
		f.must(f.DeleteRecipient(f.ctx, appA, a))
	}
	same(t, "who has a device stays", ords(appA, "anna", "ben", "carl"), map[herald.Alias]uint32{"anna": 0, "ben": 1})
	_, err := f.RemoveDevice(f.ctx, appA, d.ID)
	f.must(err)
	f.must(f.DeleteRecipient(f.ctx, appA, "ben"))
	put(appA, "ben", true)
	same(t, "no number is used again", ords(appA, "ben"), map[herald.Alias]uint32{"ben": 3})
	set, known, err := f.Resolve(f.ctx, appA, record.FileOfAliases, []string{"ben", "nobody", "anna"})
	f.must(err)
	if known != 2 || set.Len() != 1 {
		t.Errorf("of a file %d are known, with %d devices", known, set.Len())
	}
}
