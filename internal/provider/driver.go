package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
)

// Driver is a kind of provider: what stands in the one list of them.
type Driver struct {
	// Name is the vendor, as in the address of a device and the options of a
	// message.
	Name herald.Vendor
	// Fields are what a credential consists of, in the order of a form.
	Fields []Field
	// Environments are those that an address of the vendor may name, the default
	// first; nil if there is only one.
	Environments []string
	// Idempotent tells that the vendor shows a message once that it was given
	// twice, so that one whose fate is not known can be sent again.
	Idempotent bool
	// Rate bounds the calls with one credential; nil if the vendor does not say
	// how many it takes. Who sends keeps to it, not the provider.
	Rate *Rate
	// New makes a provider. The error is a *herald.Error about a field.
	New func(Config) (Provider, error)
	// Complete adds values that were left out and can be made, such as keys; nil if
	// there are none. Whoever takes a credential in calls it before Check, and keeps
	// what it made. The error is a *herald.Error about a field.
	Complete func(values map[string]string) error
}

// Rate is how many calls a vendor takes.
type Rate struct {
	Calls int
	Per   time.Duration
	// Digest tells that several messages can be made one where they would be too
	// many: the provider is a [Digester].
	Digest bool
}

// Field is one value of a credential.
type Field struct {
	Name   string
	Secret bool // never shown again
	// Needed tells that it may not be empty.
	Needed bool
	Help   string
}

// Config is what a provider is made of. Its zero values are defaults, but for
// the needed values.
type Config struct {
	// Values are the fields of the credential by name.
	Values map[string]string
	// Environment is the only one that the credential is for; "" for all of them.
	// It says where Check asks; a message goes where its address says.
	Environment string
	// Egress says where calls may go.
	Egress egress.Config
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Check checks values against the fields of a driver: those that are needed are
// there, and no other.
func (d *Driver) Check(values map[string]string) error {
	known := map[string]bool{}
	names := make([]string, 0, len(d.Fields))
	for _, f := range d.Fields {
		known[f.Name] = true
		names = append(names, f.Name)
		if f.Needed && values[f.Name] == "" {
			return herald.Invalid(f.Name, f.Help, "%s needs %s", d.Name, f.Name)
		}
	}
	for name := range values {
		if !known[name] {
			return herald.Invalid(name, "Use "+strings.Join(names, ", ")+".", "a credential for %s has no %.40q", d.Name, name)
		}
	}
	return nil
}

// Clock gives the time by the clock of a configuration.
func (c *Config) Clock() func() time.Time {
	if c.Now != nil {
		return c.Now
	}
	return time.Now
}

// CollapseName makes what a vendor is to collapse by out of a message's key, at
// most limit bytes of letters, digits, - and _: a key that is longer or has others
// becomes its hash. Without a key it is the ID, so that a message that is given
// twice is shown once.
func CollapseName(m *Message, limit int) string {
	if m.CollapseKey == "" {
		return m.ID.String()
	}
	const plainOnes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	plain := strings.Trim(m.CollapseKey, plainOnes) == ""
	if plain && len(m.CollapseKey) <= limit {
		return m.CollapseKey
	}
	sum := sha256.Sum256([]byte(m.CollapseKey))
	name := base64.RawURLEncoding.EncodeToString(sum[:])
	return name[:min(limit, len(name))]
}

// TTL is how long the message is still of use, at least 0, in whole seconds and
// rounded up.
func (m *Message) TTL(now time.Time) time.Duration {
	if m.Expires.IsZero() {
		return 0
	}
	left := max(0, m.Expires.Sub(now))
	return (left + time.Second - 1).Truncate(time.Second)
}

// BlameClock adds to an error that the clock of this machine differs from the
// vendor's by more than a minute, as far as its answer tells: signatures carry a
// time, so a wrong clock looks like a wrong key.
func (e *Error) BlameClock(answer http.Header, now time.Time) *Error {
	at, err := http.ParseTime(answer.Get("Date"))
	if err != nil || at.Sub(now).Abs() <= time.Minute {
		return e
	}
	word := "behind"
	if now.After(at) {
		word = "ahead of"
	}
	e.Text += fmt.Sprintf("; the clock of this machine is %s %s that of the vendor", now.Sub(at).Abs().Round(time.Second), word)
	e.Remedy = "Set the clock, with NTP."
	return e
}
