package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Credentials are what apps have of vendors.
type Credentials interface {
	Credentials(ctx context.Context) ([]record.Credential, error)
	CreateCredential(ctx context.Context, c record.Credential, most int) error
	UpdateCredential(ctx context.Context, app herald.AppKey, id string, change func(*record.Credential) error) (record.Credential, error)
	DeleteCredential(ctx context.Context, app herald.AppKey, id string) error
}

func testCredentials(t *testing.T, f *fixture) {
	plain := record.Credential{App: appA, ID: "crd_b", Vendor: herald.VendorAPNs, Sealed: []byte{0, 1, 255}, Created: start, Updated: start}
	sandbox := record.Credential{
		App: appA, ID: "crd_a", Vendor: herald.VendorAPNs, Environment: "sandbox", Sealed: []byte("s"), Shown: map[string]string{"topic": "a", "key_id": "b"},
		Created: start, Updated: start.Add(time.Second), Verified: start, Problem: &record.Problem{Kind: "unauthorized", Code: "403", Text: "ended", Remedy: "renew", At: start},
	}
	named := record.Credential{App: appA, ID: "crd_c", Vendor: herald.VendorDingTalk, Name: "值班", Sealed: []byte("d"), Created: start, Updated: start}
	other := record.Credential{App: appB, ID: "crd_b", Vendor: herald.VendorAPNs, Sealed: []byte("o"), Created: start, Updated: start}
	for _, c := range []record.Credential{plain, sandbox, named, other} {
		f.must(f.CreateCredential(f.ctx, c, 3))
	}
	check := func(what string, want ...record.Credential) {
		t.Helper()
		got, err := f.Credentials(f.ctx)
		f.must(err)
		same(t, what, got, want)
	}
	f.restart()
	check("credentials", sandbox, plain, named, other)
	again := plain
	again.ID = "crd_z"
	refused(t, f.CreateCredential(f.ctx, again, 9), herald.CodeConflict)
	again.Name = "b"
	refused(t, f.CreateCredential(f.ctx, again, 3), herald.CodeLimitReached)
	again.App = none
	refused(t, f.CreateCredential(f.ctx, again, 9), herald.CodeNotFound)

	got, err := f.UpdateCredential(f.ctx, appA, "crd_a", func(c *record.Credential) error {
		c.Sealed, c.Shown, c.Problem, c.Verified = []byte("new"), nil, nil, start.Add(time.Hour)
		return nil
	})
	f.must(err)
	sandbox.Sealed, sandbox.Shown, sandbox.Problem, sandbox.Verified = []byte("new"), nil, nil, start.Add(time.Hour)
	same(t, "a changed credential", got, sandbox)
	refusal := errors.New("no")
	if _, err := f.UpdateCredential(f.ctx, appA, "crd_b", func(c *record.Credential) error {
		c.Sealed = nil
		return refusal
	}); !errors.Is(err, refusal) {
		t.Errorf("a refused change: %v", err)
	}
	keep := func(*record.Credential) error { return nil }
	_, err = f.UpdateCredential(f.ctx, appB, "crd_a", keep)
	refused(t, err, herald.CodeNotFound)
	_, err = f.UpdateCredential(f.ctx, none, "crd_a", keep)
	refused(t, err, herald.CodeNotFound)

	f.must(f.DeleteCredential(f.ctx, appA, "crd_b"))
	refused(t, f.DeleteCredential(f.ctx, appA, "crd_b"), herald.CodeNotFound)
	refused(t, f.DeleteCredential(f.ctx, none, "crd_b"), herald.CodeNotFound)
	f.restart()
	check("credentials after one is deleted", sandbox, named, other)
}
