//go:build unix

package server

import (
	"os"
	"syscall"
)

// lockExclusive takes the file for this process; the system lets go of it when
// the process ends, however it ends.
func lockExclusive(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
