package engine

import (
	"errors"
	"net"
	"net/netip"
)

// Kernel is what the loops need of an operating system: sockets that never
// block, and news of which are ready. The one of Linux is epoll; tests have one
// in memory.
type Kernel interface {
	Sockets
	// NewPoller makes what one loop waits with.
	NewPoller() (Poller, error)
	// Listen accepts from a listener; false if that is none of the kernel's own.
	Listen(l net.Listener) (Acceptor, bool)
	// Own takes the socket of a connection, which is gone after it; false, and
	// nothing is done, if it is none of the kernel's own.
	Own(c net.Conn) (fd int, ok bool)
	// Disown makes a connection of a socket, whose descriptor is gone after it.
	Disown(fd int) (net.Conn, error)
}

// Acceptor accepts connections.
type Acceptor interface {
	// Accept waits for a connection. [ErrFull] means that there is one and no
	// descriptor for it; it has been cut. The error is net.ErrClosed after Close.
	Accept() (fd int, from netip.AddrPort, err error)
	// Close ends Accept, and closes the listener. It may be called again.
	Close() error
}

// ErrFull means that the process has no descriptor left.
var ErrFull = errors.New("engine: no file descriptor is left")

// Sockets reads and writes sockets by their descriptor.
type Sockets interface {
	// Read reads what is there. 0 without an error is the end; [ErrAgain] means
	// that nothing is there.
	Read(fd int, p []byte) (int, error)
	// Write writes frames, as far as there is room; [ErrAgain] means that there
	// is none. What it reports to have written may be less than all.
	Write(fd int, frames [][]byte) (int, error)
	// Shutdown tells the peer that nothing more comes.
	Shutdown(fd int) error
	// Cut ends a connection in both directions, so that it is ready to be read
	// and at its end.
	Cut(fd int)
	// Close frees the descriptor.
	Close(fd int)
}

// Batcher is an add-on of a Kernel that can write to many sockets at once.
type Batcher interface {
	// NewBatch makes what one loop writes with. The error says why there is none.
	NewBatch() (Batch, error)
}

// Batch writes to many sockets in one call of the kernel. One goroutine uses it.
type Batch interface {
	// Add queues what is to be written to a socket, which has nothing queued;
	// false if there is no room. It may take only the first of the frames. The
	// bytes must not change, and the socket stays open, until Write is done.
	Add(fd int, frames [][]byte, user int) (taken int, ok bool)
	// Write writes what is queued and calls short for each socket that did not
	// take all of it, as Sockets.Write would say it. An error is the end of the
	// batch; those whose bytes may have been written in part are told of it.
	Write(short func(user, n int, err error)) error
	// Close gives it back.
	Close()
}

// Poller tells which sockets are ready.
type Poller interface {
	// Add begins to look whether a socket can be read.
	Add(fd int) error
	// Watch sets whether to look for reading and for room to write.
	Watch(fd int, read, write bool) error
	// Remove ends that. It is not needed before Sockets.Close.
	Remove(fd int) error
	// Wait waits until a socket is ready and fills events with the first. It
	// answers 0 when the poller is closed.
	Wait(events []Event) int
	// Close ends Wait, which one goroutine calls. It may be called before Wait.
	Close()
}

// Event is that a socket is ready: to be read, which includes that it has
// ended, or to be written.
type Event struct {
	FD          int
	Read, Write bool
}

// ErrAgain means that a call would have to wait.
var ErrAgain = errors.New("engine: the socket is not ready")
