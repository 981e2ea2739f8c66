package storetest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Audits is the audit log.
type Audits interface {
	AddAudit(ctx context.Context, e record.Audit) error
	// Audits lists entries of an app, newest first.
	Audits(ctx context.Context, app herald.AppKey, f record.AuditFilter) ([]record.Audit, error)
	// PurgeAudit deletes about limit of those that are older than a time.
	PurgeAudit(ctx context.Context, app herald.AppKey, before time.Time, limit int) (more bool, err error)
}

func entry(app herald.AppKey, n int, operation, object string) record.Audit {
	at := start.Add(time.Duration(n) * time.Second)
	return record.Audit{App: app, ID: at.UnixMicro(), Time: at, Kind: record.AuditKey, Actor: "abcdefgh", Name: "ci", Operation: operation, Object: object, Origin: "203.0.113.7",
		Changes: map[string]record.Change{"name": {Old: json.RawMessage(`"a"`), New: json.RawMessage(`"b"`)}}}
}

func (f *fixture) audits(app herald.AppKey, filter record.AuditFilter) []record.Audit {
	f.t.Helper()
	if filter.Limit == 0 {
		filter.Limit = 100
	}
	got, err := f.Audits(f.ctx, app, filter)
	f.must(err)
	return got
}

// testAudit: an entry goes with the change that its context makes, once, and
// not with one that is refused.
func testAudit(t *testing.T, f *fixture) {
	e := entry(appA, 1, "createKey", "abcdefgh")
	ctx, pending := record.WithAudit(f.ctx, e)
	refused(t, f.DeleteKey(ctx, appA, "nosuchid"), herald.CodeNotFound)
	if got := f.audits(appA, record.AuditFilter{}); len(got) != 0 {
		t.Errorf("a refused change has the entries %+v", got)
	}
	k := record.APIKey{App: appA, ID: "abcdefgh", Name: "ci", Hash: []byte("h"), Created: start}
	f.must(f.PutKey(ctx, k))
	f.must(f.PutKey(ctx, k))
	if pending.Take() {
		t.Error("an entry that was written could be written again")
	}
	f.restart()
	same(t, "audit", f.audits(appA, record.AuditFilter{}), []record.Audit{e})
	same(t, "audit of the other app", f.audits(appB, record.AuditFilter{}), []record.Audit(nil))

	// One for an app that its own commit makes.
	made := entry(none, 1, "createApp", "")
	ctx, _ = record.WithAudit(f.ctx, made)
	f.must(f.CreateApp(ctx, record.App{Key: none, SecretHash: []byte("h"), Created: start}))
	same(t, "audit of a new app", f.audits(none, record.AuditFilter{}), []record.Audit{made})

	// Several at one time keep their order, and a clock that goes back does not
	// change it.
	for range 3 {
		f.must(f.AddAudit(f.ctx, record.Audit{App: appB, Time: start, Kind: record.AuditMaster}))
	}
	f.must(f.AddAudit(f.ctx, record.Audit{App: appB, Time: start.Add(-time.Hour), Kind: record.AuditAdmin}))
	got := f.audits(appB, record.AuditFilter{})
	if len(got) != 4 || got[0].Kind != record.AuditAdmin || got[0].ID != start.UnixMicro()+3 || got[3].ID != start.UnixMicro() {
		t.Errorf("entries of one moment: %+v", got)
	}
	// It stands where it was written, and is found there.
	if got := f.audits(appB, record.AuditFilter{Since: start}); len(got) != 4 {
		t.Errorf("%d entries since the moment", len(got))
	}
	if got := f.audits(appB, record.AuditFilter{Until: start}); len(got) != 0 {
		t.Errorf("%d entries before the moment", len(got))
	}
	const nobody = herald.AppKey("mmmmmmmmmmmmmmmmmmmmmmmm")
	refused(t, f.AddAudit(f.ctx, record.Audit{App: nobody}), herald.CodeNotFound)
	_, err := f.Audits(f.ctx, nobody, record.AuditFilter{Limit: 1})
	refused(t, err, herald.CodeNotFound)
	_, err = f.PurgeAudit(f.ctx, nobody, start, 1)
	refused(t, err, herald.CodeNotFound)
}

// testAuditErased: an erasure takes the device and its alias out of the log of
// its app, when it is finished.
func testAuditErased(t *testing.T, f *fixture) {
	const id, other = "06dbnqfs00v8k3m1p2r4", "06dbnqfs00v8k3m1p2r5"
	alias := record.AuditedAlias(appA, "anna")
	for i, object := range []string{id, other, alias, "vip"} {
		e := entry(appA, i, "x", object)
		if object == id {
			e.Kind, e.Actor = record.AuditPage, id
		}
		f.must(f.AddAudit(f.ctx, e))
	}
	f.must(f.AddAudit(f.ctx, entry(appB, 0, "x", id)))
	objects := func(app herald.AppKey) (out string) {
		for _, e := range f.audits(app, record.AuditFilter{}) {
			out += e.Object + " "
		}
		return out
	}
	e := record.Erasure{App: appA, ID: id, Alias: "anna"}
	for _, want := range []string{"vip " + alias + " " + other + " " + id + " ", "vip alias:erased " + other + " " + string(record.ErasedID) + " "} {
		_, err := f.Erase(f.ctx, e)
		f.must(err)
		if got := objects(appA); got != want {
			t.Errorf("gone %v: the log is about %q, want %q", e.Gone, got, want)
		}
		e.Gone = true
	}
	for _, e := range f.audits(appA, record.AuditFilter{}) {
		if e.Actor == id {
			t.Errorf("%+v names the erased page", e)
		}
	}
	if got := objects(appB); got != id+" " {
		t.Errorf("the log of the other app is about %q", got)
	}
}

func testAuditFilters(t *testing.T, f *fixture) {
	var all []record.Audit // newest first
	for i, x := range [][2]string{{"createKey", "k1"}, {"deleteKey", "k1"}, {"createKey", "k2"}, {"updateApp", ""}, {"createKey", "K1"}} {
		e := entry(appA, i, x[0], x[1])
		if i == 3 {
			e.Kind, e.Actor, e.Name, e.Changes = record.AuditMaster, "", "", nil
		}
		f.must(f.AddAudit(f.ctx, e))
		all = append([]record.Audit{e}, all...)
	}
	f.must(f.AddAudit(f.ctx, entry(appB, 1, "createKey", "k1")))
	pick := func(which ...int) (out []record.Audit) {
		for _, i := range which {
			out = append(out, all[4-i])
		}
		return out
	}
	for name, c := range map[string]struct {
		filter record.AuditFilter
		want   []record.Audit
	}{
		"all":       {record.AuditFilter{}, all},
		"limit":     {record.AuditFilter{Limit: 2}, pick(4, 3)},
		"next page": {record.AuditFilter{Limit: 2, Before: all[1].ID}, pick(2, 1)},
		"kind":      {record.AuditFilter{Actor: record.AuditMaster}, pick(3)},
		"key":       {record.AuditFilter{Actor: "abcdefgh"}, pick(4, 2, 1, 0)},
		"operation": {record.AuditFilter{Operation: "createKey"}, pick(4, 2, 0)},
		"object":    {record.AuditFilter{Object: "k1"}, pick(1, 0)},
		"both":      {record.AuditFilter{Operation: "createKey", Object: "k1"}, pick(0)},
		"since":     {record.AuditFilter{Since: start.Add(3 * time.Second)}, pick(4, 3)},
		"until":     {record.AuditFilter{Until: start.Add(2 * time.Second)}, pick(1, 0)},
		"between":   {record.AuditFilter{Since: start.Add(time.Second), Until: start.Add(2 * time.Second)}, pick(1)},
		"nothing":   {record.AuditFilter{Operation: "x"}, nil},
	} {
		same(t, name, f.audits(appA, c.filter), c.want)
	}
	more, err := f.PurgeAudit(f.ctx, appA, start.Add(3*time.Second), 2)
	f.must(err)
	same(t, "what a part of the purge leaves", f.audits(appA, record.AuditFilter{}), pick(4, 3, 2))
	if !more {
		t.Error("a purge that was cut off says that nothing is left")
	}
	more, err = f.PurgeAudit(f.ctx, appA, start.Add(3*time.Second), 2)
	f.must(err)
	if more {
		t.Error("a purge that is done says that more is left")
	}
	f.restart()
	same(t, "what the purge leaves", f.audits(appA, record.AuditFilter{}), pick(4, 3))
	if n := len(f.audits(appB, record.AuditFilter{})); n != 1 {
		t.Errorf("the other app has %d entries", n)
	}
}
