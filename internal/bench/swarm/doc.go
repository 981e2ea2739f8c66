// Package swarm is the load of "herald bench": thousands of clients of a
// server in one thread, on raw epoll, so that they take as little as can be of
// the processors that they share with the server. A swarm runs in a process of
// its own and is led over its standard input and output.
//
// Each client checks all that it gets: that nothing is missing, nothing comes
// twice or in another order, and that every payload is whole. What is wrong
// fails the command that waits, with the client and what was wrong.
//
// The protocols are parsed on every system; clients connect on Linux only.
package swarm
