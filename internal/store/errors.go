package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/dialect"
)

// retryAfter is what callers are told when storage fails.
const retryAfter = time.Second

// errClosed is the cause when a closed database is asked to write.
var errClosed = errors.New("store: the database is closed")

// fatal reports whether the disk or the file cannot be trusted any more.
func (db *DB) fatal(err error) bool { return db.driver.Kind(err) == dialect.Broken }

// kind is that of the driver, but for what the store says itself.
func (db *DB) kind(err error) dialect.Kind {
	if errors.Is(err, errLost) {
		return dialect.Lost
	}
	return db.driver.Kind(err)
}

// Lost reports whether an error says that the database server cannot be reached,
// or has ended the connection: the same may succeed when it is back. It is false
// for a file, which has nowhere to go.
func (db *DB) Lost(err error) bool {
	return db.w.link.remote != nil && db.kind(err) == dialect.Lost
}

// shared reports whether the error is about the database, not about the
// operation that met it: repeating operations one by one would not help.
func (db *DB) shared(err error) bool {
	switch db.kind(err) {
	case dialect.Shared, dialect.Full, dialect.Lost, dialect.Broken:
		return true
	}
	return false
}

// explain is wrap for an error of a commit, of which more can be said.
func (db *DB) explain(err error) error {
	if known(err) {
		return err
	}
	switch db.kind(err) {
	case dialect.Conflict:
		e := herald.Errorf(herald.CodeConflict, "Read what is there, and decide again.", "store: a row with this key exists already")
		e.Err = err
		return e
	case dialect.Full:
		return unavailable("Free space on the disk that holds the database; then repeat the call.", err)
	}
	return unavailable(db.driver.Remedy(), err)
}

// wrap gives an error the form that callers of an API may see. What is one of
// theirs already, and the end of a context, pass unchanged.
func wrap(err error) error {
	if known(err) {
		return err
	}
	return unavailable("Repeat the call; if it goes on, look at the database and the log of the server.", err)
}

// known reports whether callers may see an error as it is.
func known(err error) bool {
	var e *herald.Error
	return err == nil || errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func unavailable(remedy string, cause error) *herald.Error {
	e := herald.Errorf(herald.CodeStorageUnavailable, remedy, "store: the database did not do it")
	e.RetryAfter, e.Err = retryAfter, cause
	return e
}

// failedError is what writes are answered after the disk has failed.
func failedError(cause error) *herald.Error {
	e := unavailable("Check the disk that holds the data folder, then restart the server: it recovers from its log.", cause)
	e.Message = "store: the disk has failed, nothing is written until a restart"
	return e
}

// damaged is a row whose bytes are not what was written.
func damaged(row string, cause error) *herald.Error {
	e := unavailable("Restore the data folder from a backup; the disk has changed stored bytes.", cause)
	e.Message = "store: " + row + " is damaged"
	e.Err = record.ErrDamaged
	if cause != nil {
		e.Err = fmt.Errorf("%w: %w", record.ErrDamaged, cause)
	}
	return e
}

func notFound(what, remedy string) *herald.Error {
	return herald.Errorf(herald.CodeNotFound, remedy, "there is no such %s", what)
}
