package floor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/herald-push/herald/internal/bench/swarm"
	"github.com/herald-push/herald/internal/wire"
)

// server is the state of a floor. One goroutine has it.
type server struct {
	ep, listener int
	in           int
	clients      []int32          // descriptors of upgraded connections, by the client's number; -1: gone
	numbers      map[int32]int32  // and their numbers
	parts        map[int32][]byte // requests that are not all there
	buf, out     []byte
	stdin        []byte
	ended        bool
}

// Run serves until the input, a pipe with commands, ends.
func Run(in *os.File, out io.Writer) error {
	s := &server{in: int(in.Fd()), numbers: map[int32]int32{}, parts: map[int32][]byte{}, buf: make([]byte, 1<<20)}
	address, err := s.listen()
	if err != nil {
		return err
	}
	defer func() {
		_ = errors.Join(unix.Close(s.ep), unix.Close(s.listener)) // the process ends
		for fd := range s.numbers {
			_ = unix.Close(int(fd))
		}
	}()
	if err := tell(out, Answer{Address: address}); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 512)
	for !s.ended {
		n, err := unix.EpollWait(s.ep, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, e := range events[:n] {
			switch int(e.Fd) {
			case s.in:
				err = s.command(out)
			case s.listener:
				err = s.accept()
			default:
				err = s.serve(e.Fd)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func tell(out io.Writer, a Answer) error {
	b, err := json.Marshal(a)
	if err == nil {
		_, err = out.Write(append(b, '\n'))
	}
	return err
}

// listen listens on a free port. What it accepts inherits TCP_NODELAY.
func (s *server) listen() (address string, err error) {
	if s.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return "", os.NewSyscallError("epoll_create1", err)
	}
	if s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return "", os.NewSyscallError("socket", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(s.listener, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.Bind(s.listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}),
		unix.Listen(s.listener, 4096), unix.SetNonblock(s.in, true), s.watch(s.in), s.watch(s.listener))
	if err != nil {
		return "", err
	}
	at, err := unix.Getsockname(s.listener)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	v4, ok := at.(*unix.SockaddrInet4)
	if !ok {
		return "", errors.New("floor: the listener has no IPv4 address")
	}
	return "127.0.0.1:" + strconv.Itoa(v4.Port), nil
}

func (s *server) watch(fd int) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}))
}

// accept takes all connections that wait.
func (s *server) accept() error {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return os.NewSyscallError("accept4", err)
		}
		if err := s.watch(fd); err != nil {
			return err
		}
	}
}

// serve reads requests.
func (s *server) serve(fd int32) error {
	n, err := unix.Read(int(fd), s.buf)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil || n == 0 {
		s.close(fd)
		return nil
	}
	b := s.buf[:n]
	if part, ok := s.parts[fd]; ok {
		b = append(part, b...)
		delete(s.parts, fd)
	}
	if _, ok := s.numbers[fd]; ok {
		return nil // a frame: nobody looks at it
	}
	for len(b) > 0 {
		r, n, err := read(b)
		if err == nil && n > 0 {
			err = s.answer(fd, r)
		}
		if err != nil {
			s.close(fd)
			return err
		}
		if n == 0 {
			s.parts[fd] = bytes.Clone(b)
			return nil
		}
		b = b[n:]
	}
	return nil
}

func (s *server) close(fd int32) {
	if number, ok := s.numbers[fd]; ok {
		s.clients[number] = -1
	}
	delete(s.numbers, fd)
	delete(s.parts, fd)
	_ = unix.Close(int(fd))
}

const (
	accepted = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
	maxIndex = 1 << 20
)

func (s *server) answer(fd int32, r request) error {
	switch {
	case !r.post:
		if r.number < 0 || r.number >= maxIndex {
			return errRequest
		}
		for len(s.clients) <= r.number {
			s.clients = append(s.clients, -1)
		}
		s.clients[r.number], s.numbers[fd] = fd, int32(r.number)
		s.out = upgraded(s.out[:0], r.key)
		return write(fd, s.out)
	case r.number >= 0:
		if err := s.pass(r.number, r.body); err != nil {
			return err
		}
		s.out = append(s.out[:0], accepted...)
		return write(fd, s.out)
	}
	return s.batch(fd, r.body)
}

// pass writes a payload to one client.
func (s *server) pass(number int, payload []byte) error {
	if number >= len(s.clients) || s.clients[number] < 0 {
		return fmt.Errorf("floor: client %d is not connected", number)
	}
	s.out = wire.AppendFrame(s.out[:0], wire.Text, payload)
	return write(s.clients[number], s.out)
}

// batch passes on the lines of a body, each a number, a space and a payload, and answers a line for each.
func (s *server) batch(fd int32, body []byte) error {
	n := 0
	for text := range bytes.SplitSeq(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")) {
		number, payload, _ := bytes.Cut(text, []byte(" "))
		to, err := strconv.Atoi(string(number))
		if err != nil {
			return errRequest
		}
		if err := s.pass(to, payload); err != nil {
			return err
		}
		n++
	}
	s.out = fmt.Appendf(s.out[:0], "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 4*n)
	for range n {
		s.out = append(s.out, "202\n"...)
	}
	return write(fd, s.out)
}

// command reads a command and does it.
func (s *server) command(out io.Writer) error {
	n, err := unix.Read(s.in, s.buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return nil
	}
	if n <= 0 {
		s.ended = true
		return nil
	}
	s.stdin = append(s.stdin, s.buf[:n]...)
	at := bytes.IndexByte(s.stdin, '\n')
	if at < 0 {
		return nil
	}
	var c Command
	if err := json.Unmarshal(s.stdin[:at], &c); err != nil {
		return err
	}
	s.stdin = s.stdin[:copy(s.stdin, s.stdin[at+1:])]
	var a Answer
	if a.Writes, err = s.broadcast(c); err != nil {
		a.Error = err.Error()
	}
	return tell(out, a)
}

// broadcast writes frames to all clients, one after the other.
func (s *server) broadcast(c Command) (writes int, err error) {
	var frame []byte
	for i := range uint32(c.Count) {
		payload := swarm.Mark{Kind: swarm.Broadcast, Seq: c.First + i, Sent: time.Now().UnixNano()}.Append(nil, c.Size)
		frame = wire.AppendFrame(frame[:0], wire.Text, payload)
		for _, fd := range s.clients {
			if fd < 0 {
				continue
			}
			if err := write(fd, frame); err != nil {
				return writes, err
			}
			writes++
		}
	}
	return writes, nil
}

// write writes to a socket. The call never blocks, so that the scheduler need
// not hear of it.
func write(fd int32, b []byte) error {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))) //nolint:gosec // write(2) takes an address
	if errno != 0 {
		return fmt.Errorf("floor: write: %w", errno)
	}
	if int(n) != len(b) {
		return errors.New("floor: a socket is full")
	}
	return nil
}
