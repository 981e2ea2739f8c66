//go:build !linux

package bench

import (
	"errors"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// processClock is for systems that tell the time of another process.
func processClock(int) (time.Duration, bool) { return 0, false }

// procStat is for systems that have one.
func procStat() ([]byte, error) { return nil, errors.ErrUnsupported }

// openFiles is for systems where load commands run.
func openFiles() int { return 0 }

// unprivileged is for systems where load commands run.
func unprivileged(*exec.Cmd, string) error { return nil }

// ownGroup and giveWay are for systems that change the priority of all threads
// of a process.
func ownGroup() *syscall.SysProcAttr { return nil }

func giveWay(int) {}

// stamped is a connection that is read with the time at which that was.
type stamped struct {
	net.Conn
	at time.Time
}

func stampArrivals(c net.Conn) (arrivals, error) { return &stamped{Conn: c}, nil }

func (s *stamped) last() time.Time { return s.at }

func (s *stamped) Read(p []byte) (n int, err error) {
	n, err = s.Conn.Read(p)
	s.at = time.Now()
	return n, err
}
