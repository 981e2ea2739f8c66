package server

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockExclusive takes the file for this process; the system lets go of it when
// the process ends, however it ends.
func lockExclusive(f *os.File) error {
	flags := uint32(windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY)
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
}
