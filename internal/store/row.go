package store

import (
	"context"
	"database/sql"
	"hash/crc32"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// castagnoli is CRC-32C (RFC 3720, section 12.1), for which processors have
// an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) int64 { return int64(crc32.Checksum(b, castagnoli)) }

// verify checks bytes against the checksum beside them; row names them in the
// error.
func verify(b []byte, crc int64, row func() string) error {
	if checksum(b) != crc {
		return damaged(row(), nil)
	}
	return nil
}

// parseSet reads a set that was stored with a checksum.
func parseSet(b []byte, crc int64, row func() string) (*sets.Set, error) {
	if err := verify(b, crc, row); err != nil {
		return nil, err
	}
	s, err := record.ParseSet(b)
	if err != nil {
		return nil, damaged(row(), err)
	}
	return s, nil
}

// Times are stored as Unix milliseconds; 0 stands for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// blob gives bytes for a column that takes no NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// inSlice is how many values one IN list takes.
const inSlice = 250

// in gives n placeholders for an IN list.
func in(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }

// short is the context of a statement that reads a few rows by their keys, which
// every device that connects asks for. It ends by itself before anybody could
// end it, and to watch for that takes two goroutines and more time than the rows.
func short(ctx context.Context) (context.Context, error) {
	return context.WithoutCancel(ctx), ctx.Err()
}

// queryer is what reads: a pool, or a snapshot of it.
type queryer interface {
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
}

// scan walks the rows of a query. each must not call the database: it holds
// one of few reading connections.
func scan(ctx context.Context, from queryer, q string, args []any, each func(*sql.Rows) error) error {
	rows, err := from.QueryContext(ctx, q, args...)
	if err != nil {
		return wrap(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return wrap(rows.Err())
}

// deleteNamed deletes the row of an app that has a name in a column; without one
// it answers missing.
func (db *DB) deleteNamed(ctx context.Context, app herald.AppKey, table, column, name string, missing func() error) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		n, err := t.exec("DELETE FROM "+table+" WHERE app = ? AND "+column+" = ?", a, name)
		if err == nil && n == 0 {
			err = missing()
		}
		return err
	})
}
