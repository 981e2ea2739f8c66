package admission

import (
	"errors"
	"net/netip"

	"github.com/herald-push/herald"
)

// Failures counts wrong credentials by address, for every API and whatever else
// checks credentials: who guesses gains nothing by trying in several
// places. It is safe for use by several goroutines; a nil *Failures counts
// nothing.
type Failures struct{ buckets *Buckets }

// NewFailures allows so many a second, with bursts of twice as many; 0 means no
// limit.
func NewFailures(perSecond float64) *Failures { return &Failures{NewBuckets(perSecond)} }

// Allow tells whether credentials from an address may be checked now. The error
// says when they may.
func (f *Failures) Allow(from netip.Addr) error {
	if f == nil {
		return nil
	}
	_, err := f.buckets.Spend(AddressKey(from), 0)
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		e.Message, e.Remedy = "too many wrong credentials came from this address", "Wait for the seconds in Retry-After, and do not repeat a token that was refused: register again."
	}
	return err
}

// Wrong counts credentials that were refused.
func (f *Failures) Wrong(from netip.Addr) {
	if f != nil {
		_, _ = f.buckets.Spend(AddressKey(from), 1)
	}
}

// Buckets are those behind it, by [AddressKey].
func (f *Failures) Buckets() *Buckets {
	if f == nil {
		return nil
	}
	return f.buckets
}
