package vault_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/vault"
)

func TestUpdate(t *testing.T) {
	w := newWorld(t)
	c := w.create(vault.Spec{Vendor: herald.VendorAPNs, Values: map[string]string{"user": "a", "password": "b", "note": "c"}})
	_, err := w.Verify(w.ctx, app, c.ID)
	w.must(err)
	got, err := w.Update(w.ctx, app, c.ID, map[string]string{"note": "", "password": "d"})
	w.must(err)
	if len(got.Shown) != 1 || got.Shown["user"] != "a" || !got.Verified.IsZero() || !got.Updated.After(c.Updated) || got.Sealed != nil {
		t.Errorf("%+v", got)
	}
	if l := w.lease("", ""); l.Provider.(checking).values["password"] != "d" {
		t.Errorf("%v", l.Provider.(checking).values)
	} else {
		l.Release()
	}
	for name, values := range map[string]map[string]string{"takes a needed one away": {"user": ""}, "an unknown one": {"color": "red"}, "a bad one": {"password": "malformed"}} {
		if _, err := w.Update(w.ctx, app, c.ID, values); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Update(w.ctx, another, c.ID, nil); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("of another app: %v", err)
	}
}

// TestLost: what cannot be opened is said, and can be set anew.
func TestLost(t *testing.T) {
	w := newWorld(t)
	c := w.create(spec(herald.VendorAPNs, "", "", "one"))
	for name, sealed := range map[string][]byte{"given up": nil, "damaged": []byte("x"), "no values": w.ring.Seal(c.Place(), []byte("[]"))} {
		_, err := w.store.UpdateCredential(w.ctx, app, c.ID, func(r *record.Credential) error {
			r.Sealed = sealed
			return nil
		})
		w.must(err)
		w.open(w.drivers())
		for range 2 {
			if _, err := w.Open(w.ctx, app, herald.VendorAPNs, "", ""); provider.KindOf(err) != provider.Unauthorized || err.(*provider.Error).Remedy == "" { //nolint:errorlint // the type is part of the contract
				t.Errorf("%s: %v", name, err)
			}
		}
		got, err := w.Verify(w.ctx, app, c.ID)
		if err != nil || got.Problem == nil || got.Problem.Kind != "unauthorized" || got.Problem.Remedy == "" {
			t.Errorf("%s: %+v, %v", name, got.Problem, err)
		}
		if _, err := w.Update(w.ctx, app, c.ID, map[string]string{"note": "n"}); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%s: the password is lost and not asked for: %v", name, err)
		}
	}
	got, err := w.Update(w.ctx, app, c.ID, map[string]string{"password": "again"})
	w.must(err)
	if l := w.lease("", ""); userOf(l) != "one" || got.Problem != nil {
		t.Errorf("%+v", got)
	} else {
		l.Release()
	}
}

// TestUnknownVendor: a credential for a vendor that this build does not know
// stays, and says so.
func TestUnknownVendor(t *testing.T) {
	w := newWorld(t)
	c := w.create(spec(herald.VendorAPNs, "", "", "one"))
	w.open(nil)
	if _, err := w.Open(w.ctx, app, herald.VendorAPNs, "", ""); provider.KindOf(err) != provider.Unauthorized {
		t.Error(err)
	}
	if _, err := w.Update(w.ctx, app, c.ID, nil); herald.CodeOf(err) != herald.CodeConflict {
		t.Error(err)
	}
	if n := len(w.Credentials(app)); n != 1 {
		t.Errorf("%d are there", n)
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	c := w.create(spec(herald.VendorAPNs, "", "", "one"))
	if !c.Verified.IsZero() || c.Problem != nil {
		t.Errorf("nobody was asked: %+v", c)
	}
	refused := provider.Errorf(provider.Unauthorized, "403", "Renew it.", "it has ended")
	for _, step := range []struct {
		name     string
		err      error
		kind     string
		text     string
		verified time.Duration
	}{
		{"refused", refused, "unauthorized", "it has ended", 0},
		{"taken", nil, "", "", 2 * time.Minute},
		{"out of reach", provider.Lost(errors.New("x"), false), "unavailable", "the vendor cannot be reached", 2 * time.Minute},
		{"an address that may not be called", herald.Invalid("url", "Use another.", "it is inside"), "unauthorized", "url: it is inside", 2 * time.Minute},
		{"an error of no kind", errors.New("secret of one"), "unavailable", "the credential could not be tried", 2 * time.Minute},
		{"taken again", nil, "", "", 6 * time.Minute},
	} {
		w.set(func() {
			w.now = w.now.Add(time.Minute)
			w.check = func(context.Context, map[string]string) error { return step.err }
		})
		got, err := w.Verify(w.ctx, app, c.ID)
		w.must(err)
		if step.kind == "" && got.Problem != nil || step.kind != "" && (got.Problem == nil || got.Problem.Kind != step.kind || got.Problem.Text != step.text || !got.Problem.At.Equal(w.now)) {
			t.Errorf("%s: %+v", step.name, got.Problem)
		}
		if want := start.Add(step.verified); step.verified > 0 && !got.Verified.Equal(want) || step.verified == 0 && !got.Verified.IsZero() {
			t.Errorf("%s: verified at %s", step.name, got.Verified)
		}
		if n := len(w.Problems()); n > 0 != (step.kind != "") {
			t.Errorf("%s: %d problems", step.name, n)
		}
		kept, err := w.Get(app, c.ID)
		w.must(err)
		if (kept.Problem == nil) != (got.Problem == nil) || !kept.Updated.Equal(c.Updated) || got.Sealed != nil {
			t.Errorf("%s: kept %+v", step.name, kept)
		}
	}
	if _, err := w.Verify(w.ctx, app, "crd_none"); herald.CodeOf(err) != herald.CodeNotFound {
		t.Error(err)
	}
	plain := w.create(spec(herald.VendorWebhook, "", "", "one"))
	if got, err := w.Verify(w.ctx, app, plain.ID); herald.CodeOf(err) != herald.CodeConflict || !strings.Contains(err.Error(), "cannot be verified") || got.ID != plain.ID {
		t.Errorf("a vendor that cannot be asked: %v", err)
	}
}

// TestVerifyEnds: a caller who leaves says nothing of the credential, and a
// change meanwhile makes it another one.
func TestVerifyEnds(t *testing.T) {
	w := newWorld(t)
	c := w.create(spec(herald.VendorAPNs, "", "", "one"))
	ctx, leave := context.WithCancel(w.ctx)
	w.set(func() {
		w.check = func(ctx context.Context, _ map[string]string) error {
			leave()
			<-ctx.Done()
			return provider.Lost(ctx.Err(), false)
		}
	})
	if got, err := w.Verify(ctx, app, c.ID); !errors.Is(err, context.Canceled) || got.Problem != nil {
		t.Errorf("%+v, %v", got, err)
	}
	w.set(func() {
		w.check = func(context.Context, map[string]string) error {
			_, err := w.Update(w.ctx, app, c.ID, map[string]string{"user": "two"})
			if err != nil {
				t.Error(err)
			}
			return provider.Errorf(provider.Unauthorized, "", "", "not one")
		}
	})
	if got, err := w.Verify(w.ctx, app, c.ID); err != nil || got.Problem != nil || got.Shown["user"] != "two" {
		t.Errorf("%+v, %v", got, err)
	}
	if got := w.ended(); got != "two one" { // the trial of the new one, and the old one when it came back
		t.Errorf("closed: %q", got)
	}
}

func TestNoteProblem(t *testing.T) {
	w := newWorld(t)
	c := w.create(spec(herald.VendorAPNs, "", "", "one"))
	at := func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
	kinds := func(k provider.Kind, code, text string) *provider.Error {
		return provider.Errorf(k, code, "", "%s", text)
	}
	for i, step := range []struct {
		name     string
		e        *provider.Error
		text     string
		problem  time.Time
		verified time.Time
	}{
		{"taken for the first time", nil, "", time.Time{}, at(0)},
		{"taken", nil, "", time.Time{}, at(0)},
		{"refused", kinds(provider.Unauthorized, "403", "at noon"), "at noon", at(2), at(0)},
		{"refused alike", kinds(provider.Unauthorized, "403", "at one"), "at noon", at(2), at(0)},
		{"refused with another code", kinds(provider.Unauthorized, "401", "at one"), "at one", at(4), at(0)},
		{"without a code", kinds(provider.Unauthorized, "", "a"), "a", at(5), at(0)},
		{"without a code, otherwise", kinds(provider.Unauthorized, "", "b"), "b", at(6), at(0)},
		{"the same", kinds(provider.Unauthorized, "", "b"), "b", at(6), at(0)},
		{"taken again", nil, "", time.Time{}, at(8)},
	} {
		w.set(func() { w.now = at(i) })
		w.must(w.NoteProblem(w.ctx, app, c.ID, step.e))
		got, err := w.Get(app, c.ID)
		w.must(err)
		var p record.Problem
		if got.Problem != nil {
			p = *got.Problem
		}
		if p.Text != step.text || !p.At.Equal(step.problem) || !got.Verified.Equal(step.verified) {
			t.Errorf("%s: %+v, verified %s", step.name, p, got.Verified)
		}
	}
	w.must(w.NoteProblem(w.ctx, app, "crd_none", nil))
	w.must(w.store.DeleteCredential(w.ctx, app, c.ID)) // behind its back, as it may be between looking and writing
	w.must(w.NoteProblem(w.ctx, app, c.ID, kinds(provider.Throttled, "", "x")))
}

// TestRenewed: who waits for a credential is told when it may be another one.
func TestRenewed(t *testing.T) {
	w := newWorld(t)
	told := func(what string, want int) {
		t.Helper()
		if len(w.told) != want {
			t.Errorf("%s: told of %q", what, w.told)
		}
		w.told = nil
	}
	c := w.create(spec(herald.VendorAPNs, "", "", "one"))
	told("made", 1)
	_, err := w.Create(w.ctx, app, spec(herald.VendorAPNs, "", "", "one"))
	if herald.CodeOf(err) != herald.CodeConflict {
		t.Error(err)
	}
	told("not made", 0)
	_, err = w.Update(w.ctx, app, c.ID, map[string]string{"note": "n"})
	w.must(err)
	told("changed", 1)
	if _, err := w.Update(w.ctx, app, c.ID, map[string]string{"user": ""}); err == nil {
		t.Error("a needed value is taken away")
	}
	told("not changed", 0)
	_, err = w.Verify(w.ctx, app, c.ID)
	w.must(err)
	told("verified", 1)
	w.set(func() {
		w.check = func(context.Context, map[string]string) error {
			return provider.Errorf(provider.Unauthorized, "", "", "no")
		}
	})
	_, err = w.Verify(w.ctx, app, c.ID)
	w.must(err)
	w.must(w.NoteProblem(w.ctx, app, c.ID, nil))
	told("refused, and then taken with a message", 0)
}
