package swarm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// swarm is the state of the process. One goroutine has it.
type swarm struct {
	ep, in  int
	out     io.Writer
	rules   rules
	tally   tally
	clients []client
	fds     []int32 // -1: closed
	unsent  map[int][]byte
	buf     []byte
	nap     time.Duration
	failure error
	stdin   []byte
	ended   bool // the standard input has

	opening opening
	posting *posting
	counts  []uint32 // unicasts sent, by client

	command  *Command // that waits
	begun    time.Time
	deadline time.Time
}

// opening is what connects.
type opening struct {
	next, pending, parallel, address int
}

// Events bear the number of a client, or one of these.
const (
	ofStdin  = -1
	ofPoster = 1 << 24 // and the number of the poster
)

// Run serves commands until the input, a pipe, ends.
func Run(in *os.File, out io.Writer) error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	defer func() { _ = unix.Close(ep) }() // the process ends
	c := &swarm{ep: ep, in: int(in.Fd()), out: out, unsent: map[int][]byte{}, buf: make([]byte, 256<<10)}
	c.tally.now = func() int64 { return time.Now().UnixNano() }
	if err := errors.Join(unix.SetNonblock(c.in, true), c.watch(unix.EPOLL_CTL_ADD, c.in, ofStdin, unix.EPOLLIN)); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 512)
	defer func() {
		for id := range c.fds {
			c.drop(id)
		}
		c.posting.close()
	}()
	for !c.ended {
		n, err := c.wait(events)
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			c.handle(int(e.Fd), e.Events)
		}
		if err := c.settle(); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for events, or naps.
func (c *swarm) wait(events []unix.EpollEvent) (int, error) {
	timeout := -1
	if c.command != nil {
		timeout = int(max(time.Until(c.deadline).Milliseconds()+1, 0))
	}
	if c.nap > 0 && c.command != nil {
		timeout = 0
	}
	n, err := unix.EpollWait(c.ep, events, timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return 0, os.NewSyscallError("epoll_wait", err)
	}
	if n <= 0 && timeout == 0 {
		ts := unix.NsecToTimespec(int64(c.nap))
		_ = unix.Nanosleep(&ts, nil) // a signal that ends it early does no harm
	}
	return max(n, 0), nil
}

func (c *swarm) watch(op, fd, id int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(c.ep, op, fd, &unix.EpollEvent{Events: events, Fd: int32(id)}))
}

func (c *swarm) handle(id int, events uint32) {
	switch {
	case id == ofStdin:
		c.readCommands()
	case id >= ofPoster:
		c.posting.event(c, id-ofPoster)
	case id < len(c.fds) && c.fds[id] >= 0:
		if err := c.event(id, events); err != nil {
			c.fail(fmt.Errorf("client %d: %w", id, err))
			c.drop(id)
		}
	}
}

// fail keeps the first failure.
func (c *swarm) fail(err error) {
	if c.failure == nil {
		c.failure = err
	}
}

// drop closes a client.
func (c *swarm) drop(id int) {
	if c.fds[id] < 0 {
		return
	}
	_ = unix.Close(int(c.fds[id]))
	if c.clients[id].up {
		c.tally.Up--
	} else if c.opening.pending > 0 {
		c.opening.pending--
	}
	c.fds[id] = -1
	c.clients[id] = client{index: id}
	delete(c.unsent, id)
}

// readCommands reads what is on the standard input.
func (c *swarm) readCommands() {
	n, err := unix.Read(c.in, c.buf)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	if n <= 0 {
		c.ended = true
		return
	}
	c.stdin = append(c.stdin, c.buf[:n]...)
	text, n, _ := line(c.stdin)
	if n == 0 {
		return
	}
	c.command = &Command{}
	err = json.Unmarshal(text, c.command)
	c.stdin = c.stdin[n:]
	c.begun = time.Now()
	c.deadline = c.begun.Add(c.command.Timeout)
	if err == nil {
		err = c.begin(c.command)
	}
	if err != nil {
		c.fail(err)
	}
}

// begin starts what a command says.
func (c *swarm) begin(m *Command) error {
	c.nap = m.Nap
	switch m.Do {
	case "connect":
		return c.connect(m)
	case "close":
		for id := range c.fds {
			c.drop(id)
		}
		c.opening = opening{}
	case "stall", "resume":
		for id := range min(m.Clients, len(c.fds)) {
			// Even one that waits for nothing is told when the other side hangs up.
			op := unix.EPOLL_CTL_ADD
			if c.clients[id].stalled = m.Do == "stall"; c.clients[id].stalled {
				op = unix.EPOLL_CTL_DEL
			}
			if err := c.watch(op, int(c.fds[id]), id, unix.EPOLLIN); err != nil {
				return err
			}
		}
	case "clear":
		c.tally.latency, c.tally.timed = histogram{}, m.Timed
	case "post":
		return c.post(m.Post)
	case "expect", "look":
	default:
		return fmt.Errorf("%q is no command", m.Do)
	}
	return nil
}

// done reports whether the command has what it waits for.
func (c *swarm) done() bool {
	switch c.command.Do {
	case "connect":
		return c.tally.Up == c.command.Clients
	case "expect":
		return c.tally.Broadcasts >= c.command.Broadcasts && c.tally.Unicasts >= c.command.Unicasts
	case "post":
		return c.posting.done()
	}
	return true
}

// settle answers the command if it has ended.
func (c *swarm) settle() error {
	m := c.command
	if m == nil {
		return nil
	}
	done := c.done()
	if !done && c.failure == nil {
		if time.Now().Before(c.deadline) {
			return nil
		}
		c.failure = c.late()
	}
	a := Answer{Took: time.Since(c.begun), Tally: c.tally.Tally, Latency: c.tally.latency.summary()}
	if m.Do == "post" && c.posting != nil {
		a.Accepted = c.posting.accepted
		c.posting.close()
		c.posting = nil
	}
	if m.Do == "expect" && done && (c.tally.Broadcasts > m.Broadcasts || c.tally.Unicasts > m.Unicasts) {
		c.fail(fmt.Errorf("%d broadcasts and %d unicasts came, want %d and %d", c.tally.Broadcasts, c.tally.Unicasts, m.Broadcasts, m.Unicasts))
	}
	if c.failure != nil {
		a.Error = c.failure.Error()
	}
	c.command = nil
	b, err := json.Marshal(a)
	if err == nil {
		_, err = c.out.Write(append(b, '\n'))
	}
	return err
}

// late says what did not come in time.
func (c *swarm) late() error {
	m := c.command
	text := fmt.Sprintf("%s took longer than %v: %d clients are there, %d broadcasts and %d unicasts came", m.Do, m.Timeout, c.tally.Up,
		c.tally.Broadcasts, c.tally.Unicasts)
	switch m.Do {
	case "connect":
		text += fmt.Sprintf("; want %d clients", m.Clients)
	case "expect":
		text += fmt.Sprintf("; want %d and %d, lost are %d and %d", m.Broadcasts, m.Unicasts,
			int64(m.Broadcasts-c.tally.Broadcasts), int64(m.Unicasts-c.tally.Unicasts))
		text += c.behind()
	case "post":
		text += fmt.Sprintf("; %d messages were accepted, want %d", c.posting.accepted, m.Post.Messages)
	}
	return errors.New(text)
}

// behind names some clients that have fewer broadcasts than others.
func (c *swarm) behind() string {
	most, list := uint32(0), []string{}
	for i := range c.clients {
		most = max(most, c.clients[i].seq[0])
	}
	for i := range c.clients {
		if c.clients[i].seq[0] < most && c.fds[i] >= 0 && len(list) < 5 {
			list = append(list, fmt.Sprintf("client %d has %d of %d", i, c.clients[i].seq[0], most))
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "; " + strings.Join(list, ", ")
}
