//go:build !linux

package faults_test

import (
	"context"
	"testing"
)

// What follows stands for what needs Linux, so that the rest runs elsewhere.

func failingWrites(w *world, _ context.Context) {
	w.t.Error("unavailable: limits of another process, which need Linux")
}

func newPower(t *testing.T, n *node, _ bool) powered { return newKept(t, n) }

func mountedDisk(t *testing.T) {
	t.Skip("unavailable: a file system on a loop device, which needs Linux")
}
