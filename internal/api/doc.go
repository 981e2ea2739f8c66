// Package api is the front door: what a caller may ask of Herald, whoever
// asks it and in whatever protocol. [Service] is concrete; the packages below
// this one (v1, and later other people's APIs) only translate their wire form
// to it.
//
// Every method checks the caller's [Principal] first, then the limits, then
// does the work. Errors are *herald.Error with a remedy. When a method that
// writes returns nil, what it wrote is on stable storage, except for messages
// with TTL 0, which say so.
package api
