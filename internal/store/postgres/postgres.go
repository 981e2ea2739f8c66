// Package postgres keeps the record in a PostgreSQL database, 15 or later. What
// it promises is said in package store.
//
// The session that writes holds an advisory lock of the database, so that no
// two servers write to one record: a lock that is lost is lost with the
// session, and so with the ability to write. It needs sessions of its own; a
// pooler in between has to pool sessions, not transactions.
package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
)

//go:embed migrations/*.sql
var migrations embed.FS

// minVersion is the first release that is tested.
const minVersion = 15_00_00

// Config says where the database is.
type Config struct {
	// DSN is a connection string of libpq: a URL or keywords and values.
	DSN string
	// Log gets what no caller can be told; nil means slog.Default().
	Log *slog.Logger
}

// Driver is one database.
type Driver struct {
	dialect.Pools
	cfg    Config
	conn   *pgx.ConnConfig
	name   string // of this process, at the server
	pid    atomic.Int64
	synced string // synchronous_commit of commits that are; for who writes
}

// New gives a driver; it connects to nothing yet.
func New(cfg Config) (*Driver, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	c, err := pgx.ParseConfig(cfg.DSN)
	if err != nil { // which may show the password
		return nil, herald.Errorf(herald.CodeInvalidRequest, "Write for example: postgres://herald@db.example.com/herald?sslmode=verify-full",
			"store.dsn is no connection string of PostgreSQL")
	}
	d := &Driver{cfg: cfg, conn: c, name: "herald-" + rand.Text()[:12]}
	c.ConnectTimeout = dialect.ConnectTime
	c.DialFunc = dialect.Dial
	for k, v := range map[string]string{
		"application_name":                    d.name,
		"statement_timeout":                   "60s",
		"lock_timeout":                        "20s",
		"idle_in_transaction_session_timeout": "60s",
		"client_encoding":                     "UTF8",
	} {
		c.RuntimeParams[k] = v
	}
	return d, nil
}

// Open connects, becomes the one that writes, and migrates.
func (d *Driver) Open(ctx context.Context) (*sql.DB, *sql.Conn, error) {
	d.Writers = stdlib.OpenDB(*d.conn)
	readers := d.conn.Copy()
	readers.RuntimeParams["default_transaction_read_only"] = "on"
	d.Readers = stdlib.OpenDB(*readers)
	d.Limit()

	var version int
	if err := d.Writers.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return nil, nil, unreachable(err)
	}
	if version < minVersion {
		return nil, nil, tooOld(version)
	}
	conn, err := d.Again(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := d.migrate(ctx); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	d.KeepNoWriter()
	return d.Readers, conn, nil
}

// migrate brings the schema forward, by a connection that may take its time: a
// large table is not changed within the bounds of a statement.
func (d *Driver) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := d.patient()
	defer db.Close()
	if err := dialect.Migrate(ctx, goose.DialectPostgres, db, files); err != nil {
		return err
	}
	dialect.Warn(d.cfg.Log, dialect.Checks(ctx, db, settings))
	return nil
}

// The lock belongs to the schema in which the tables are.
const (
	tryLock = "SELECT pg_try_advisory_lock(1212502604, hashtext(current_schema()))"
	// endSession ends the session that this process had before, which may be
	// waiting for a network that is gone.
	endSession = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = $2"
)

// Again connects and takes the lock. Who has it knows that all that the session
// before has sent was done, or never will be: that held the lock until its end.
func (d *Driver) Again(ctx context.Context) (*sql.Conn, error) {
	return d.Writer(ctx, d.hold, unreachable)
}

func (d *Driver) hold(ctx context.Context, conn *sql.Conn) error {
	var pid int64
	// A server that does not sync commits would lose what was answered.
	err := conn.QueryRowContext(ctx, `SELECT pg_backend_pid(), set_config('synchronous_commit', CASE
		WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on' ELSE current_setting('synchronous_commit') END, false)`).Scan(&pid, &d.synced)
	if err != nil {
		return unreachable(err)
	}
	held, err := dialect.Await(ctx, func(ctx context.Context) (held bool, err error) {
		err = conn.QueryRowContext(ctx, tryLock).Scan(&held)
		if last := d.pid.Load(); err == nil && !held && last != 0 {
			_, err = conn.ExecContext(ctx, endSession, last, d.name)
		}
		return held, err
	})
	if err != nil {
		return unreachable(err)
	}
	if !held {
		e := herald.Errorf(herald.CodeStorageUnavailable, "Stop the other server, or give this one a database or schema of its own.",
			"postgres: the database is taken")
		e.RetryAfter, e.Err = time.Second, dialect.ErrHeld
		return e
	}
	d.pid.Store(pid)
	return nil
}

func unreachable(cause error) error {
	e := herald.Errorf(herald.CodeStorageUnavailable, remedy, "postgres: the database cannot be used")
	e.RetryAfter, e.Err = time.Second, cause
	return e
}
