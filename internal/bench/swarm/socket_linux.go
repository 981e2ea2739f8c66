package swarm

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// perAddress is how many clients share an address, so that there are ports for
// all, those among them that are still closing.
const perAddress = 4000

// connect begins to connect clients.
func (c *swarm) connect(m *Command) error {
	c.rules = rules{Target: m.Target, ack: m.Ack, lossy: m.Lossy}
	if m.Tokens != "" {
		list, err := readLines(m.Tokens)
		if err != nil {
			return err
		}
		if len(list) < m.Clients {
			return fmt.Errorf("%d tokens are too few for %d clients", len(list), m.Clients)
		}
		c.rules.tokens = list
	}
	if m.IDs != "" {
		list, err := readLines(m.IDs)
		if err != nil || len(list) < m.Clients {
			return errors.Join(err, fmt.Errorf("%d IDs for %d clients", len(list), m.Clients))
		}
		c.rules.ids = list
	}
	for id := len(c.fds); id < m.Clients; id++ {
		c.fds = append(c.fds, -1)
		c.clients = append(c.clients, client{index: id})
	}
	c.tally.Broadcasts, c.tally.Unicasts, c.counts = 0, 0, nil
	c.opening = opening{parallel: max(m.Parallel, 1), address: m.Address}
	return c.openMore()
}

func readLines(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	return strings.Fields(string(b)), err
}

// openMore opens clients up to the number that may be opening at once.
func (c *swarm) openMore() error {
	o := &c.opening
	for o.next < c.command.Clients && o.pending < o.parallel {
		id := o.next
		o.next++
		o.pending++
		if err := c.open(id); err != nil {
			return fmt.Errorf("client %d: %w", id, err)
		}
	}
	return nil
}

// open connects one client.
func (c *swarm) open(id int) error {
	fd, pending, err := dial(c.rules.Address, c.opening.address+id/perAddress)
	if err != nil {
		return err
	}
	c.fds[id] = int32(fd)
	if pending {
		return c.watch(unix.EPOLL_CTL_ADD, fd, id, unix.EPOLLOUT)
	}
	if err := c.watch(unix.EPOLL_CTL_ADD, fd, id, unix.EPOLLIN); err != nil {
		return err
	}
	return c.hello(id)
}

// dial connects from the address 127.0.0.2 and n.
func dial(to string, n int) (fd int, pending bool, err error) {
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return 0, false, err
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, false, os.NewSyscallError("socket", err)
	}
	n += 2
	from := &unix.SockaddrInet4{Addr: [4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)}}
	err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.Bind(fd, from))
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
	}
	if errors.Is(err, unix.EINPROGRESS) {
		return fd, true, nil
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, false, err
}

// hello sends what a client says first.
func (c *swarm) hello(id int) error {
	k := &c.clients[id]
	if k.stage = inHead; c.rules.Proto == TCP || c.rules.Proto == MQTT {
		k.stage = inBody
	}
	c.tally.out = c.rules.open(c.tally.out[:0], id)
	if err := c.send(id); err != nil {
		return err
	}
	if c.rules.Proto == Poll {
		return c.cameUp(func() error { k.arrived(&c.tally); return nil })
	}
	return nil
}

// send writes what is to be sent, and keeps what the socket does not take.
func (c *swarm) send(id int) error {
	b := c.tally.out
	if len(b) == 0 {
		return nil
	}
	if waiting := c.unsent[id]; waiting != nil {
		c.unsent[id] = append(waiting, b...)
		return nil
	}
	n, err := unix.Write(int(c.fds[id]), b)
	if errors.Is(err, unix.EAGAIN) {
		n, err = 0, nil
	}
	if err != nil || n == len(b) {
		return err
	}
	c.unsent[id] = append([]byte(nil), b[n:]...)
	return c.watch(unix.EPOLL_CTL_MOD, int(c.fds[id]), id, unix.EPOLLIN|unix.EPOLLOUT)
}

// event takes what epoll says of a client.
func (c *swarm) event(id int, events uint32) error {
	k := &c.clients[id]
	fd := int(c.fds[id])
	if k.stage == connecting {
		if e, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != 0 {
			return errors.Join(err, unix.Errno(e))
		}
		if err := c.watch(unix.EPOLL_CTL_MOD, fd, id, unix.EPOLLIN); err != nil {
			return err
		}
		return c.hello(id)
	}
	if events&unix.EPOLLOUT != 0 {
		b := c.unsent[id]
		delete(c.unsent, id)
		if err := c.watch(unix.EPOLL_CTL_MOD, fd, id, unix.EPOLLIN); err != nil {
			return err
		}
		c.tally.out = append(c.tally.out[:0], b...)
		if err := c.send(id); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 || k.stalled {
		return nil
	}
	n, err := unix.Read(fd, c.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return errors.New("the server has closed the connection")
	}
	return c.cameUp(func() error {
		c.tally.out = c.tally.out[:0]
		if err := k.feed(&c.rules, &c.tally, c.buf[:n]); err != nil {
			return err
		}
		return c.send(id)
	})
}

// cameUp does what may have a client be there, and opens others then.
func (c *swarm) cameUp(f func() error) error {
	before := c.tally.Up
	err := f()
	if c.tally.Up == before {
		return err
	}
	c.opening.pending--
	if err == nil && c.command != nil && c.command.Do == "connect" {
		err = c.openMore()
	}
	return err
}
