// Package store keeps the record in an SQL database. What the kinds of databases
// do each in their own way is in a driver (see package dialect); the folders
// below have one each.
//
// Guarantees. A write that returns nil is durable. Writes of all callers are
// put together into group commits by one goroutine on one connection, so that a
// thousand callers share one sync. Within an app, log positions, ordinals and
// delivery numbers are taken inside that commit: what is visible has no holes.
// What was written with a checksum is checked when it is read; a mismatch is an
// error and never wrong data.
//
// A disk that fails a write or a sync is not trusted again: from then on
// every write is refused until the process restarts and the database recovers
// from its log. A full disk fails only the commits that did not fit.
package store
