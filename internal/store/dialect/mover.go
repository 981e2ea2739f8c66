package dialect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/herald-push/herald"
)

// Mover is a driver whose rows can be taken out and put in as they are, for
// backups and for moving to another database. It is used in the place of
// Opener.Open, by one goroutine; Opener.Close ends it.
type Mover interface {
	// Attach connects to a database of whatever schema, and changes nothing. Its
	// statements may take their time. With lock it is the one that writes, as a
	// server is, until the connection is closed; if a server is there the error
	// wraps ErrHeld.
	Attach(ctx context.Context, lock bool) (*sql.Conn, error)
	// Raise brings the schema forward to a version, or to the newest for 0.
	Raise(ctx context.Context, version int64) error
	// Layout says how to ask for tables and rows.
	Layout() Layout
}

// Layout is how rows are asked for, where databases differ.
type Layout struct {
	// Columns is a query for the names of all tables and their columns.
	Columns string
	// Numbered writes parameters as $1, $2.
	Numbered bool
	// Apart compares keys of several columns one by one: the database finds no
	// range by (a, b) > (?, ?).
	Apart bool
	// Bytes says that texts are written as bytes.
	Bytes bool
	// After is run when all rows are there.
	After []string
}

// ErrHeld says that another process writes to the database.
var ErrHeld = errors.New("another herald writes to it")

// Names of rows of the table meta that say what is wrong with a database.
const (
	// MarkMoving is there while rows are moved in, so that half of them are never
	// taken for all. Its value is what is moved.
	MarkMoving = "moving"
	// MarkMoved is there when everything was moved to another database. Its
	// value says where to.
	MarkMoved = "moved"
)

// OwnMeta are the rows of meta that belong to a database and not to the record
// in it: they are not moved.
var OwnMeta = []string{"probe", "group", MarkMoving, MarkMoved}

// Queryer is what runs a query: a pool, a connection or a transaction.
type Queryer interface {
	QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row
}

// Mark gives the value of a row of meta; "" if it is not there. The name is one
// of the constants above.
func Mark(ctx context.Context, db Queryer, name string) (string, error) {
	var value []byte
	err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = '"+name+"'").Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("store: reading the mark %s: %w", name, err)
	}
	return string(value), nil
}

// Version is the schema of a database that has one.
func Version(ctx context.Context, db Queryer) (version int64, err error) {
	if err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version").Scan(&version); err != nil {
		err = fmt.Errorf("store: reading the version of the schema: %w", err)
	}
	return version, err
}

// whole refuses a database that is half of another one, or was left.
func whole(ctx context.Context, db Queryer) error {
	moving, err := Mark(ctx, db, MarkMoving)
	if err != nil {
		return err
	}
	if moving != "" {
		return herald.Errorf(herald.CodeConflict, "Run herald migrate-store or herald restore again: it goes on where it was interrupted.",
			"the database is not whole: rows were being moved into it")
	}
	moved, err := Mark(ctx, db, MarkMoved)
	if err != nil || moved == "" {
		return err
	}
	return herald.Errorf(herald.CodeConflict, "Set store.driver and store.dsn to where it is now; or, if nothing has happened there, go back with herald migrate-store --reopen.",
		"the record was moved from this database to %s", moved)
}
