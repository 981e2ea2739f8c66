package api_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/vault"
)

// judge is a provider that takes one password; FCM here has no way to ask.
type judge struct{ password string }

func (judge) Send(context.Context, provider.Address, *provider.Message) (provider.Result, error) {
	return provider.Result{}, nil
}

func (judge) Close() error { return nil }

type asked struct{ judge }

func (j asked) Check(context.Context) error {
	if j.password != "right" {
		return provider.Errorf(provider.Unauthorized, "403", "Renew it.", "it has ended")
	}
	return nil
}

func (w *world) vault(clock func() time.Time) *vault.Vault {
	ring, err := seal.New(make([]byte, 32))
	w.must(err)
	fields := []provider.Field{{Name: "user", Help: "Who sends."}, {Name: "password", Secret: true, Needed: true}}
	v := vault.New(vault.Config{Store: w.db, Ring: ring, Now: clock, Drivers: []provider.Driver{
		{Name: herald.VendorAPNs, Fields: fields, Environments: []string{"production", "sandbox"}, New: func(c provider.Config) (provider.Provider, error) {
			return asked{judge{c.Values["password"]}}, nil
		}},
		{Name: herald.VendorFCM, Fields: fields, New: func(c provider.Config) (provider.Provider, error) { return judge{c.Values["password"]}, nil }},
	}})
	w.must(v.Load(w.t.Context()))
	w.t.Cleanup(v.Close)
	return v
}

func (w *world) credential(name, password string, verify bool) api.CredentialView {
	w.t.Helper()
	c, err := w.s.Credentials.Create(w.t.Context(), w.masterA, api.CredentialRequest{
		Vendor: herald.VendorAPNs, Name: name, Values: map[string]string{"user": "u", "password": password}, Verify: verify,
	})
	w.must(err)
	return c
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	vendors, err := w.s.Credentials.Vendors(ctx, w.masterA)
	if err != nil || len(vendors.Vendors) != 2 || vendors.Vendors[0].Name != "apns" || !slices.Equal(vendors.Vendors[0].Environments, []string{"production", "sandbox"}) ||
		vendors.Vendors[1].Environments == nil || vendors.Vendors[0].Fields[1] != (api.VendorField{Name: "password", Secret: true, Needed: true}) {
		t.Errorf("%+v, %v", vendors, err)
	}
	plain := w.credential("", "wrong", false)
	if plain.State != "unverified" || plain.VerifiedAt != nil || plain.Problem != nil || plain.Values["user"] != "u" || len(plain.Values) != 1 {
		t.Errorf("made %+v", plain)
	}
	bad := w.credential("bad", "wrong", true)
	if bad.State != "problem" || bad.VerifiedAt != nil || bad.Problem == nil || bad.Problem.Kind != "unauthorized" || bad.Problem.Code != "403" ||
		bad.Problem.Text != "it has ended" || bad.Problem.Remedy != "Renew it." || bad.Problem.At.IsZero() {
		t.Errorf("refused %+v", bad)
	}
	if good := w.credential("good", "right", true); good.State != "good" || good.VerifiedAt == nil || good.Problem != nil {
		t.Errorf("taken %+v", good)
	}
	w.pass(time.Second)
	changed, err := w.s.Credentials.Update(ctx, w.masterA, bad.ID, api.CredentialUpdate{Values: map[string]string{"password": "right"}})
	if err != nil || changed.State != "unverified" || changed.Values["user"] != "u" || !changed.UpdatedAt.After(bad.UpdatedAt) {
		t.Errorf("%+v, %v", changed, err)
	}
	checked, err := w.s.Credentials.Verify(ctx, w.masterA, bad.ID)
	if err != nil || checked.State != "good" {
		t.Errorf("%+v, %v", checked, err)
	}
	spoilt, err := w.s.Credentials.Update(ctx, w.masterA, bad.ID, api.CredentialUpdate{Values: map[string]string{"password": "x", "user": ""}, Verify: true})
	if err != nil || spoilt.State != "problem" || spoilt.Values == nil || len(spoilt.Values) != 0 {
		t.Errorf("%+v, %v", spoilt, err)
	}
	// What cannot be asked is kept, and not verified.
	fcm, err := w.s.Credentials.Create(ctx, w.masterA, api.CredentialRequest{Vendor: herald.VendorFCM, Values: map[string]string{"password": "p"}, Verify: true})
	if err != nil || fcm.State != "unverified" {
		t.Errorf("%+v, %v", fcm, err)
	}
	if _, err := w.s.Credentials.Verify(ctx, w.masterA, fcm.ID); herald.CodeOf(err) != herald.CodeConflict {
		t.Errorf("a vendor that cannot be asked: %v", err)
	}
	list, err := w.s.Credentials.List(ctx, w.masterA)
	if err != nil || len(list.Credentials) != 4 || list.Credentials[0].ID != plain.ID || list.Credentials[3].ID != fcm.ID {
		t.Errorf("%+v, %v", list, err)
	}
	got, err := w.s.Credentials.Get(ctx, w.masterA, plain.ID)
	if err != nil || got.ID != plain.ID {
		t.Errorf("%+v, %v", got, err)
	}
	w.must(w.s.Credentials.Delete(ctx, w.masterA, plain.ID))
	_, err = w.s.Credentials.Get(ctx, w.masterA, plain.ID)
	_, other := w.s.Credentials.Get(ctx, w.masterB, bad.ID)
	if herald.CodeOf(err) != herald.CodeNotFound || herald.CodeOf(other) != herald.CodeNotFound {
		t.Errorf("%v, %v", err, other)
	}
}

// TestCredentialsAudited: what changed is told, and no secret.
func TestCredentialsAudited(t *testing.T) {
	w := newWorld(t)
	audited := func(operation, object string, run func(ctx context.Context)) api.AuditView {
		t.Helper()
		ctx, note := w.s.Apps.Audited(t.Context(), w.masterA, operation, object, netip.MustParseAddr("192.0.2.1"))
		run(ctx)
		w.s.Apps.Noted(ctx, note)
		page, err := w.s.Apps.Audit(t.Context(), w.masterA, api.AuditQuery{Operation: operation})
		w.must(err)
		if len(page.Entries) != 1 {
			t.Fatalf("%s: %d entries", operation, len(page.Entries))
		}
		return page.Entries[0]
	}
	var id string
	made := audited("createCredential", "", func(ctx context.Context) {
		c, err := w.s.Credentials.Create(ctx, w.masterA, api.CredentialRequest{Vendor: herald.VendorAPNs, Values: map[string]string{"user": "u", "password": "the secret"}, Verify: true})
		w.must(err)
		id = c.ID
	})
	if made.Object != id || string(made.Changes["vendor"].New) != `"apns"` || string(made.Changes["values"].New) != `{"user":"u"}` || string(made.Changes["secrets"].New) != `["password"]` || len(made.Changes) != 3 {
		t.Errorf("%+v", made)
	}
	changed := audited("updateCredential", id, func(ctx context.Context) {
		_, err := w.s.Credentials.Update(ctx, w.masterA, id, api.CredentialUpdate{Values: map[string]string{"user": "v"}})
		w.must(err)
	})
	if changed.Object != id || string(changed.Changes["values"].Old) != `{"user":"u"}` || string(changed.Changes["values"].New) != `{"user":"v"}` || len(changed.Changes) != 1 {
		t.Errorf("%+v", changed)
	}
	gone := audited("deleteCredential", id, func(ctx context.Context) { w.must(w.s.Credentials.Delete(ctx, w.masterA, id)) })
	if string(gone.Changes["vendor"].Old) != `"apns"` || gone.Changes["vendor"].New != nil {
		t.Errorf("%+v", gone)
	}
}

// TestCredentialAuthorization: who may call what about credentials, beside
// TestAuthorization; a key for credentials may do nothing else.
func TestCredentialAuthorization(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	self := w.device(w.a, api.RegisterRequest{})
	one := w.credential("one", "right", false).ID
	names := 0
	read := map[string]func(api.Principal) error{
		"vendors": func(p api.Principal) error { _, err := w.s.Credentials.Vendors(ctx, p); return err },
		"list":    func(p api.Principal) error { _, err := w.s.Credentials.List(ctx, p); return err },
		"get":     func(p api.Principal) error { _, err := w.s.Credentials.Get(ctx, p, one); return err },
	}
	write := map[string]func(api.Principal) error{
		"create": func(p api.Principal) error {
			names++
			_, err := w.s.Credentials.Create(ctx, p, api.CredentialRequest{Vendor: herald.VendorFCM, Name: string(rune('a' + names)), Values: map[string]string{"password": "p"}})
			return err
		},
		"update": func(p api.Principal) error {
			_, err := w.s.Credentials.Update(ctx, p, one, api.CredentialUpdate{})
			return err
		},
		"verify": func(p api.Principal) error { _, err := w.s.Credentials.Verify(ctx, p, one); return err },
		"delete": func(p api.Principal) error {
			names++
			return w.s.Credentials.Delete(ctx, p, w.credential(string(rune('a'+names)), "p", false).ID)
		},
	}
	check := func(who string, p api.Principal, reads, writes herald.Code) {
		t.Helper()
		for name, call := range read {
			if got := herald.CodeOf(call(p)); got != reads {
				t.Errorf("%s: %s is answered %q, want %q", who, name, got, reads)
			}
		}
		for name, call := range write {
			if got := herald.CodeOf(call(p)); got != writes {
				t.Errorf("%s: %s is answered %q, want %q", who, name, got, writes)
			}
		}
	}
	check("nobody", api.Principal{}, herald.CodeUnauthorized, herald.CodeUnauthorized)
	check("the master secret", w.masterA, "", "")
	check("a device", self, herald.CodeForbidden, herald.CodeForbidden)
	check("a group", w.grouped(w.a, w.b), herald.CodeForbidden, herald.CodeForbidden)
	for _, scope := range api.GrantableScopes {
		k, err := w.s.Apps.CreateKey(ctx, w.masterA, api.KeyRequest{Name: string(scope), Scopes: []string{string(scope)}})
		w.must(err)
		p, err := w.s.Apps.Bearer(ctx, k.Key, netip.Addr{})
		w.must(err)
		reads, writes := herald.CodeForbidden, herald.CodeForbidden
		switch scope {
		case api.ScopeVendorsRead:
			reads = ""
		case api.ScopeVendorsWrite:
			writes = ""
		}
		check(string(scope), p, reads, writes)
		if scope != api.ScopeVendorsRead && scope != api.ScopeVendorsWrite {
			continue
		}
		_, send := w.s.Messages.List(ctx, p, "", "", 0)
		_, hooks := w.s.Webhooks.List(ctx, p)
		if herald.CodeOf(send) != herald.CodeForbidden || herald.CodeOf(hooks) != herald.CodeForbidden {
			t.Errorf("%s: %v", scope, errors.Join(send, hooks))
		}
	}
}
