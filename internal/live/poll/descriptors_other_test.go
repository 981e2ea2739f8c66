//go:build !unix

package poll_test

// descriptors is how many files the process may have open: no number here.
func descriptors() int { return 1 << 20 }
