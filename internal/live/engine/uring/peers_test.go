//go:build linux && (amd64 || arm64)

package uring

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// readersAt makes the test binary a process of readers: "address count".
const readersAt = "HERALD_URING_READERS"

func TestMain(m *testing.M) {
	if at := os.Getenv(readersAt); at != "" {
		if err := readers(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// readers connects and then, for each number on the standard input, reads
// until that many bytes have come in all, and says so.
func readers(at string) error {
	addr, count, _ := strings.Cut(at, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	for range n {
		fd, err := dial(addr)
		if err != nil {
			return err
		}
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return err
		}
	}
	in, total := bufio.NewScanner(os.Stdin), 0
	buf, events := make([]byte, 64<<10), make([]unix.EpollEvent, 1024)
	for in.Scan() {
		want, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		for total < want {
			n, _ := unix.EpollWait(ep, events, -1)
			for _, e := range events[:max(n, 0)] {
				got, err := syscall.Read(int(e.Fd), buf)
				if err != nil {
					return err
				}
				total += got
			}
		}
		fmt.Fprintln(os.Stdout, total)
	}
	return in.Err()
}

func dial(addr string) (int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return -1, err
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		return -1, err
	}
	sa := &unix.SockaddrInet4{Port: p}
	copy(sa.Addr[:], net.ParseIP(host).To4())
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.Connect(fd, sa)
}

// crowd is n connected sockets whose readers are another process.
type crowd struct {
	fds   []int
	tell  io.Writer
	hear  *bufio.Scanner
	total int
}

// listening makes a socket that listens on the loopback.
func listening(tb testing.TB) (int, string) {
	tb.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 1024)
	}
	if err != nil {
		tb.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	return fd, "127.0.0.1:" + strconv.Itoa(sa.(*unix.SockaddrInet4).Port)
}

func newCrowd(tb testing.TB, n int) *crowd {
	tb.Helper()
	l, addr := listening(tb)
	defer unix.Close(l)
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), readersAt+"="+addr+" "+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	c := &crowd{tell: in, hear: bufio.NewScanner(out)}
	for range n {
		fd, _, err := unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			tb.Fatal(err)
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		c.fds = append(c.fds, fd)
	}
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Error(err)
		}
		for _, fd := range c.fds {
			unix.Close(fd)
		}
	})
	return c
}

// expect tells the readers to read n more bytes; read waits until they have.
func (c *crowd) expect(n int) {
	c.total += n
	fmt.Fprintln(c.tell, c.total)
}

func (c *crowd) read(tb testing.TB) {
	if !c.hear.Scan() || c.hear.Text() != strconv.Itoa(c.total) {
		tb.Fatalf("the readers say %q, expected %d", c.hear.Text(), c.total)
	}
}
