package smpp

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/provider"
)

// Open reports whether the provider has a session that it would use.
func Open(p *Provider) bool { return p.opened() != nil }

// Hurry has parts submitted again at once.
func Hurry(p *Provider) { p.again = time.Microsecond }

// At makes a provider with a clock.
func At(t *testing.T, c provider.Config) *Provider {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.(*Provider)
}
