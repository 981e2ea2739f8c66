package record

import (
	"time"

	"github.com/herald-push/herald"
)

// Credential is what an app has of a vendor: with it messages are handed over.
type Credential struct {
	App    herald.AppKey `json:"-"`
	ID     string        `json:"-"`
	Vendor herald.Vendor `json:"vendor"`
	// Environment is that of the addresses it is for; "" for those that have no
	// credential of their own.
	Environment string `json:"environment,omitempty"`
	// Name tells several of a vendor apart, such as the robots of chat rooms; ""
	// is the one that is used where none is named.
	Name string `json:"name,omitempty"`
	// Sealed are its values, a JSON object of strings; see internal/vault.
	Sealed []byte `json:"sealed"`
	// Shown are the values that are no secrets.
	Shown   map[string]string `json:"shown,omitempty"`
	Created time.Time         `json:"created"`
	Updated time.Time         `json:"updated"`
	// Verified is when the vendor last took it; Problem is why it did not since.
	Verified time.Time `json:"verified,omitzero"`
	Problem  *Problem  `json:"problem,omitempty"`
}

// Place is what its sealed values are bound to.
func (c *Credential) Place() string { return "credential " + string(c.App) + " " + c.ID }

// Told is what the audit log has of it.
func (c *Credential) Told() any {
	return struct {
		Vendor      herald.Vendor     `json:"vendor"`
		Environment string            `json:"environment,omitempty"`
		Name        string            `json:"name,omitempty"`
		Values      map[string]string `json:"values,omitempty"`
	}{c.Vendor, c.Environment, c.Name, c.Shown}
}

// Problem is what a vendor has said against a credential or a message, in the
// words of provider.Error.
type Problem struct {
	Kind   string    `json:"kind"`
	Code   string    `json:"code,omitempty"`
	Text   string    `json:"text"`
	Remedy string    `json:"remedy,omitempty"`
	At     time.Time `json:"at"`
}
