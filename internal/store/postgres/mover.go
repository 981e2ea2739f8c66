package postgres

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
)

// Attach connects for moving rows.
func (d *Driver) Attach(ctx context.Context, lock bool) (*sql.Conn, error) {
	d.Writers = d.patient()
	d.Writers.SetMaxOpenConns(1)
	var version int
	if err := d.Writers.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return nil, unreachable(err)
	}
	if version < minVersion {
		return nil, tooOld(version)
	}
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
func (d *Driver) patient() *sql.DB {
	c := d.conn.Copy()
	c.RuntimeParams["statement_timeout"] = "0"
	c.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	c.DialFunc = (&net.Dialer{Timeout: dialect.ConnectTime}).DialContext
	return stdlib.OpenDB(*c)
}

// Raise brings the schema forward.
func (d *Driver) Raise(ctx context.Context, version int64) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := d.patient()
	defer func() { err = errors.Join(err, db.Close()) }()
	return dialect.Raise(ctx, goose.DialectPostgres, db, files, version)
}

// Layout says how rows are asked for.
func (d *Driver) Layout() dialect.Layout {
	return dialect.Layout{
		Columns:  "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position",
		Numbered: true,
		// Rows came with the numbers that they have, which the counter does not
		// know of; and the planner knows nothing of tables that were filled.
		After: []string{
			"SELECT setval(pg_get_serial_sequence('job', 'id'), COALESCE((SELECT MAX(id) FROM job), 0) + 1, false)",
			"ANALYZE",
		},
	}
}

func tooOld(version int) error {
	return herald.Errorf(herald.CodeConflict, "Use PostgreSQL 15 or later.", "postgres: the server has version %d.%d", version/10000, version%10000)
}
