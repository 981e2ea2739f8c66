package driver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald/internal/store/dialect"
)

// Attach opens or makes the file for moving rows. There is no lock: who keeps
// processes apart is the caller.
func (d *Driver) Attach(ctx context.Context, _ bool) (*sql.Conn, error) {
	db, err := d.calm()
	if err != nil {
		return nil, err
	}
	d.writers = db
	if err := checkVersion(ctx, db); err != nil {
		return nil, err
	}
	if err := os.Chmod(d.path, 0o600); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlite: opening %s: %w", d.path, err)
	}
	return conn, nil
}

// calm is a pool with one connection, which nobody works beside.
func (d *Driver) calm() (_ *sql.DB, err error) {
	if d.path, err = filepath.Abs(d.cfg.Path); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(d.path, "", "busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(OFF)",
		fmt.Sprintf("cache_size(-%d)", writerCache), "journal_size_limit(67108864)"))
	if err != nil {
		return nil, fmt.Errorf("sqlite: opening %s: %w", d.path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// Raise brings the schema forward.
func (d *Driver) Raise(ctx context.Context, version int64) (err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	db, err := d.calm()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return dialect.Raise(ctx, goose.DialectSQLite3, db, files, version)
}

// Layout says how rows are asked for.
func (d *Driver) Layout() dialect.Layout {
	return dialect.Layout{
		Columns: `SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid`,
		After: []string{"PRAGMA wal_checkpoint(TRUNCATE)"},
	}
}

// Snapshot writes what a database file holds at one moment into another file,
// which must be empty or not there, while a server may be writing to it. The
// copy is compact, has no log beside it, and is synced.
func Snapshot(ctx context.Context, from, to string) error {
	abs, err := filepath.Abs(from)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	// Made here, because SQLite would let others read it.
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(abs, "rw", "busy_timeout(5000)", fmt.Sprintf("cache_size(-%d)", readerCache), "wal_autocheckpoint(0)"))
	if err != nil {
		return errors.Join(fmt.Errorf("sqlite: opening %s: %w", abs, err), f.Close())
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	if err != nil {
		err = fmt.Errorf("sqlite: copying the database: %w", err)
	}
	return errors.Join(err, db.Close(), f.Sync(), f.Close())
}

// Check has SQLite look at a whole file, and gives what is wrong with it.
func Check(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(path, "ro", "query_only(1)"))
	if err != nil {
		return fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	var text string
	err = db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&text)
	if err == nil && text != "ok" {
		err = errors.New(text)
	}
	if err != nil {
		err = fmt.Errorf("sqlite: the database is damaged: %w", err)
	}
	return errors.Join(err, db.Close())
}
