// Package moving takes the rows of a record out of one database and puts them
// into another, of the same or another kind, as they are. It knows no table by
// name but meta: what is to be moved is what the migrations make, so that a new
// table needs no line here.
//
// Guarantees. A database into which rows are being moved bears a mark from
// before the first row on, with which no server starts. What was interrupted
// goes on where it was. Before the mark is taken away, all rows of both sides
// have been compared, byte by byte.
package moving

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
)

// Table is a table of the record.
type Table struct {
	Name    string
	Columns []Column
	Key     []int // the places in Columns of the primary key, in its order
}

// Column is a column of a table.
type Column struct {
	Name string
	Kind Kind
	// Sums is the place of the column whose CRC-32C this one is; -1 if it is no
	// checksum.
	Sums int
}

// Kind is what a column holds.
type Kind string

// The kinds, as SQLite calls them.
const (
	Number   Kind = "INTEGER"
	Fraction Kind = "REAL"
	Text     Kind = "TEXT"
	Bytes    Kind = "BLOB"
)

// versions is the table in which migrations are noted, each database for itself.
const versions = "goose_db_version"

// metaTable has rows that are of the database, not of the record.
const metaTable = "meta"

// Tables gives the tables of a version of the schema, in the order of their
// names; 0 is the newest. It makes an empty database and looks at it.
func Tables(ctx context.Context, version int64) (_ []Table, err error) {
	dir, err := os.MkdirTemp("", "herald-schema-")
	if err != nil {
		return nil, fmt.Errorf("moving: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := driver.New(driver.Config{Path: filepath.Join(dir, "empty.db")})
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Raise(ctx, version); err != nil {
		return nil, err
	}
	conn, err := d.Attach(ctx, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return read(ctx, conn)
}

func read(ctx context.Context, conn *sql.Conn) ([]Table, error) {
	rows, err := conn.QueryContext(ctx, `SELECT m.name, c.name, c.type, c.pk FROM sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> ? ORDER BY m.name, c.cid`, versions)
	if err != nil {
		return nil, fmt.Errorf("moving: reading the schema: %w", err)
	}
	defer rows.Close()
	var out []Table
	var places []int // in the key, from 1, of the columns of the last table
	for rows.Next() {
		var table string
		var c Column
		var pk int
		if err := rows.Scan(&table, &c.Name, &c.Kind, &pk); err != nil {
			return nil, fmt.Errorf("moving: reading the schema: %w", err)
		}
		if len(out) == 0 || out[len(out)-1].Name != table {
			out, places = append(out, Table{Name: table}), nil
		}
		t := &out[len(out)-1]
		c.Sums = -1
		if strings.HasSuffix(c.Name, "crc") {
			c.Sums = len(t.Columns) - 1 // what is summed stands before its sum
		}
		t.Columns = append(t.Columns, c)
		if places = append(places, pk); pk > 0 {
			t.Key = append(t.Key, len(t.Columns)-1)
			slices.SortFunc(t.Key, func(a, b int) int { return places[a] - places[b] })
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("moving: reading the schema: %w", err)
	}
	return out, nil
}

// Check refuses a database that does not have these tables with these columns.
// There may be others, which belong to somebody else.
func Check(ctx context.Context, db querier, layout dialect.Layout, tables []Table) error {
	have, err := columns(ctx, db, layout)
	if err != nil {
		return err
	}
	for _, t := range tables {
		var want []string
		for _, c := range t.Columns {
			want = append(want, c.Name)
		}
		got := have[t.Name]
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return herald.Errorf(herald.CodeConflict, "Start and stop a server of this release on the database first; then try again.",
				"table %s of the database has the columns %v, and not %v", t.Name, got, want)
		}
	}
	return nil
}

// columns gives the names of the columns of each table.
func columns(ctx context.Context, db querier, layout dialect.Layout) (map[string][]string, error) {
	rows, err := db.QueryContext(ctx, layout.Columns)
	if err != nil {
		return nil, fmt.Errorf("moving: reading the schema: %w", err)
	}
	defer rows.Close()
	out := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, fmt.Errorf("moving: reading the schema: %w", err)
		}
		out[table] = append(out[table], column)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("moving: reading the schema: %w", err)
	}
	return out, nil
}

// Version is the schema of a database; 0 if it has none.
func Version(ctx context.Context, db querier, layout dialect.Layout) (int64, error) {
	have, err := columns(ctx, db, layout)
	if err != nil || have[versions] == nil {
		return 0, err
	}
	return dialect.Version(ctx, db)
}

// querier reads: a connection or a transaction.
type querier interface {
	dialect.Queryer
	QueryContext(ctx context.Context, q string, args ...any) (*sql.Rows, error)
}

// statement puts together a statement with parameters.
type statement struct {
	strings.Builder
	numbered bool
	n        int
}

func (s *statement) parameter() {
	s.n++
	if s.numbered {
		s.WriteString("$" + strconv.Itoa(s.n))
	} else {
		s.WriteByte('?')
	}
}

func (s *statement) list(n int, one func(i int)) {
	for i := range n {
		if i > 0 {
			s.WriteString(", ")
		}
		one(i)
	}
}

func quoted(name string) string { return `"` + name + `"` }
