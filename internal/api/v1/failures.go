package v1

import (
	"errors"
	"net/netip"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/edge"
)

// Failures counts wrong credentials by address, for the API and for whatever
// else checks credentials: who guesses gains nothing by trying in several
// places. It is safe for use by several goroutines; a nil *Failures counts
// nothing.
type Failures struct{ buckets *buckets }

// NewFailures allows so many a second, with bursts of twice as many; 0 means no
// limit.
func NewFailures(perSecond float64) *Failures { return &Failures{newBuckets(perSecond)} }

// Allow tells whether credentials from an address may be checked now. The error
// says when they may.
func (f *Failures) Allow(from netip.Addr) error {
	if f == nil {
		return nil
	}
	_, err := f.buckets.spend(addressKey(edge.Site(from)), 0)
	if e := (*herald.Error)(nil); errors.As(err, &e) {
		e.Message, e.Remedy = "too many wrong credentials came from this address", "Wait for the seconds in Retry-After, and do not repeat a token that was refused: register again."
	}
	return err
}

// Wrong counts credentials that were refused.
func (f *Failures) Wrong(from netip.Addr) {
	if f != nil {
		_, _ = f.buckets.spend(addressKey(edge.Site(from)), 1)
	}
}
