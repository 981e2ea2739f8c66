package v1

import "github.com/herald-push/herald/internal/admission"

// limits are the families of token buckets that requests are counted in.
type limits struct {
	keys, devices       *admission.Buckets // callers with valid credentials
	strangers, failures *admission.Buckets // by address: without credentials, with wrong ones
}

func newLimits(c Config) limits {
	if c.Failures == nil {
		c.Failures = admission.NewFailures(c.Limits.AddressRate)
	}
	if c.Keys == nil {
		c.Keys = admission.NewBuckets(c.Limits.KeyRate)
	}
	if c.Strangers == nil {
		c.Strangers = admission.NewBuckets(c.Limits.AddressRate)
	}
	return limits{keys: c.Keys, devices: admission.NewBuckets(c.Limits.DeviceRate), strangers: c.Strangers, failures: c.Failures.Buckets()}
}

// take counts requests, tells the caller what is left, and refuses them if too
// little was.
func (l limits) take(w *writer, b *admission.Buckets, key string, n int) error {
	var err error
	w.left, err = b.Spend(key, n)
	w.told = true
	return err
}

// has refuses the request if nothing is left, without counting it.
func (l limits) has(w *writer, b *admission.Buckets, key string) error { return l.take(w, b, key, 0) }

// address names the bucket of the place that a request came from.
func (a *API) address(x *exchange) string {
	if x.from == "" {
		x.from = admission.AddressKey(a.cfg.Address(x.r))
	}
	return x.from
}
