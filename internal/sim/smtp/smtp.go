// Package smtp plays a mail server that people's clients hand mails to: with
// STARTTLS or TLS, a user who signs in, readers who are gone. It passes nothing
// on; it keeps what it took.
package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/herald-push/herald/internal/sim"
)

// Config says how the server is spoken to.
type Config struct {
	// Users are names with passwords; nil if nobody has to sign in.
	Users map[string]string
	// Ways are the ways to sign in; default PLAIN and LOGIN.
	Ways []string
	// TLS has it speak TLS from the first byte; NoTLS has it never.
	TLS, NoTLS bool
	// Size is how large a mail may be, in bytes; 0 for any size.
	Size int
}

// Mail is one that was taken.
type Mail struct {
	From, To string
	User     string // who had signed in
	Data     string
}

// Server is the simulator. Every address is one of a reader, until it is said to
// be gone.
type Server struct {
	sim.Tray[Mail] // what was taken

	Address     string // host:port
	Certificate *x509.Certificate

	cfg  Config
	desk *sim.Desk
	tls  *tls.Config
	l    net.Listener
	wg   sync.WaitGroup

	ended   chan struct{}
	closing sync.Once

	mu      sync.Mutex // guards what follows
	gone    map[string]bool
	answers map[string][]string
	conns   map[net.Conn]struct{}
	show    func()
}

// Serve serves at an address such as 127.0.0.1:0. A fault of the desk is one of
// the whole mail, at the end of its data: its status is the reply's code.
func Serve(ctx context.Context, address string, d *sim.Desk, c Config) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	host, _, _ := net.SplitHostPort(l.Addr().String())
	pair, err := sim.SelfSigned(host)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if c.Ways == nil {
		c.Ways = []string{"PLAIN", "LOGIN"}
	}
	s := &Server{
		Address: l.Addr().String(), Certificate: pair.Leaf, cfg: c, desk: d, l: l, tls: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		gone: map[string]bool{}, answers: map[string][]string{}, conns: map[net.Conn]struct{}{}, ended: make(chan struct{}),
	}
	s.wg.Go(s.accept)
	return s, nil
}

func (s *Server) accept() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		select {
		case <-s.ended: // Close may have looked before
			_ = conn.Close()
		default:
		}
		s.desk.Connected()
		s.wg.Go(func() {
			s.converse(conn)
			_ = conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// Close ends it and its connections.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		err = s.l.Close()
		close(s.ended)
	})
	s.Cut()
	s.wg.Wait()
	return err
}

// Cut ends the connections that there are.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

// Remove has a reader be gone.
func (s *Server) Remove(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone[strings.ToLower(address)] = true
}

// Answer has the next commands of a name, such as RCPT, be answered with these
// replies; the greeting is that of CONNECT, and what follows a mail that of ".".
// A reply of CUT ends the connection.
func (s *Server) Answer(command string, replies ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = append(s.answers[command], replies...)
}

// Show has a function be called after each mail.
func (s *Server) Show(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show = f
}

// answer is what was told to be the reply; "" for nothing.
func (s *Server) answer(command string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.answers[command]
	if len(list) == 0 {
		return ""
	}
	s.answers[command] = list[1:]
	return list[0]
}

func (s *Server) isGone(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone[strings.ToLower(address)]
}

func (s *Server) take(m Mail) {
	s.mu.Lock()
	s.Put(m)
	show := s.show
	s.mu.Unlock()
	if show != nil {
		show()
	}
}

// Open is how many connections there are now.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
