//go:build !linux

package floor

import (
	"errors"
	"io"
	"os"
)

// Run needs epoll.
func Run(*os.File, io.Writer) error { return errors.New("bench: the floor runs on Linux only") }
