//go:build !linux

package bench

import "time"

// processClock is for systems that tell the time of another process.
func processClock(int) (time.Duration, bool) { return 0, false }

// openFiles is for systems where load commands run.
func openFiles() int { return 0 }
