// Package servers starts database servers for tests: real ones, as an
// unprivileged user, in a folder of their own, on a socket in that folder. They
// end with the test process. It never touches the server of the system.
package servers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// startTime is how long a server may take to start or to stop.
const startTime = 2 * time.Minute

// Server is a database server of a test.
type Server struct {
	// Folder holds everything that is the server's.
	Folder string
	// Socket is the Unix socket that it listens on.
	Socket string

	command func() *exec.Cmd
	alive   func(ctx context.Context) error
	who     *owner
	stop    os.Signal // ends it without waiting for those who are connected

	mu   sync.Mutex // guards what follows
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// Unavailable is the error of a server that this machine does not have.
type Unavailable struct{ What string }

func (u *Unavailable) Error() string { return "unavailable: " + u.What }

// Need gives what once started, or ends the test: with a skip if the machine
// has no such server.
func Need(t testing.TB, once func() (*Server, error)) *Server {
	t.Helper()
	s, err := once()
	var u *Unavailable
	if errors.As(err, &u) {
		t.Skip(u.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// owner is the user that a server runs as: some refuse to run as root.
type owner struct {
	uid, gid int
	root     bool // this process is root, and has to become the other
}

func newOwner(names ...string) (*owner, error) {
	if os.Geteuid() != 0 {
		return &owner{}, nil
	}
	for _, n := range names {
		if u, err := user.Lookup(n); err == nil {
			uid, err1 := strconv.Atoi(u.Uid)
			gid, err2 := strconv.Atoi(u.Gid)
			return &owner{uid, gid, true}, errors.Join(err1, err2)
		}
	}
	return nil, &Unavailable{"an unprivileged user to run a database server as, none of " + strings.Join(names, ", ") + " exists"}
}

// folder makes a folder of the owner, with a short path: that of a socket has
// at most 107 bytes.
func (o *owner) folder(kind string) (string, error) {
	for _, in := range []string{os.TempDir(), "/tmp", "/var/tmp"} {
		if len(in) > 60 || !reachable(in) {
			continue
		}
		dir, err := os.MkdirTemp(in, "herald-"+kind)
		if err != nil {
			return "", fmt.Errorf("servers: %w", err)
		}
		if o.root {
			err = os.Chown(dir, o.uid, o.gid)
		}
		return dir, err
	}
	return "", &Unavailable{"a temporary folder that other users can reach"}
}

// reachable reports whether every user can walk to a folder.
func reachable(path string) bool {
	for {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		above := filepath.Dir(path)
		if above == path {
			return true
		}
		path = above
	}
}

// run runs a program of the owner to its end.
func (o *owner) run(dir, program string, args ...string) error {
	cmd := o.cmd(dir, program, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("servers: %s: %w\n%s", program, err, out)
	}
	return nil
}

func (o *owner) cmd(dir, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C", "TZ=UTC"}
	o.attributes(cmd)
	return cmd
}

// Start starts the server and waits until it answers. One that was killed leaves
// children for a moment, during which another one ends at once.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	for {
		err := s.start(ctx)
		if !errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

var errEnded = errors.New("it ended at once")

func (s *Server) start(ctx context.Context) error {
	cmd := s.command()
	log, err := os.OpenFile(filepath.Join(s.Folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	started := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(cmd, started) // from one thread, with which the server ends
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("servers: %w", err)
	}
	s.cmd, s.done = cmd, done
	for {
		err := s.alive(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-done:
			return fmt.Errorf("servers: %s: %w\n%s", cmd.Path, errEnded, s.tail())
		case <-ctx.Done():
			return fmt.Errorf("servers: %s does not answer: %w\n%s", cmd.Path, err, s.tail())
		}
	}
}

func (s *Server) tail() string {
	b, _ := os.ReadFile(filepath.Join(s.Folder, "log"))
	return string(b[max(0, len(b)-2000):])
}

// Kill ends the server at once; Stop lets it end itself.
func (s *Server) Kill() error { return s.signal(os.Kill) }

// Stop lets the server end itself.
func (s *Server) Stop() error { return s.signal(s.stop) }

func (s *Server) signal(sig os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("servers: %w", err)
	}
	<-s.done
	s.cmd = nil
	return nil
}

// Remove ends the server and removes what it had.
func (s *Server) Remove() error {
	return errors.Join(s.Stop(), os.RemoveAll(s.Folder))
}

// program finds a server's program beside those of the path.
func program(name string, folders ...string) (string, error) {
	for _, dir := range folders {
		matches, _ := filepath.Glob(filepath.Join(dir, name))
		for _, m := range matches {
			if info, err := os.Stat(m); err == nil && info.Mode().IsRegular() {
				return m, nil
			}
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return "", &Unavailable{name + ", it is not installed on this machine"}
}

// there reports whether a file exists.
func there(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("servers: %s is not there yet", path)
	}
	return err
}
