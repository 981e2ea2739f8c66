package provider

import "github.com/herald-push/herald/internal/record"

// Lease is a provider that is open, and stays so until Release is called.
type Lease struct {
	Provider   Provider
	Driver     *Driver
	Credential record.Credential // without its secrets
	Release    func()
}
