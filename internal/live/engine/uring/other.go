//go:build !linux || (!amd64 && !arm64)

package uring

import (
	"errors"
	"fmt"
	"syscall"
)

// Ring does not exist on this system; New says so.
type Ring struct{}

// New answers that there is no io_uring.
func New(uint32) (*Ring, error) {
	return nil, fmt.Errorf("uring: only on Linux, amd64 and arm64: %w", errors.ErrUnsupported)
}

// ErrClosed is what Submit answers after Close.
var ErrClosed = errors.New("uring: closed")

// Send queues nothing.
func (*Ring) Send(int, []byte, uint64) bool { return false }

// Sendv queues nothing.
func (*Ring) Sendv(int, [][]byte, uint64) int { return 0 }

// Queued is always 0.
func (*Ring) Queued() int { return 0 }

// Submit sends nothing.
func (*Ring) Submit(func(user uint64, n int, err syscall.Errno)) error { return ErrClosed }

// Close has nothing to give back.
func (*Ring) Close() {}
