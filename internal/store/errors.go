package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// retryAfter is what callers are told when storage fails.
const retryAfter = time.Second

// errClosed is the cause when a closed database is asked to write.
var errClosed = errors.New("sqlite: the database is closed")

// code gives the primary result code of SQLite (the low byte of the extended
// one), or 0 if the error is not SQLite's.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// fatal reports whether the disk or the file cannot be trusted any more.
// After a failed sync the kernel may have dropped the pages that it could not
// write, and a second sync would report success without them.
func fatal(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// shared reports whether the error is about the database, not about the
// operation that met it: repeating operations one by one would not help.
func shared(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return fatal(err)
}

// wrap gives an error the form that callers of an API may see. What is one of
// theirs already, and the end of a context, pass unchanged.
func wrap(err error) error {
	var known *herald.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT:
		e := herald.Errorf(herald.CodeConflict, "Read what is there, and decide again.", "sqlite: a row with this key exists already")
		e.Err = err
		return e
	case sqlite3.SQLITE_FULL:
		return unavailable("Free space on the disk that holds the data folder; then repeat the call.", err)
	}
	return unavailable("Repeat the call; if it goes on, look at the disk and the log of the server.", err)
}

func unavailable(remedy string, cause error) *herald.Error {
	e := herald.Errorf(herald.CodeStorageUnavailable, remedy, "sqlite: the database did not do it")
	e.RetryAfter, e.Err = retryAfter, cause
	return e
}

// failedError is what writes are answered after the disk has failed.
func failedError(cause error) *herald.Error {
	e := unavailable("Check the disk that holds the data folder, then restart the server: it recovers from its log.", cause)
	e.Message = "sqlite: the disk has failed, nothing is written until a restart"
	return e
}

// damaged is a row whose bytes are not what was written.
func damaged(row string, cause error) *herald.Error {
	e := unavailable("Restore the data folder from a backup; the disk has changed stored bytes.", cause)
	e.Message = "sqlite: " + row + " is damaged"
	e.Err = record.ErrDamaged
	if cause != nil {
		e.Err = fmt.Errorf("%w: %w", record.ErrDamaged, cause)
	}
	return e
}

func notFound(what, remedy string) *herald.Error {
	return herald.Errorf(herald.CodeNotFound, remedy, "there is no such %s", what)
}
