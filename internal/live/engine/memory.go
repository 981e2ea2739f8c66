package engine

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
)

// NewMemory makes a kernel whose sockets are any connections of net, such as
// pipes, each with goroutines of its own. It is for tests with a clock of their
// own, in which nothing may wait for a real kernel.
//
// A write is done when the peer has read it, so that no buffer hides what
// waits.
func NewMemory() Kernel {
	m := &memory{}
	m.changed = sync.NewCond(&m.mu)
	return m
}

type memory struct {
	mu      sync.Mutex // guards what follows, also of the sockets and pollers
	changed *sync.Cond
	sockets []*memorySocket // by descriptor; nil where none is
}

type memorySocket struct {
	net.Conn
	kernel *memory
	poller *memoryPoller // that looks at it; nil for none

	read, write bool // what it looks for

	in     []byte // what has come
	inErr  error  // the end of it
	reads  bool   // a goroutine is reading
	out    int    // bytes that have been written and not been answered for
	outErr error
	writes bool // a goroutine is writing
}

func (m *memory) add(c net.Conn) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	fd := slices.Index(m.sockets, nil)
	if fd < 0 {
		fd = len(m.sockets)
		m.sockets = append(m.sockets, nil)
	}
	m.sockets[fd] = &memorySocket{Conn: c, kernel: m}
	return fd
}

// Read gives what a goroutine has read.
func (m *memory) Read(fd int, p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.sockets[fd].take(p)
	switch {
	case n > 0:
		return n, nil
	case err == nil:
		return 0, ErrAgain
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed):
		return 0, nil
	}
	return 0, err
}

// take gives what has come, and reads on; the lock is held.
func (s *memorySocket) take(p []byte) (int, error) {
	n := copy(p, s.in)
	s.in = s.in[n:]
	if n == 0 && s.inErr != nil {
		return 0, s.inErr
	}
	if len(s.in) == 0 && s.inErr == nil && !s.reads {
		s.reads = true
		go s.readAhead()
	}
	return n, nil
}

func (s *memorySocket) readAhead() {
	buf := make([]byte, readBytes)
	n, err := s.Conn.Read(buf)
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	s.reads, s.in = false, buf[:n]
	if s.inErr == nil {
		s.inErr = err
	}
	s.kernel.changed.Broadcast()
}

// Write answers for what was written since, or has a goroutine write.
func (m *memory) Write(fd int, frames [][]byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sockets[fd]
	switch n := s.out; {
	case n > 0:
		s.out = 0
		return n, nil
	case s.outErr != nil:
		return 0, s.outErr
	case !s.writes:
		s.writes = true
		go s.writeOut(slices.Concat(frames...))
	}
	return 0, ErrAgain
}

func (s *memorySocket) writeOut(b []byte) {
	n, err := s.Conn.Write(b)
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	s.writes, s.out, s.outErr = false, n, err
	s.kernel.changed.Broadcast()
}

// Shutdown ends writing, if the connection can do that alone.
func (m *memory) Shutdown(fd int) error {
	m.mu.Lock()
	s := m.sockets[fd]
	m.mu.Unlock()
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Cut ends both directions.
func (m *memory) Cut(fd int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sockets[fd]
	_ = s.Conn.Close()
	s.in, s.inErr = nil, io.EOF
	m.changed.Broadcast()
}

// Close frees the descriptor.
func (m *memory) Close(fd int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.sockets[fd].Conn.Close()
	m.sockets[fd] = nil
}

// Own takes any connection.
func (m *memory) Own(c net.Conn) (int, bool) { return m.add(c), true }

// Disown gives the connection back.
func (m *memory) Disown(fd int) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sockets[fd]
	m.sockets[fd] = nil
	return disowned{s}, nil
}

// disowned is a connection from which a goroutine may still be reading.
type disowned struct{ *memorySocket }

// Read gives what that goroutine reads. A deadline that has passed is no end.
func (d disowned) Read(p []byte) (int, error) {
	m := d.kernel
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		n, err := d.take(p)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			d.inErr = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
		m.changed.Wait()
	}
}

// Listen accepts from any listener.
func (m *memory) Listen(l net.Listener) (Acceptor, bool) { return memoryAcceptor{m, l}, true }

type memoryAcceptor struct {
	kernel   *memory
	listener net.Listener
}

func (a memoryAcceptor) Accept() (int, netip.AddrPort, error) {
	c, err := a.listener.Accept()
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	from, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // a pipe has none
	return a.kernel.add(c), from, nil
}

func (a memoryAcceptor) Close() error { return a.listener.Close() }

// NewPoller makes a poller.
func (m *memory) NewPoller() (Poller, error) { return &memoryPoller{kernel: m}, nil }

type memoryPoller struct {
	kernel *memory
	over   bool
}

func (p *memoryPoller) Add(fd int) error { return p.look(fd, p, true, false) }

func (p *memoryPoller) Watch(fd int, read, write bool) error { return p.look(fd, p, read, write) }

func (p *memoryPoller) Remove(fd int) error { return p.look(fd, nil, false, false) }

func (p *memoryPoller) look(fd int, by *memoryPoller, read, write bool) error {
	m := p.kernel
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sockets[fd]
	s.poller, s.read, s.write = by, read, write
	if read {
		_, _ = s.take(nil)
	}
	m.changed.Broadcast()
	return nil
}

func (p *memoryPoller) Wait(events []Event) int {
	m := p.kernel
	m.mu.Lock()
	defer m.mu.Unlock()
	for !p.over {
		n := 0
		for fd, s := range m.sockets {
			if s == nil || s.poller != p || n == len(events) {
				continue
			}
			e := Event{
				FD:    fd,
				Read:  s.inErr != nil || s.read && len(s.in) > 0,
				Write: s.write && (s.out > 0 || s.outErr != nil || !s.writes),
			}
			if e.Read || e.Write {
				events[n] = e
				n++
			}
		}
		if n > 0 {
			return n
		}
		m.changed.Wait()
	}
	return 0
}

func (p *memoryPoller) Close() {
	p.kernel.mu.Lock()
	defer p.kernel.mu.Unlock()
	p.over = true
	p.kernel.changed.Broadcast()
}
