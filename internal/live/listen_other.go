//go:build !linux

package live

import "time"

// setOptions does nothing: the system has no such option, and the
// keep-alive and the write deadline must do.
func setOptions(uintptr, time.Duration) error { return nil }
