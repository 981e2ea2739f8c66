package vault

import (
	"context"
	"errors"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// VerifyTimeout is how long a vendor may take to judge a credential.
const VerifyTimeout = 20 * time.Second

// Verify asks the vendor whether it takes a credential, without reaching
// anybody, and keeps what it says: see Verified and Problem of what it gives.
// The error is of the question, such as not_found, or conflict where a vendor
// cannot be asked.
func (v *Vault) Verify(ctx context.Context, app herald.AppKey, id string) (record.Credential, error) {
	v.mu.Lock()
	c := v.at(app, id)
	if c == nil {
		v.mu.Unlock()
		return v.Get(app, id)
	}
	version := c.Updated
	lease, err := v.lend(c)
	if err == nil {
		defer lease.Release()
		checker, can := lease.Provider.(provider.Checker)
		if !can {
			return lease.Credential, herald.Errorf(herald.CodeConflict, "Send a message with it; the trace of the message has what the vendor answered.",
				"a credential for %s cannot be verified, because the vendor has no call that reaches nobody", lease.Credential.Vendor)
		}
		limit, cancel := context.WithTimeout(ctx, VerifyTimeout)
		defer cancel()
		err = checker.Check(limit)
		if ctx.Err() != nil {
			return lease.Credential, ctx.Err() // the caller has left, which says nothing of the credential
		}
		if err != nil && limit.Err() != nil && !errors.As(err, new(*provider.Error)) {
			err = provider.Lost(context.DeadlineExceeded, false)
		}
	}
	var e *provider.Error
	if err != nil {
		e = asError(err)
	}
	out, err := v.note(ctx, app, id, version, e)
	if err == nil && e == nil {
		v.c.Renewed(app, out.Vendor)
	}
	return out, err
}

// NoteProblem keeps what a vendor has said against a credential, or, with nil,
// that it has taken it. It may be called for each message: what is known already
// is not written again. A credential that is not there any more has no problem.
func (v *Vault) NoteProblem(ctx context.Context, app herald.AppKey, id string, e *provider.Error) error {
	c, err := v.get(app, id)
	if err != nil || known(&c, e) {
		return nil
	}
	_, err = v.note(ctx, app, id, c.Updated, e)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return nil
	}
	return err
}

// known reports whether nothing new is said of a credential.
func known(c *record.Credential, e *provider.Error) bool {
	switch p := c.Problem; {
	case e == nil:
		return p == nil && !c.Verified.IsZero()
	case p == nil || p.Kind != string(e.Kind) || p.Code != e.Code:
		return false
	default:
		return e.Code != "" || p.Text == e.Text // the text of a code may hold a time
	}
}

// note writes down what a vendor says of one version of a credential.
func (v *Vault) note(ctx context.Context, app herald.AppKey, id string, version time.Time, e *provider.Error) (record.Credential, error) {
	v.change.Lock()
	defer v.change.Unlock()
	now := v.now()
	current := false
	out, err := v.c.Store.UpdateCredential(ctx, app, id, func(c *record.Credential) error {
		if current = c.Updated.Equal(version); !current {
			return nil // it is another one now, of which nothing was said
		}
		if e == nil {
			c.Verified, c.Problem = now, nil
		} else {
			c.Problem = &record.Problem{Kind: string(e.Kind), Code: e.Code, Text: e.Text, Remedy: e.Remedy, At: now}
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	if e != nil && current {
		v.c.Log.WarnContext(ctx, "vault: a vendor does not take a credential", "app", app, "credential", id, "vendor", out.Vendor, "error", e)
	}
	v.shut(v.replace(out))
	out.Sealed = nil
	return out, nil
}
