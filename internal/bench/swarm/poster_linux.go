package swarm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// posting is a command post that runs.
type posting struct {
	letters
	list     []*poster
	accepted int
	out      []byte
	unsent   [][]byte // by poster
}

// post begins to send.
func (c *swarm) post(p Post) error {
	if p.Clients == 0 {
		p.Clients = len(c.clients)
	}
	p.Connections = min(max(p.Connections, 1), max(p.Clients, 1), max(p.Messages, 1))
	if p.Clients < 1 || p.Messages < 1 {
		return errors.New("there is nobody to send to, or nothing")
	}
	for len(c.counts) < p.Clients {
		c.counts = append(c.counts, 0)
	}
	s := &posting{letters: letters{Post: p, counts: c.counts, now: c.tally.now}}
	c.posting = s
	if p.IDs != "" {
		list, err := readLines(p.IDs)
		if need := p.senders(); err != nil || len(list) < need {
			return errors.Join(err, fmt.Errorf("%d IDs, want %d", len(list), need))
		}
		s.ids = list
	}
	if p.Tokens != "" {
		list, err := readLines(p.Tokens)
		if err != nil || len(list) < p.Connections {
			return errors.Join(err, fmt.Errorf("%d tokens for %d that send", len(list), p.Connections))
		}
		s.tokens = list
	}
	for i := range p.Connections {
		fd, _, err := dial(p.Address, -1) // its own address
		if err != nil {
			return err
		}
		s.list, s.unsent = append(s.list, &poster{fd: fd}), append(s.unsent, nil)
		if err := c.watch(unix.EPOLL_CTL_ADD, fd, ofPoster+i, unix.EPOLLOUT); err != nil {
			return err
		}
	}
	return nil
}

func (s *posting) done() bool { return s != nil && s.accepted >= s.Messages }

func (s *posting) close() {
	if s == nil {
		return
	}
	for _, p := range s.list {
		_ = unix.Close(p.fd)
	}
}

// share is how many messages a poster sends in all.
func (s *posting) share(i int) int {
	n := s.Messages / s.Connections
	if i < s.Messages%s.Connections {
		n++
	}
	return n
}

// event goes on with a poster.
func (s *posting) event(c *swarm, i int) {
	if s == nil || i >= len(s.list) {
		return
	}
	if err := s.step(c, i); err != nil {
		c.fail(fmt.Errorf("sending: %w", err))
	}
}

func (s *posting) step(c *swarm, i int) error {
	p := s.list[i]
	if len(s.unsent[i]) > 0 || p.sent == 0 {
		return s.write(c, i)
	}
	n, err := unix.Read(p.fd, c.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return errors.New("the server has closed the connection")
	}
	p.rest = append(p.rest, c.buf[:n]...)
	n, err = s.answer(p.rest, p.sent)
	if err != nil || n == 0 {
		return err
	}
	if n != len(p.rest) {
		return fmt.Errorf("more than an answer: %.200q", p.rest[n:])
	}
	s.accepted += p.sent
	p.rest, p.sent = p.rest[:0], 0
	return s.write(c, i)
}

// write sends the next request, or the rest of it.
func (s *posting) write(c *swarm, i int) error {
	p := s.list[i]
	b := s.unsent[i]
	if len(b) == 0 {
		count := min(max(s.Batch, 1), s.share(i)-p.turn)
		if count <= 0 {
			return c.watch(unix.EPOLL_CTL_MOD, p.fd, ofPoster+i, 0)
		}
		s.out = s.request(s.out[:0], i, p.turn, count)
		p.turn, p.sent = p.turn+count, count
		b = s.out
	}
	n, err := unix.Write(p.fd, b)
	if errors.Is(err, unix.EAGAIN) {
		n, err = 0, nil
	}
	if err != nil {
		return os.NewSyscallError("write", err)
	}
	events, waited := uint32(unix.EPOLLIN), len(s.unsent[i]) > 0
	if s.unsent[i] = append([]byte(nil), b[n:]...); n < len(b) {
		events = unix.EPOLLOUT
	}
	if waited || events != unix.EPOLLIN || p.turn == p.sent {
		return c.watch(unix.EPOLL_CTL_MOD, p.fd, ofPoster+i, events)
	}
	return nil
}
