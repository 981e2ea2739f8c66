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
	"net"
	"runtime"
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
	cfg     Config
	conn    *pgx.ConnConfig
	name    string // of this process, at the server
	readers *sql.DB
	writers *sql.DB // of which one connection is used
	pid     atomic.Int64
	synced  string // synchronous_commit of commits that are; for who writes
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
	d.writers = stdlib.OpenDB(*d.conn)
	d.writers.SetMaxOpenConns(1)
	readers := d.conn.Copy()
	readers.RuntimeParams["default_transaction_read_only"] = "on"
	d.readers = stdlib.OpenDB(*readers)
	d.readers.SetMaxOpenConns(connections())
	d.readers.SetMaxIdleConns(connections())
	d.readers.SetConnMaxIdleTime(10 * time.Minute)

	var version int
	if err := d.writers.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return nil, nil, unreachable(err)
	}
	if version < minVersion {
		return nil, nil, herald.Errorf(herald.CodeConflict, "Use PostgreSQL 15 or later.", "postgres: the server has version %d.%d", version/10000, version%10000)
	}
	conn, err := d.Again(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := d.migrate(ctx); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	// A connection that lay idle may be lost, which nobody has noticed.
	d.writers.SetMaxIdleConns(-1)
	return d.readers, conn, nil
}

// migrate brings the schema forward, by a connection that may take its time: a
// large table is not changed within the bounds of a statement.
func (d *Driver) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	c := d.conn.Copy()
	c.RuntimeParams["statement_timeout"] = "0"
	c.DialFunc = (&net.Dialer{Timeout: dialect.ConnectTime}).DialContext
	db := stdlib.OpenDB(*c)
	defer db.Close()
	if err := dialect.Migrate(ctx, goose.DialectPostgres, db, files); err != nil {
		return err
	}
	dialect.Warn(d.cfg.Log, dialect.Checks(ctx, db, settings))
	return nil
}

// connections is how many read at once.
func connections() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// Forget closes the idle connections of the readers.
func (d *Driver) Forget() {
	d.readers.SetMaxIdleConns(-1)
	d.readers.SetMaxIdleConns(connections())
}

// Close closes the pools.
func (d *Driver) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{d.readers, d.writers} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
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
	conn, err := d.writers.Conn(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	if err := d.hold(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
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
			"postgres: another herald writes to this database")
		e.RetryAfter = time.Second
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
