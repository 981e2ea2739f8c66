//go:build unix

package server

import "syscall"

// reserve is how many descriptors are kept for files and API requests.
const reserve = 256

// connections is how many live connections to take: as configured, or as many
// as the system has descriptors for, less a reserve.
func connections(configured int) int {
	if configured > 0 {
		return configured
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil || r.Cur > 1<<30 {
		return 0
	}
	return max(int(r.Cur)-reserve, reserve)
}
