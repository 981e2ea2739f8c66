// Package faults holds what the tests under test/faults need inside the
// server: places at which the process can be made to end, a clock that can be
// set forward, a disk that can lose its power, fill up and fail, a memory
// without room, and defects that can be planted, so that the checker of
// docs/guarantees.md is seen to find them.
//
// Without the build tags "faults" and "planted" every function here is empty
// or a constant, the compiler leaves no trace of a call, and the environment
// is not read. A release is built without them.
package faults
