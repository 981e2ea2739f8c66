package live

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/herald-push/herald"
)

// keepAlive is for connections over which nothing is sent.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 45 * time.Second, Interval: 10 * time.Second, Count: 3}

// Listen opens a TCP listener for live connections: with keep-alive, and, where
// the system has it (RFC 5482, Linux), with a bound on how long sent bytes may
// stay unacknowledged. That is how a one-way transport notices within the
// heartbeat's timeout that its client is gone. On Linux the listener has these
// options itself, and its sockets inherit them, whoever accepts.
func Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	lc := net.ListenConfig{
		KeepAliveConfig: keepAlive,
		Control: func(_, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) { err = setOptions(fd, herald.HeartbeatTimeout) }); e != nil {
				return e
			}
			return err
		},
	}
	l, err := lc.Listen(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("live: listening: %w", err)
	}
	return l, nil
}
