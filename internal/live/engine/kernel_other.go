//go:build !linux

package engine

import (
	"errors"
	"fmt"
	"runtime"
)

// NewKernel answers that this system has nothing that the engine can use.
func NewKernel() (Kernel, error) {
	return nil, fmt.Errorf("engine: no epoll on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
