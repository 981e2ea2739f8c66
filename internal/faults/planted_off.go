//go:build !planted

package faults

// Planted reports whether a defect is to act now.
func Planted(string) bool { return false }

// PlantedIn reports whether a defect is to act on something, always the same
// way for the same thing.
func PlantedIn(string, []byte) bool { return false }
