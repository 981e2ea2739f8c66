//go:build !linux

package bench

import (
	"os/exec"
	"syscall"
	"time"
)

// processClock is for systems that tell the time of another process.
func processClock(int) (time.Duration, bool) { return 0, false }

// openFiles is for systems where load commands run.
func openFiles() int { return 0 }

// unprivileged is for systems where load commands run.
func unprivileged(*exec.Cmd, string) error { return nil }

// ownGroup and giveWay are for systems that change the priority of all threads
// of a process.
func ownGroup() *syscall.SysProcAttr { return nil }

func giveWay(int) {}
