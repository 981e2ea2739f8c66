package engine

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptor accepts from a listener of net. Its sockets inherit the options that
// [live.Listen] sets.
type acceptor struct {
	listener net.Listener
	file     *os.File // a copy of its descriptor, because net lets nobody else accept
	raw      syscall.RawConn
	reserve  int // a descriptor to give up when there is no other; -1 for none
}

func (epollKernel) Listen(l net.Listener) (Acceptor, bool) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, false
	}
	f, err := tcp.File()
	if err != nil {
		return nil, false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, false
	}
	a := &acceptor{listener: l, file: f, raw: raw}
	a.hold()
	return a, true
}

// hold takes the reserve descriptor.
func (a *acceptor) hold() {
	fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	a.reserve = fd
}

func (a *acceptor) Accept() (int, netip.AddrPort, error) {
	for {
		fd, sa := -1, unix.Sockaddr(nil)
		var failed error
		err := a.raw.Read(func(l uintptr) bool {
			fd, sa, failed = unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
			return !errors.Is(failed, unix.EAGAIN)
		})
		switch {
		case err != nil:
			a.drop()
			return -1, netip.AddrPort{}, net.ErrClosed
		case failed == nil:
			if a.reserve < 0 {
				a.hold()
			}
			return fd, addrPort(sa), nil
		case errors.Is(failed, unix.EMFILE) || errors.Is(failed, unix.ENFILE):
			return -1, netip.AddrPort{}, a.refuse()
		case errors.Is(failed, unix.EINTR) || errors.Is(failed, unix.ECONNABORTED):
		case errors.Is(failed, unix.ENOBUFS) || errors.Is(failed, unix.ENOMEM):
			return -1, netip.AddrPort{}, ErrFull
		default:
			return -1, netip.AddrPort{}, os.NewSyscallError("accept4", failed)
		}
	}
}

// refuse gives up the reserve to take a client off the queue of the listener
// and cut it, so that it knows at once instead of waiting for an answer.
func (a *acceptor) refuse() error {
	if a.reserve < 0 {
		a.hold()
		return ErrFull
	}
	a.drop()
	_ = a.raw.Control(func(l uintptr) {
		if fd, _, err := unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC); err == nil {
			_ = unix.Close(fd)
		}
	})
	a.hold()
	return ErrFull
}

// Close ends Accept, and closes the listener.
func (a *acceptor) Close() error { return errors.Join(a.file.Close(), a.listener.Close()) }

func (a *acceptor) drop() {
	if a.reserve >= 0 {
		_ = unix.Close(a.reserve)
		a.reserve = -1
	}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// Own takes a copy of the descriptor and closes the connection, because Go's
// poller looks at its own as long as that is open.
func (epollKernel) Own(c net.Conn) (int, bool) {
	tcp, ok := c.(*net.TCPConn)
	if b, is := c.(interface{ TCPConn() (*net.TCPConn, bool) }); !ok && is {
		tcp, ok = b.TCPConn()
	}
	if !ok {
		return -1, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, false
	}
	fd := -1
	if raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }) != nil || err != nil {
		return -1, false
	}
	_ = c.Close()
	return fd, true
}

func (epollKernel) Disown(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer func() { _ = f.Close() }()
	return net.FileConn(f)
}
