package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

func testBindings(t *testing.T, f *fixture) {
	a, b, c := f.register(appA, 1, withAlias("ann")), f.register(appA, 2), f.register(appA, 3, withAlias("ann"))
	foreign := f.register(appB, 4)
	const done, same0, unknown = record.BindDone, record.BindUnchanged, record.BindUnknown
	for _, step := range []struct {
		name    string
		list    []record.Binding
		want    []record.BindOutcome
		pos     herald.Pos
		aliases map[herald.Alias][]herald.Ordinal
	}{
		{
			"bind, move, and who is not there",
			[]record.Binding{{ID: a.ID, Alias: "bob"}, {ID: b.ID, Alias: "new"}, {ID: foreign.ID, Alias: "bob"}, {ID: c.ID, Alias: "ann"}},
			[]record.BindOutcome{done, done, unknown, same0}, 4,
			map[herald.Alias][]herald.Ordinal{"ann": {c.Ord}, "bob": {a.Ord}, "new": {b.Ord}},
		},
		{
			"nothing", []record.Binding{{ID: a.ID, Alias: "bob"}, {ID: c.ID, From: "bob"}, {ID: c.ID, From: "nobody"}},
			[]record.BindOutcome{same0, same0, same0}, 0,
			map[herald.Alias][]herald.Ordinal{"ann": {c.Ord}, "bob": {a.Ord}, "new": {b.Ord}},
		},
		{
			"one device several times, the last counts",
			[]record.Binding{{ID: a.ID, Alias: "x"}, {ID: a.ID, Alias: "y"}, {ID: b.ID}, {ID: c.ID, From: "ann"}},
			[]record.BindOutcome{done, done, done, done}, 5,
			map[herald.Alias][]herald.Ordinal{"y": {a.Ord}},
		},
	} {
		got, err := f.BindDevices(f.ctx, appA, step.list, false)
		f.must(err)
		same(t, step.name, got.Outcomes, step.want)
		if got.Pos != step.pos {
			t.Errorf("%s: at %d, want %d", step.name, got.Pos, step.pos)
		}
		f.restart()
		bound, err := f.OrdinalsByAlias(f.ctx, appA, []herald.Alias{"ann", "bob", "new", "x", "y"})
		f.must(err)
		same(t, step.name, bound, step.aliases)
	}
	d, err := f.Device(f.ctx, appA, b.ID)
	f.must(err)
	if d.Alias != "" || d.BoundPos != 5 {
		t.Errorf("unbound: alias %q at %d", d.Alias, d.BoundPos)
	}
	// Every alias that was bound has its recipient, once.
	all, err := f.Recipients(f.ctx, appA, []herald.Alias{"ann", "bob", "new", "x", "y"})
	f.must(err)
	numbers := map[uint32]bool{}
	for _, r := range all {
		numbers[r.Ord] = true
	}
	if len(all) != 5 || len(numbers) != 5 {
		t.Errorf("recipients %+v", all)
	}
	_, err = f.BindDevices(f.ctx, none, []record.Binding{{ID: a.ID, Alias: "x"}}, false)
	refused(t, err, herald.CodeNotFound)
}

func testBindingsFull(t *testing.T, f *fixture) {
	var list []record.Binding
	for i := range herald.MaxDevicesByAlias + 1 {
		list = append(list, record.Binding{ID: f.register(appA, i).ID, Alias: "ann"})
	}
	head, last := herald.Pos(len(list)), herald.MaxDevicesByAlias
	_, err := f.BindDevices(f.ctx, appA, append([]record.Binding{{ID: list[0].ID, Alias: "other"}}, append(list, list[0])...), true)
	refused(t, err, herald.CodeLimitReached)
	f.wantHead(appA, head)
	if all, err := f.Recipients(f.ctx, appA, []herald.Alias{"ann", "other"}); err != nil || len(all) > 0 {
		t.Errorf("after the refusal there are %v, %v", all, err)
	}
	got, err := f.BindDevices(f.ctx, appA, list, false)
	f.must(err)
	if got.Outcomes[last] != record.BindFull || got.Outcomes[last-1] != record.BindDone || got.Changed.Len() != int64(last) {
		t.Errorf("%d changed, and the last two came to %v", got.Changed.Len(), got.Outcomes[last-1:])
	}
	// One that leaves makes room for one that comes.
	got, err = f.BindDevices(f.ctx, appA, []record.Binding{{ID: list[0].ID}, list[last]}, true)
	f.must(err)
	if got.Changed.Len() != 2 {
		t.Errorf("came to %v", got.Outcomes)
	}
	f.wantHead(appA, head+2)
}

func testAliasEntries(t *testing.T, f *fixture) {
	send := func(byAlias bool, eval herald.Pos, ttl time.Duration, ords ...herald.Ordinal) herald.MessageID {
		a := f.message(ords...)
		a.ByAlias, a.EvalPos, a.TTL = byAlias, eval, ttl
		f.accept(a)
		return a.ID
	}
	one := send(true, 3, time.Hour, 1, 2)
	send(false, 3, time.Hour, 1) // not by alias
	send(true, 7, time.Hour, 1)  // evaluated later
	send(true, 3, time.Second, 2)
	ended := send(true, 3, time.Hour, 2)
	_, err := f.EndMessage(f.ctx, appA, ended, herald.MessageWithdrawn, f.clock())
	f.must(err)
	two := send(true, 6, time.Hour, 2)
	f.restart()
	list, err := f.AliasEntries(f.ctx, appA, sets.New(1, 2, 9), 7, f.clock().Add(time.Minute))
	f.must(err)
	var got []string
	for _, e := range list {
		if e.Pos == 0 {
			t.Errorf("an entry without a position: %+v", e)
		}
		got = append(got, fmt.Sprint(e.Ord, e.Msg))
	}
	same(t, "entries", got, []string{fmt.Sprint(1, one), fmt.Sprint(2, one), fmt.Sprint(2, two)})
	_, err = f.AliasEntries(f.ctx, none, sets.New(1), 7, f.clock())
	refused(t, err, herald.CodeNotFound)
}

// testManyBindings binds more devices at once than are noted one by one, some of
// them beside each other and some not, and then one of them again.
func testManyBindings(t *testing.T, f *fixture) {
	const devices = 200
	var list []record.Binding
	var ids []herald.RegistrationID
	want := sets.New()
	for i := range devices {
		d := f.register(appA, i+1)
		ids = append(ids, d.ID)
		if i%7 != 3 && i/20%3 != 1 {
			list = append(list, record.Binding{ID: d.ID, Alias: herald.Alias(fmt.Sprint("user ", i))})
			want.Add(d.Ord)
		}
	}
	first, err := f.BindDevices(f.ctx, appA, list, false)
	f.must(err)
	again, err := f.BindDevices(f.ctx, appA, []record.Binding{{ID: list[0].ID, Alias: "another"}, {ID: list[1].ID}}, false)
	f.must(err)
	f.restart()
	for _, c := range []struct {
		after herald.Pos
		want  *sets.Set
	}{{first.Pos - 1, want}, {first.Pos, again.Changed}, {again.Pos, sets.New()}} {
		got, err := f.BoundAfter(f.ctx, appA, c.after)
		f.must(err)
		if !sets.Equal(got, c.want) {
			t.Errorf("after %d: %v, want %v", c.after, got.Ordinals(), c.want.Ordinals())
		}
	}
	for _, b := range list[2:] {
		d, err := f.Device(f.ctx, appA, b.ID)
		f.must(err)
		if d.Alias != b.Alias || d.BoundPos != first.Pos {
			t.Errorf("%s: alias %q at %d, want %q at %d", b.ID, d.Alias, d.BoundPos, b.Alias, first.Pos)
		}
	}
	d, err := f.Device(f.ctx, appA, ids[3])
	f.must(err)
	if d.Alias != "" {
		t.Errorf("one that was not named has the alias %q", d.Alias)
	}
	_, err = f.Purge(f.ctx, time.Now().Add(30*24*time.Hour), time.Now(), 100)
	f.must(err)
}
