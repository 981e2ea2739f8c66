package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// processClock reads the clock of the processor time of a process, of all its
// threads, those among them that have ended. It counts nanoseconds, where
// /proc/PID/stat has ticks. The number of the clock is made as
// clock_getcpuclockid(3) does it.
func processClock(pid int) (time.Duration, bool) {
	const scheduler = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &ts); err != nil {
		return 0, false
	}
	return time.Duration(ts.Nano()), true
}

// openFiles is how many descriptors a process may have at most; 0 where that is not known.
func openFiles() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || l.Max > 1<<30 {
		return 0
	}
	return int(l.Max)
}

// nobody is the user and group without rights, by convention.
const nobody = 65534

// unprivileged has a command run without the rights of root, and own its folder.
func unprivileged(cmd *exec.Cmd, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return errors.Join(os.Chmod(folder, 0o700), os.Chown(folder, nobody, nobody)) //nolint:gosec // a folder needs the right to be entered
}

// ownGroup starts a process as the first of a group, for giveWay.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// lowest is the priority of who gives way; see nice(1).
const lowest = 19

// giveWay has all threads of a process that is a group give way to every other
// process: its priority is the lowest, and its policy that of sched(7) for work
// that runs only where nothing else wants to. By its priority alone it would keep
// a processor for some milliseconds each time that somebody else has something to
// do. What fails leaves it competing.
func giveWay(pid int) {
	_ = unix.Setpriority(unix.PRIO_PGRP, pid, lowest) // of a process alone the kernel changes one thread
	idle := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE, Nice: lowest}
	seen := map[int]bool{}
	for before := -1; len(seen) > before; { // a thread that was begun meanwhile by one that had not given way
		before = len(seen)
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		for _, t := range tasks {
			if tid, err := strconv.Atoi(t.Name()); err == nil && !seen[tid] {
				seen[tid] = true
				_ = unix.SchedSetAttr(tid, &idle, 0)
			}
		}
	}
}
