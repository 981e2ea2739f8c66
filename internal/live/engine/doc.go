// Package engine drives live connections on event loops. While a connection is
// idle it holds no goroutine, no buffer and no timer: only what the kernel has
// of its socket, and one small struct.
//
// A loop has two goroutines. One waits for readiness, reads, and calls the
// handlers; the other writes. [live.Conn.Send] puts a frame into the queue of
// its connection, and the connection on the list of those for which something
// waits. The writer takes the whole list at a time, so that what is sent in a
// burst leaves together, and nobody who sends waits for the kernel.
//
// A [Front] is in the place of net/http's server: it reads the heads of
// requests, serves those of the hot paths on the loops, and gives every other
// connection to net/http with the bytes that have come. What a Front serves
// itself, it hands to the same http.Handler.
//
// Locks: conn.handling makes the calls of a handler one at a time; conn.mu
// guards the queue and is taken last.
package engine
