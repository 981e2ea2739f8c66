//go:build !linux

package swarm

import (
	"errors"
	"io"
)

// Run needs epoll.
func Run(io.Writer) error { return errors.New("bench: the load generator runs on Linux only") }
