//go:build !linux

package floor

import (
	"errors"
	"io"
)

// Run needs epoll.
func Run(io.Writer) error { return errors.New("bench: the floor runs on Linux only") }
