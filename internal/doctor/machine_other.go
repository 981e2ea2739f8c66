//go:build !linux && !darwin

package doctor

import (
	"errors"
	"runtime"
)

func freeSpace(string) (uint64, error) { return 0, errors.ErrUnsupported }

func fileLimits() (soft, hard uint64, err error) { return 0, 0, errors.ErrUnsupported }

func totalMemory() (uint64, error) { return 0, errors.ErrUnsupported }

func kernelVersion() (string, error) { return runtime.GOOS + " " + runtime.GOARCH, nil }
