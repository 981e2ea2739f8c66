//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probe asks whether the kernel has what is used here.
func (r *Ring) probe(features uint32) error {
	if need := uint32(featSingleMmap | featNoDrop); features&need != need {
		return fmt.Errorf("the kernel lacks features: it has %#x, needed are %#x", features, need)
	}
	var p operations
	if errno := r.k.register(r.fd, registerProbe, unsafe.Pointer(&p), maxOperations); errno != 0 {
		return fmt.Errorf("asking for the operations: %w", errno)
	}
	for _, op := range []int{opSend, opSendmsg} {
		if op >= int(p.len) || p.ops[op].flags&opSupported == 0 {
			return fmt.Errorf("the kernel lacks operation %d", op)
		}
	}
	return nil
}

// errTrial: the kernel, or what stands in for it, does not send as described.
var errTrial = errors.New("the trial of a ring failed")

// trial sends over a pair of sockets until it is full, and on after its other
// end is closed. What a container or an emulated kernel does otherwise shows
// here, once, and not on a connection.
func (r *Ring) trial() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("a pair of sockets for a trial: %w", err)
	}
	defer func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) }()
	_ = unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4096)

	much := make([]byte, 1<<20)
	steps := []struct {
		what  string
		bytes []byte
		holds func(reported bool, m miss) bool
	}{
		{"a small send", much[:1], func(reported bool, _ miss) bool { return !reported }},
		{"a send of more than fits", much, func(reported bool, m miss) bool {
			return reported && m.err == 0 && m.n > 0 && m.n < len(much)
		}},
		{"a send into a full buffer", much, func(_ bool, m miss) bool { return m.n == 0 && m.err == unix.EAGAIN }},
		{"a send to a closed socket", much[:1], func(_ bool, m miss) bool { return m.n == 0 && m.err == unix.EPIPE }},
	}
	for i, s := range steps {
		if i == len(steps)-1 {
			_ = unix.Shutdown(pair[1], unix.SHUT_RDWR)
		}
		reported, got := false, miss{}
		r.Send(pair[0], s.bytes, uint64(i))
		err := r.Submit(func(user uint64, n int, err syscall.Errno) { reported, got = true, miss{user, n, err} })
		if err != nil {
			return err
		}
		if !s.holds(reported, got) || reported && got.user != uint64(i) {
			return fmt.Errorf("%w: %s: reported %t, %d bytes, error %d", errTrial, s.what, reported, got.n, int(got.err))
		}
	}
	return nil
}
