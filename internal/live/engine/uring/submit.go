//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// patience is how often in a row the kernel may do nothing, for want of
// memory, before the ring is given up.
const patience = 16

// Submit sends what is queued, in one system call as a rule, and returns when
// nothing of it is in flight. Before that it calls unsent for each send that
// was not taken whole: n bytes were (n may be 0), and err is the error of
// send(2), or 0 after a short send. EAGAIN means, as ever, that the socket
// becomes writable later. unsent may queue sends for the next Submit.
//
// An error of Submit is final: the caller closes the ring and uses write(2).
// Even then each send of the batch is accounted for. ECANCELED: it never
// reached the kernel and may be written. EIO: it did, without an answer, and
// nobody knows how much was sent, so that the connection must be closed.
func (r *Ring) Submit(unsent func(user uint64, n int, err syscall.Errno)) error {
	if r.broken != nil || len(r.batch) == 0 {
		return r.broken
	}
	atomic.StoreUint32(r.sqTail, *r.sqTail+uint32(len(r.batch)))
	taken, errno, whole := r.complete()
	// The bytes were the kernel's until here.
	runtime.KeepAlive(r)
	if !whole {
		r.broken = fmt.Errorf("uring: io_uring_enter took %d of %d sends and went no further: %w", taken, len(r.batch), errno)
		r.account(taken)
		r.batch, r.parts = nil, nil // without room: Send takes nothing more
	}
	clear(r.batch)
	clear(r.parts)
	r.batch, r.bursts, r.parts = r.batch[:0], r.bursts[:0], r.parts[:0]

	missed := r.missed
	r.missed = nil
	for _, m := range missed {
		unsent(m.user, m.n, m.err)
	}
	r.missed = missed[:0]
	return r.broken
}

// complete hands the batch over until each send has its completion. Sends
// that do not block complete within the call that submits them, so there is
// no second one but when the kernel stops half-way. It answers how many
// entries the kernel took, and the error that ended it before the whole.
func (r *Ring) complete() (taken int, errno syscall.Errno, whole bool) {
	for done, idle := 0, 0; done < len(r.batch); {
		n := 0
		if taken < len(r.batch) {
			n, errno = r.k.enter(r.fd, uint32(len(r.batch)-taken), 0, 0)
		} else {
			_, errno = r.k.enter(r.fd, 0, uint32(len(r.batch)-done), enterGetEvents)
		}
		came := r.reap()
		taken, done = taken+n, done+came
		switch {
		case n > 0 || came > 0:
			idle = 0
		case errno == unix.EINTR:
		case idle < patience && (errno == 0 || errno == unix.EAGAIN || errno == unix.EBUSY || errno == unix.ENOMEM):
			idle++
			runtime.Gosched()
		default:
			return taken, errno, false
		}
	}
	return taken, 0, true
}

// reap takes the completions that are there, notes what was not sent whole
// and answers how many there were.
func (r *Ring) reap() int {
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	n := int(tail - head)
	for ; head != tail; head++ {
		c := r.cqes[head&uint32(len(r.cqes)-1)]
		s := &r.batch[c.userData]
		s.done = true
		if c.res < 0 {
			r.missed = append(r.missed, miss{s.user, 0, syscall.Errno(-c.res)})
		} else if int(c.res) < s.want {
			r.missed = append(r.missed, miss{s.user, int(c.res), 0})
		}
	}
	atomic.StoreUint32(r.cqHead, head)
	return n
}

// account notes, for a ring that broke, the sends without a completion.
func (r *Ring) account(taken int) {
	for i, s := range r.batch {
		switch {
		case s.done:
		case i < taken:
			r.missed = append(r.missed, miss{s.user, 0, unix.EIO})
		default:
			r.missed = append(r.missed, miss{s.user, 0, unix.ECANCELED})
		}
	}
}
