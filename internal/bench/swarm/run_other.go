//go:build !linux

package swarm

import (
	"errors"
	"io"
	"os"
)

// Run needs epoll.
func Run(*os.File, io.Writer) error {
	return errors.New("bench: the load generator runs on Linux only")
}
