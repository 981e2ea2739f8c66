//go:build unix

package livetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/herald-push/herald"
)

// A process that is to have few descriptors runs the case again as the server
// of the one that has enough: it is told what to do over its standard input,
// and answers over descriptor 3.
const (
	fewDescriptors = "HERALD_LIVETEST_FEW_DESCRIPTORS"
	spare          = 12 // descriptors that it has left
	crowd          = 30 // clients that come
)

// noDescriptors: more clients come than the server has descriptors for. It
// serves those that it has, and each of the others in the end: with a session
// when there is room again, or with a refusal.
func noDescriptors(e *env) {
	if os.Getenv(fewDescriptors) != "" {
		e.serveFew()
		return
	}
	s := e.startFew()
	results := make(chan outcome, crowd)
	var wg sync.WaitGroup
	defer wg.Wait()
	conns := make([]net.Conn, crowd)
	for i := range conns {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			e.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		conns[i] = conn
		wg.Go(func() { results <- outcome{i, e.firstMessage(conn, s.tokens[i])} })
	}
	e.until("no descriptor is left", func() bool { return s.ask("full") == "full" })
	left, served := crowd, 0
	push := func() {
		s.ask("push")
		for {
			select {
			case r := <-results:
				if errors.Is(r.err, os.ErrDeadlineExceeded) {
					e.Fatalf("client %d is neither served nor refused", r.client)
				}
				left--
				if r.err == nil {
					served++
				}
				if served > spare/2 { // those before keep their descriptors
					_ = conns[r.client].Close()
				}
			default:
				return
			}
		}
	}
	e.until("those who are connected are served as ever", func() bool { push(); return served >= spare/2 })
	for _, c := range conns[:crowd/2] { // there is room again
		_ = c.Close()
	}
	e.until("each of the others is served or refused", func() bool { push(); return left == 0 })
	for _, c := range conns {
		_ = c.Close()
	}
	e.until("a new client is served", func() bool {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		served := make(chan error, 1)
		go func() { served <- e.firstMessage(conn, s.tokens[0]) }()
		for {
			select {
			case err := <-served:
				return err == nil
			case <-time.After(5 * time.Millisecond):
				s.ask("push")
			}
		}
	})
	s.stop()
}

// outcome is what became of a client.
type outcome struct {
	client int
	err    error
}

// firstMessage opens a session and waits for a message.
func (e *env) firstMessage(conn net.Conn, token string) error {
	c, err := e.harness.Dial(context.Background(), Dial{Conn: conn, Path: e.path(), Token: token})
	for err == nil {
		var f Frame
		if f, err = c.Next(); f.Type == "message" {
			return nil
		}
	}
	return err
}

// fewServer is the other process.
type fewServer struct {
	e       *env
	address string
	tokens  []string
	in      io.WriteCloser
	out     *bufio.Scanner
	wait    func() error
}

func (e *env) startFew() *fewServer {
	e.Helper()
	self, err := os.Executable()
	if err != nil {
		e.Fatal(err)
	}
	var names []string
	for name := range strings.SplitSeq(e.Name(), "/") {
		names = append(names, "^"+regexp.QuoteMeta(name)+"$")
	}
	r, w, err := os.Pipe()
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { _ = r.Close() })
	cmd := exec.CommandContext(context.Background(), self, "-test.run", strings.Join(names, "/"), "-test.count=1", "-test.timeout=3m")
	cmd.Env = append(os.Environ(), fewDescriptors+"=1")
	cmd.ExtraFiles = []*os.File{w}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	s := &fewServer{e: e, out: bufio.NewScanner(r)}
	if s.in, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		e.Fatal(err)
	}
	_ = w.Close()
	s.wait = sync.OnceValue(func() error {
		_ = s.in.Close()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("the server with few descriptors: %w\n%s", err, said.String())
		}
		return nil
	})
	e.Cleanup(func() { _ = s.wait() })
	s.address = s.line()
	for range crowd {
		s.tokens = append(s.tokens, s.line())
	}
	return s
}

func (s *fewServer) line() string {
	s.e.Helper()
	if !s.out.Scan() {
		s.e.Fatalf("the server is gone: %v, %v", s.out.Err(), s.wait())
	}
	return s.out.Text()
}

func (s *fewServer) ask(what string) string {
	s.e.Helper()
	if _, err := fmt.Fprintln(s.in, what); err != nil {
		s.e.Fatalf("asking the server to %s: %v, %v", what, err, s.wait())
	}
	return s.line()
}

func (s *fewServer) stop() {
	s.e.Helper()
	if err := s.wait(); err != nil {
		s.e.Fatal(err)
	}
}

// serveFew is the other process: it obeys until its standard input ends.
func (e *env) serveFew() {
	out := os.NewFile(3, "answers")
	defer func() { _ = out.Close() }()
	before, err := limitDescriptors()
	if err != nil {
		e.Fatal(err)
	}
	fmt.Fprintln(out, e.net.Addr()) // from now on they come
	var members []Member
	for range crowd {
		m := e.world.Join(herald.PlatformWeb)
		members = append(members, m)
		fmt.Fprintln(out, m.Token)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "push":
			h := e.world.Accept(Send{Content: Text("now"), To: members, Volatile: true})
			fmt.Fprintln(out, e.deliver(h).Len())
		case "full":
			f, err := os.Open(os.DevNull)
			if err == nil {
				_ = f.Close()
				fmt.Fprintln(out, "room")
			} else {
				fmt.Fprintln(out, "full")
			}
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		e.Error(err)
	}
}

// limitDescriptors leaves the process few that are free, and gives its limit
// until now.
func limitDescriptors() (before syscall.Rlimit, err error) {
	if err = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		return before, err
	}
	f, err := os.Open(os.DevNull) // takes the lowest that is free
	if err != nil {
		return before, err
	}
	defer func() { _ = f.Close() }()
	few := before
	few.Cur = 0
	for range f.Fd() + spare { // its type is not the same on every system
		few.Cur++
	}
	return before, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few)
}
