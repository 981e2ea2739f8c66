//go:build !faults

package faults

import "time"

// Point is a place at which a test may end the process.
func Point(string) {}

// Now is the clock.
func Now() time.Time { return time.Now() }

// Synchronous is the SQLite setting of that name.
func Synchronous() string { return "FULL" }

// Cramped reports whether the server is to keep next to nothing in memory.
func Cramped() bool { return false }

// Disk puts a layer under the files of the database.
func Disk() {}
