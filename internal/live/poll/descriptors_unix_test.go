//go:build unix

package poll_test

import "syscall"

// descriptors is how many files the process may have open.
func descriptors() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 1 << 20
	}
	return int(min(r.Cur, 1<<20))
}
