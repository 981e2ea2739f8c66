package servers

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a store and its server, for tests of a bad network. It
// listens on a TCP port of this machine.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	socket   string
	wg       sync.WaitGroup

	mu     sync.Mutex // guards what follows
	refuse bool
	delay  time.Duration
	commit Loss
	conns  map[net.Conn]bool
}

// Loss is what becomes of the next commit.
type Loss int

// The losses.
const (
	None       Loss = iota
	LoseCommit      // the server never gets it
	LoseAnswer      // the server does it, and the client never hears of it
)

// NewProxy starts a proxy, which ends with the test.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, listener: l, socket: s.Socket, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.wg.Wait()
	})
	return p
}

// Port is where it listens.
func (p *Proxy) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Cut ends all connections and lets none through until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
	for c := range p.conns {
		_ = c.Close()
	}
}

// Mend lets connections through again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
}

// Delay holds back everything that is sent for a time.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Lose ends the connection on which the next commit comes.
func (p *Proxy) Lose(l Loss) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commit = l
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("unix", p.socket)
		if err != nil || !p.add(c, s) {
			_ = c.Close()
			continue
		}
		lost := make(chan struct{}) // the answer to a commit is not let through
		p.wg.Go(func() { p.pump(c, s, lost) })
		p.wg.Go(func() { p.answer(s, c, lost) })
	}
}

func (p *Proxy) add(c, s net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse {
		_ = s.Close()
		return false
	}
	p.conns[c], p.conns[s] = true, true
	return true
}

func (p *Proxy) end(c, s net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range []net.Conn{c, s} {
		_ = x.Close()
		delete(p.conns, x)
	}
}

// pump takes what a client says to the server.
func (p *Proxy) pump(c, s net.Conn, lost chan struct{}) {
	awaits := false
	defer func() {
		if !awaits { // who awaits an answer ends it
			p.end(c, s)
		}
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		loss, delay := p.commit, p.delay
		if hit := loss != None && bytes.Contains(b[:n], []byte("COMMIT")); hit {
			p.commit = None
		} else {
			loss = None
		}
		p.mu.Unlock()
		if loss == LoseCommit {
			return
		}
		if loss == LoseAnswer {
			close(lost)
		}
		<-time.After(delay)
		if _, err := s.Write(b[:n]); err != nil {
			return
		}
		if awaits = loss == LoseAnswer; awaits {
			return
		}
	}
}

// answer takes what the server says to a client.
func (p *Proxy) answer(s, c net.Conn, lost chan struct{}) {
	b := make([]byte, 64<<10)
	for {
		n, err := s.Read(b)
		if err != nil {
			p.end(c, s)
			return
		}
		select {
		case <-lost:
			p.end(c, s)
			return
		default:
		}
		if _, err := c.Write(b[:n]); err != nil {
			p.end(c, s)
			return
		}
	}
}
