package live

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/herald-push/herald"
)

func TestAcceptedSocketsHaveAUserTimeout(t *testing.T) {
	l, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) {
		ms, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		if err != nil || int64(ms) != herald.HeartbeatTimeout.Milliseconds() {
			t.Errorf("TCP_USER_TIMEOUT is %d ms, %v", ms, err)
		}
		on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		if err != nil || on == 0 {
			t.Errorf("SO_KEEPALIVE is %d, %v", on, err)
		}
	})
}
