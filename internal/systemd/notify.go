// Package systemd tells the service manager what a server does, by the protocol
// of sd_notify(3): lines of NAME=value in one datagram to the socket whose name
// is in NOTIFY_SOCKET. Without that variable, and so everywhere but in a service
// of Type=notify, it does nothing. A datagram is sent or not; nothing waits for
// an answer, because the manager gives none.
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// State is one line of a notification.
type State string

// What a server says of itself.
const (
	Ready    State = "READY=1"
	Stopping State = "STOPPING=1"
	Alive    State = "WATCHDOG=1"
)

// Status is a line for people: systemctl status shows it.
func Status(text string) State {
	return State("STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' ' // a line break would begin another assignment
		}
		return r
	}, text))
}

// Extend asks for that much more time to start or to stop, counted from now.
func Extend(d time.Duration) State {
	return State("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(d.Microseconds(), 10))
}

// Notifier is the way to the service manager. Its zero value leads nowhere. It
// may be used by many goroutines.
type Notifier struct {
	conn     *net.UnixConn // nil: there is no manager
	watchdog time.Duration // 0: there is none
}

// Open reads the environment of a process, whose ID is pid. The variables must
// not be handed on to children, which would speak for it; Herald starts none.
func Open(environ []string, pid int) (*Notifier, error) {
	socket := variable(environ, "NOTIFY_SOCKET")
	if socket == "" {
		return &Notifier{}, nil
	}
	// The name is a path, or begins with @ for the abstract namespace of Linux,
	// which package net writes in the same way.
	if socket[0] != '/' && socket[0] != '@' {
		return nil, fmt.Errorf("systemd: NOTIFY_SOCKET=%s is neither a path nor an abstract name", socket)
	}
	watchdog, err := watchdog(environ, pid)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("systemd: the notify socket: %w", err)
	}
	return &Notifier{conn, watchdog}, nil
}

// watchdog is the time within which the manager wants to hear from this
// process, 0 for never.
func watchdog(environ []string, pid int) (time.Duration, error) {
	text := variable(environ, "WATCHDOG_USEC")
	if text == "" {
		return 0, nil
	}
	if whose := variable(environ, "WATCHDOG_PID"); whose != "" && whose != strconv.Itoa(pid) {
		return 0, nil // of a parent, which has left it in the environment
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > int64(24*time.Hour/time.Microsecond) {
		return 0, fmt.Errorf("systemd: WATCHDOG_USEC=%s is no number of microseconds up to a day", text)
	}
	return time.Duration(n) * time.Microsecond, nil
}

func variable(environ []string, name string) string {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// Present reports whether there is a manager that listens.
func (n *Notifier) Present() bool { return n.conn != nil }

// Watchdog is the time within which [Alive] has to come again, 0 if nobody
// waits for it.
func (n *Notifier) Watchdog() time.Duration { return n.watchdog }

// Send sends lines as one notification.
func (n *Notifier) Send(states ...State) error {
	if n.conn == nil {
		return nil
	}
	lines := make([]string, len(states))
	for i, s := range states {
		lines[i] = string(s)
	}
	if _, err := n.conn.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	return nil
}

// Close lets go of the socket; what is sent afterwards is an error.
func (n *Notifier) Close() error {
	if n.conn == nil {
		return nil
	}
	if err := n.conn.Close(); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("systemd: %w", err)
	}
	return nil
}
