//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is a queue of sends and the memory that it shares with the kernel.
type Ring struct {
	k       kernel
	fd      int
	queues  []byte // both queues, mapped
	entries []byte // the submission entries, mapped

	sqTail, cqHead, cqTail *uint32
	sqes                   []sqe
	cqes                   []cqe

	batch  []sending // queued since the last Submit
	bursts []unix.Msghdr
	parts  []unix.Iovec
	missed []miss

	flags    uint8  // of every entry; 0, except in the benchmark
	msgFlags uint32 // of every send
	broken   error  // why nothing can be sent any more
}

// sending is a queued send. The kernel has the address of its bytes as a
// number, which the garbage collector does not see, so they are held here
// until the kernel is done with them. Being stored here also makes the
// compiler keep them on the heap, where nothing moves; a stack does.
type sending struct {
	user uint64
	want int
	held *byte
	done bool
}

// miss is a send that was not taken whole.
type miss struct {
	user uint64
	n    int
	err  syscall.Errno
}

// New makes a ring for batches of up to entries sends; the kernel rounds that
// up to a power of two and caps it. The error says why there can be none, for
// one line in the log: the caller uses write(2) then.
func New(entries uint32) (*Ring, error) {
	return open(linux(), entries, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func open(k kernel, entries, msgFlags uint32) (*Ring, error) {
	// COOP_TASKRUN spares the interrupt of a running thread, SUBMIT_ALL goes on
	// after an entry that the kernel refuses.
	p := params{flags: setupClamp | setupSubmitAll | setupCoopTaskrun}
	fd, errno := k.setup(entries, &p)
	if errno != 0 {
		return nil, fmt.Errorf("uring: %s: %w", refusal(errno), errno)
	}
	r := &Ring{k: k, fd: fd, msgFlags: msgFlags}
	err := r.probe(p.features)
	if err == nil {
		err = r.share(&p)
	}
	if err == nil {
		err = r.trial()
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("uring: %w", err)
	}
	return r, nil
}

// refusal says in words what an error of io_uring_setup means.
func refusal(errno syscall.Errno) string {
	switch errno {
	case unix.ENOSYS:
		return "the kernel has no io_uring, or a container hides it"
	case unix.EPERM, unix.EACCES:
		return "io_uring is forbidden here, by a container or by sysctl kernel.io_uring_disabled"
	case unix.EINVAL:
		return "the kernel is older than 5.19"
	case unix.ENOMEM:
		return "no memory for a ring within the limits"
	}
	return "io_uring_setup"
}

// share maps the queues; what is where in them is in p.
func (r *Ring) share(p *params) error {
	size := max(p.sq.array+p.sqEntries*uint32(unsafe.Sizeof(uint32(0))), p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	var err error
	if r.queues, err = r.mapped(offsetQueues, uintptr(size)); err != nil {
		return err
	}
	if r.entries, err = r.mapped(offsetEntries, uintptr(p.sqEntries)*unsafe.Sizeof(sqe{})); err != nil {
		return err
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.queues[offset])) }
	r.sqTail, r.cqHead, r.cqTail = at(p.sq.tail), at(p.cq.head), at(p.cq.tail)
	r.sqes = unsafe.Slice((*sqe)(unsafe.Pointer(&r.entries[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Pointer(&r.queues[p.cq.cqes])), p.cqEntries)
	// The kernel finds the entries through an array of indices: entry i is
	// always at place i.
	order := unsafe.Slice(at(p.sq.array), p.sqEntries)
	for i := range order {
		order[i] = uint32(i)
	}
	// These never grow: the kernel is given addresses within them.
	r.batch = make([]sending, 0, p.sqEntries)
	r.bursts = make([]unix.Msghdr, 0, p.sqEntries)
	r.parts = make([]unix.Iovec, 0, p.sqEntries*partsPerSend)
	return nil
}

func (r *Ring) mapped(offset int64, size uintptr) ([]byte, error) {
	mem, err := unix.Mmap(r.fd, offset, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("mapping the queues: %w", err)
	}
	return mem, nil
}

// Queued is how many sends wait for Submit.
func (r *Ring) Queued() int { return len(r.batch) }

// Close gives the ring back. What is queued is not sent.
func (r *Ring) Close() {
	if r.broken == nil {
		r.broken = ErrClosed
	}
	if r.fd < 0 {
		return
	}
	if r.entries != nil {
		_ = unix.Munmap(r.entries)
	}
	if r.queues != nil {
		_ = unix.Munmap(r.queues)
	}
	_ = unix.Close(r.fd)
	*r = Ring{fd: -1, broken: r.broken}
}

// ErrClosed is what Submit answers after Close.
var ErrClosed = errors.New("uring: closed")
