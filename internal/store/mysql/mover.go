package mysql

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald/internal/store/dialect"
)

// Attach connects for moving rows.
func (d *Driver) Attach(ctx context.Context, lock bool) (*sql.Conn, error) {
	if _, err := d.version(ctx); err != nil {
		return nil, err
	}
	var err error
	if d.Writers, err = d.patient(); err != nil {
		return nil, err
	}
	d.Writers.SetMaxOpenConns(1)
	if lock {
		return d.Again(ctx)
	}
	conn, err := d.Writers.Conn(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	return conn, nil
}

// patient is a pool whose statements may take their time.
func (d *Driver) patient() (*sql.DB, error) {
	c := d.conn.Clone()
	c.ReadTimeout, c.WriteTimeout = 0, 0
	delete(c.Params, statementTime)
	// A row that is numbered 0 keeps its number.
	c.Params["sql_mode"] = strings.TrimSuffix(c.Params["sql_mode"], "'") + ",NO_AUTO_VALUE_ON_ZERO'"
	return pool(c)
}

// Raise brings the schema forward.
func (d *Driver) Raise(ctx context.Context, version int64) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db, err := d.patient()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return dialect.Raise(ctx, goose.DialectMySQL, db, files, version)
}

// Layout says how rows are asked for.
func (d *Driver) Layout() dialect.Layout {
	return dialect.Layout{
		Columns: "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
		Apart:   true,
		Bytes:   true,
	}
}
