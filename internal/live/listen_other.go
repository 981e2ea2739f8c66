//go:build !linux

package live

import "time"

// setUserTimeout does nothing: the system has no such option, and the
// keep-alive and the write deadline must do.
func setUserTimeout(uintptr, time.Duration) error { return nil }
