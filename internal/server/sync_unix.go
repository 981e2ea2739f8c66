//go:build unix

package server

import (
	"errors"
	"fmt"
	"os"
)

// syncFolder waits until the names in a folder are on the disk.
func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
