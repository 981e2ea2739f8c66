//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel's side of the contract, as include/uapi/linux/io_uring.h has it.
// Only what this package uses is named.
const (
	opSendmsg = 9
	opSend    = 26

	setupClamp       = 1 << 4
	setupSubmitAll   = 1 << 7
	setupCoopTaskrun = 1 << 8

	featSingleMmap = 1 << 0
	featNoDrop     = 1 << 1

	enterGetEvents = 1 << 0

	registerProbe = 8
	opSupported   = 1 << 0

	offsetQueues  = 0
	offsetEntries = 0x10000000
)

// sqe is a submission queue entry.
type sqe struct {
	opcode   uint8
	flags    uint8
	ioprio   uint16
	fd       int32
	off      uint64
	addr     uint64
	len      uint32
	msgFlags uint32
	userData uint64
	_        [3]uint64
}

// cqe is a completion queue entry. res is what send(2) would have returned,
// an error as its negative number.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32
	_                                                   uint64
}

type params struct {
	sqEntries, cqEntries, flags, _, _, features, _ uint32
	_                                              [3]uint32
	sq                                             sqOffsets
	cq                                             cqOffsets
}

// maxOperations is more than any kernel has; it fills in those that it knows.
const maxOperations = 128

// operations is the answer to registerProbe.
type operations struct {
	last, len uint8
	_         uint16
	_         [3]uint32
	ops       [maxOperations]struct {
		op, _ uint8
		flags uint16
		_     uint32
	}
}

// kernel is the three system calls; enter answers 0 with an error. Tests put
// others in their place, to refuse what a container or an older kernel would.
type kernel struct {
	setup    func(entries uint32, p *params) (int, syscall.Errno)
	enter    func(fd int, submit, wait, flags uint32) (int, syscall.Errno)
	register func(fd int, op uint32, arg unsafe.Pointer, n uint32) syscall.Errno
}

func linux() kernel {
	return kernel{setup: setup, enter: enter, register: register}
}

func setup(entries uint32, p *params) (int, syscall.Errno) {
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	return int(fd), errno
}

// enter tells the scheduler that it may take a while: 256 sends are in the
// kernel for about a millisecond, and with a raw call the garbage collector
// and the goroutines behind this one would have to wait for all of it.
func enter(fd int, submit, wait, flags uint32) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(submit), uintptr(wait), uintptr(flags), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

func register(fd int, op uint32, arg unsafe.Pointer, n uint32) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), uintptr(op), uintptr(arg), uintptr(n), 0, 0)
	return errno
}
