//go:build !unix

package server

// connections is how many live connections to take; 0 is no limit.
func connections(configured int) int { return configured }
