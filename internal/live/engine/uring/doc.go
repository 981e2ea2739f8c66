// Package uring sends to many sockets with one system call: a batch of sends
// is queued on an io_uring and submitted together. It is for the writer of an
// event loop, whose sockets are nonblocking and whose frames are shared and
// never change. It needs Linux 5.19 or newer on amd64 or arm64, and a
// container that allows io_uring; New says why where there is none, and
// write(2) does the same work then.
//
// Guarantees:
//
//   - A send never blocks and raises no signal (MSG_DONTWAIT, MSG_NOSIGNAL).
//   - Every send has its own completion, and Submit returns when all of them
//     are in: nothing is in flight between two Submits, and what was not sent
//     whole is always reported, with how much of it was.
//   - Sends are made in the order in which they were queued.
//
// Duties of the caller:
//
//   - One goroutine at a time uses a Ring.
//   - Until Submit returns, the bytes do not change and the descriptors stay
//     open: a number that is closed and given out again would take the bytes
//     of another connection.
//   - One socket has at most one send in a batch. Were there two, the first
//     could be cut short and the second, if room came between them, sent all
//     the same. Sendv is for several frames of one socket.
//
// # What was tried and left out
//
// BenchmarkSend and BenchmarkBurst compare these ways, each in the same run:
//
//   - IOSQE_CQE_SKIP_SUCCESS, no completion for a success, saves nothing that
//     stands out from the spread. It is also a trap: the kernel takes a short
//     send for a success, and only MSG_WAITALL makes it count as a failure.
//   - Registered files save nothing that stands out either, cost a system call
//     for each connection, and hold a socket open after its close(2).
//   - IORING_SETUP_SINGLE_ISSUER binds the ring to a thread, and a goroutine
//     to LockOSThread, and with IORING_SETUP_DEFER_TASKRUN it gains nothing
//     for sends that complete within the call that submits them.
//   - Linked sends complete one after the other through task work and cost
//     more than a write(2) for each; Sendv is one operation.
package uring
