package server

import (
	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
)

// environments tells of each vendor which environments its addresses may name,
// and whether there is a driver for it.
func environments(drivers []provider.Driver) func(herald.Vendor) ([]string, bool) {
	of := make(map[herald.Vendor][]string, len(drivers))
	for _, d := range drivers {
		of[d.Name] = d.Environments
	}
	return func(v herald.Vendor) ([]string, bool) {
		list, known := of[v]
		return list, known
	}
}
