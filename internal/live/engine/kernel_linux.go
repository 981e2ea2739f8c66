package engine

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollKernel is Linux. Calls on sockets do not block, so they are made without
// telling Go's scheduler, which would cost more than some of them take.
type epollKernel struct{}

// NewKernel gives the kernel of this system; the error is that it has none that
// the engine can use.
func NewKernel() (Kernel, error) { return epollKernel{}, nil }

func (epollKernel) Read(fd int, p []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch e {
		case 0:
			return int(n), nil
		case syscall.EAGAIN:
			return 0, ErrAgain
		case syscall.EINTR:
		default:
			return 0, os.NewSyscallError("read", e)
		}
	}
}

// maxVector is how many frames are given to the kernel at once.
const maxVector = 64

func (epollKernel) Write(fd int, frames [][]byte) (int, error) {
	var iov [maxVector]unix.Iovec
	n := 0
	for _, f := range frames {
		if n == maxVector {
			break
		}
		if len(f) > 0 {
			iov[n].Base = unsafe.SliceData(f)
			iov[n].SetLen(len(f))
			n++
		}
	}
	msg := unix.Msghdr{Iov: &iov[0]}
	for {
		var sent uintptr
		var e syscall.Errno
		if n == 1 {
			sent, _, e = syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(iov[0].Base)), uintptr(iov[0].Len), syscall.MSG_NOSIGNAL, 0, 0)
		} else {
			msg.SetIovlen(n)
			sent, _, e = syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), syscall.MSG_NOSIGNAL)
		}
		switch e {
		case 0:
			return int(sent), nil
		case syscall.EAGAIN:
			return 0, ErrAgain
		case syscall.EINTR:
		default:
			return 0, os.NewSyscallError("send", e)
		}
	}
}

func (epollKernel) Shutdown(fd int) error {
	return os.NewSyscallError("shutdown", syscall.Shutdown(fd, syscall.SHUT_WR))
}

func (epollKernel) Close(fd int) { _ = syscall.Close(fd) }

// poller is an epoll instance. Go's own poller waits for it, so that a loop
// that waits is a parked goroutine and not a blocked thread.
type poller struct {
	fd   int
	file *os.File
	raw  syscall.RawConn
	once sync.Once
	list []syscall.EpollEvent
}

func (epollKernel) NewPoller() (Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{fd: fd, file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("engine: waiting for epoll: %w", err)
	}
	return p, nil
}

func (p *poller) ctl(op, fd int, events uint32) error {
	e := unix.EpollEvent{Events: events, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, op, fd, &e))
}

func (p *poller) Add(fd int) error { return p.ctl(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) }

func (p *poller) Watch(fd int, read, write bool) error {
	var events uint32
	if read {
		events |= unix.EPOLLIN
	}
	if write {
		events |= unix.EPOLLOUT
	}
	return p.ctl(unix.EPOLL_CTL_MOD, fd, events)
}

func (p *poller) Remove(fd int) error { return p.ctl(unix.EPOLL_CTL_DEL, fd, 0) }

// Wait looks without blocking, and parks until there is something.
func (p *poller) Wait(events []Event) int {
	if len(p.list) < len(events) {
		p.list = make([]syscall.EpollEvent, len(events))
	}
	n := 0
	err := p.raw.Read(func(fd uintptr) bool {
		r, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&p.list[0])), uintptr(len(events)), 0, 0, 0)
		if e != 0 {
			return e != syscall.EINTR
		}
		n = int(r)
		return n > 0
	})
	if err != nil {
		return 0
	}
	for i, e := range p.list[:n] {
		// An error or a hang-up is found by reading or by writing.
		ended := e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
		events[i] = Event{FD: int(e.Fd), Read: ended || e.Events&unix.EPOLLIN != 0, Write: ended || e.Events&unix.EPOLLOUT != 0}
	}
	return n
}

func (p *poller) Close() { p.once.Do(func() { _ = p.file.Close() }) }

func (epollKernel) Cut(fd int) { _ = syscall.Shutdown(fd, syscall.SHUT_RDWR) }
