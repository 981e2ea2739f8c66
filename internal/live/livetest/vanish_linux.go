package livetest

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// vanish takes a socket away without a word to its peer: one that is being
// repaired is closed without an end of its data and without a reset. Segments
// that come for it later are answered by the kernel as those of nobody, as
// after a restart of the machine.
func vanish(conn *net.TCPConn) (unavailable string) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err.Error()
	}
	var refused error
	if err := raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	}); err != nil {
		return err.Error()
	}
	if refused != nil {
		return fmt.Sprintf("a socket can be taken away without a word with CAP_NET_ADMIN only: %v", refused)
	}
	_ = conn.Close()
	return ""
}
