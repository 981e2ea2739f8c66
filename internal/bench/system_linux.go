package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
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

// procStat tells how the processors spent their time; see stolen.
func procStat() ([]byte, error) { return os.ReadFile("/proc/stat") }

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

// stamped is a TCP connection that is read with the time stamps of the kernel:
// SO_TIMESTAMPNS of socket(7), which stands for the last segment of a read.
type stamped struct {
	raw syscall.RawConn
	at  time.Time
	oob [64]byte
}

func stampArrivals(c net.Conn) (arrivals, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, errors.New("bench: only of TCP it is known when bytes came")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	return &stamped{raw: raw}, errors.Join(err, set)
}

func (s *stamped) last() time.Time { return s.at }

func (s *stamped) Read(p []byte) (n int, err error) {
	var oobn int
	var failed error
	err = s.raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, failed = unix.Recvmsg(int(fd), p, s.oob[:], 0)
		return !errors.Is(failed, unix.EAGAIN)
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, os.NewSyscallError("recvmsg", failed)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	s.at = time.Now() // of what has no stamp
	list, err := unix.ParseSocketControlMessage(s.oob[:oobn])
	if err != nil {
		return n, err
	}
	for _, m := range list {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) == 16 {
			s.at = time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return n, nil
}
