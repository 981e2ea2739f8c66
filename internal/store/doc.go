// Package store keeps the record in one SQLite file: the store of a Herald
// that runs on one machine.
//
// Guarantees. A write that returns nil has been synced to the disk (WAL,
// synchronous=FULL). Writes of all callers are put together into group
// commits by one goroutine, so that a thousand callers share one sync. Within
// an app, log positions, ordinals and delivery numbers are taken inside that
// commit: what is visible has no holes. What was written with a checksum is
// checked when it is read; a mismatch is an error and never wrong data.
//
// A disk that fails a write or a sync is not trusted again: from then on
// every write is refused until the process restarts and SQLite recovers from
// its log. A full disk fails only the commits that did not fit.
package store
