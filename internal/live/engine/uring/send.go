//go:build linux && (amd64 || arm64)

package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// partsPerSend is the room for Sendv: so many frames for each entry of the
	// ring, wherever they are.
	partsPerSend = 8
	// maxParts is what the kernel takes in one sendmsg(2), its UIO_MAXIOV.
	maxParts = 1024
	// maxBytes keeps the length of a send within its field. What is longer is
	// sent short.
	maxBytes = 1 << 30
)

// Send queues b for the socket fd; user comes back if b is not taken whole.
// It answers false when the ring is full: Submit makes room.
func (r *Ring) Send(fd int, b []byte, user uint64) bool {
	if len(r.batch) == cap(r.batch) {
		return false
	}
	held := unsafe.SliceData(b)
	e := r.entry(opSend, fd)
	e.addr, e.len = address(held), uint32(min(len(b), maxBytes))
	r.batch = append(r.batch, sending{user: user, want: len(b), held: held})
	return true
}

// Sendv queues the frames for the socket fd as one send. It answers how many
// of them it took: all, or the first ones when there is no room for more, or
// none when the ring is full. Submit makes room.
func (r *Ring) Sendv(fd int, frames [][]byte, user uint64) int {
	frames = frames[:min(len(frames), maxParts, cap(r.parts)-len(r.parts))]
	if len(frames) == 0 || len(r.batch) == cap(r.batch) {
		return 0
	}
	first, want := len(r.parts), 0
	for _, b := range frames {
		v := unix.Iovec{Base: unsafe.SliceData(b)}
		v.SetLen(len(b))
		r.parts = append(r.parts, v)
		want += len(b)
	}
	m := unix.Msghdr{Iov: &r.parts[first]}
	m.SetIovlen(len(frames))
	r.bursts = append(r.bursts, m)
	e := r.entry(opSendmsg, fd)
	e.addr, e.len = address(&r.bursts[len(r.bursts)-1]), 1
	r.batch = append(r.batch, sending{user: user, want: want})
	return len(frames)
}

// entry is the next free entry, filled but for what is to be sent. The number
// that comes back with its completion is its place in the batch.
func (r *Ring) entry(op uint8, fd int) *sqe {
	at := len(r.batch)
	e := &r.sqes[(*r.sqTail+uint32(at))&uint32(len(r.sqes)-1)]
	*e = sqe{opcode: op, flags: r.flags, fd: int32(fd), msgFlags: r.msgFlags, userData: uint64(at)}
	return e
}

func address[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }
