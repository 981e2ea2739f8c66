// Package mysql keeps the record in a MariaDB database, 10.11 or later, or in
// one of MySQL 8, to whose SQL it keeps and on which it is not tested. What it
// promises is said in package store.
//
// The session that writes holds a named lock of the server, so that no two
// servers write to one record: a lock that is lost is lost with the session,
// and so with the ability to write.
package mysql

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pressly/goose/v3"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where the database is.
type Config struct {
	// DSN is user:password@tcp(host:port)/database, or with unix(socket).
	DSN string
	// Log gets what no caller can be told; nil means slog.Default().
	Log *slog.Logger
}

// Driver is one database.
type Driver struct {
	dialect.Pools
	cfg  Config
	conn *mysql.Config
	lock string
	id   atomic.Int64
}

// New gives a driver; it connects to nothing yet.
func New(cfg Config) (*Driver, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	c, err := mysql.ParseDSN(cfg.DSN)
	if err != nil || c.DBName == "" { // the error may show the password
		return nil, herald.Errorf(herald.CodeInvalidRequest, "Write for example: herald:password@tcp(db.example.com:3306)/herald?tls=true",
			"store.dsn is no data source name of MySQL with a database")
	}
	// The lock is of the whole server, and a name has at most 64 characters.
	sum := sha256.Sum256([]byte(c.DBName))
	d := &Driver{cfg: cfg, conn: c, lock: "herald-" + hex.EncodeToString(sum[:16])}
	c.Timeout, c.ReadTimeout, c.WriteTimeout = dialect.ConnectTime, dialect.AnswerTime, dialect.AnswerTime
	c.ClientFoundRows, c.InterpolateParams, c.MultiStatements, c.ParseTime = true, false, false, false
	c.Logger = quiet{}
	if err := c.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	// Wrong values are errors, and "quoted" is a name.
	c.Params["sql_mode"] = "'ANSI_QUOTES,STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
	c.Params["time_zone"] = "'+00:00'"
	return d, nil
}

// quiet drops what the library would write to the standard error: it is in the
// errors too.
type quiet struct{}

func (quiet) Print(...any) {}

// Open connects, becomes the one that writes, and migrates.
func (d *Driver) Open(ctx context.Context) (*sql.DB, *sql.Conn, error) {
	version, err := d.version(ctx)
	if err != nil {
		return nil, nil, err
	}
	if strings.Contains(version, "MariaDB") {
		d.conn.Params[statementTime] = "60" // seconds; MySQL knows no bound for what is not a SELECT
	}
	if d.Writers, err = pool(d.conn); err != nil {
		return nil, nil, err
	}
	if d.Readers, err = pool(d.conn); err != nil {
		return nil, nil, err
	}
	d.Limit()
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

// statementTime is the variable that ends a statement of MariaDB.
const statementTime = "max_statement_time"

// version asks the server for its version, and refuses one that is too old.
func (d *Driver) version(ctx context.Context) (v string, err error) {
	db, err := pool(d.conn)
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&v); err != nil {
		return "", unreachable(err)
	}
	if !supported(v) {
		return "", herald.Errorf(herald.CodeConflict, "Use MariaDB 10.11 or later, or MySQL 8.0.", "mysql: the server has version %s", v)
	}
	return v, nil
}

func pool(c *mysql.Config) (*sql.DB, error) {
	connector, err := mysql.NewConnector(c.Clone())
	if err != nil {
		return nil, fmt.Errorf("mysql: %w", err)
	}
	return sql.OpenDB(connector), nil
}

// supported reports whether a version has what is needed: JSON_TABLE and
// recursive queries.
func supported(version string) bool {
	number, _, _ := strings.Cut(version, "-")
	parts := strings.Split(number, ".")
	if len(parts) < 2 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	switch {
	case err1 != nil || err2 != nil:
		return false
	case strings.Contains(version, "MariaDB"):
		return major > 10 || major == 10 && minor >= 11
	}
	return major >= 8
}

// migrate brings the schema forward, by a connection that may take its time: a
// large table is not changed within the bounds of a statement.
func (d *Driver) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db, err := d.patient()
	if err != nil {
		return err
	}
	defer db.Close()
	if err := dialect.Migrate(ctx, goose.DialectMySQL, db, files); err != nil {
		return err
	}
	dialect.Warn(d.cfg.Log, dialect.Checks(ctx, db, settings))
	return nil
}

// Again connects and takes the lock. Who has it knows that all that the session
// before has sent was done, or never will be: that held the lock until its end.
func (d *Driver) Again(ctx context.Context) (*sql.Conn, error) {
	return d.Writer(ctx, d.hold, unreachable)
}

func (d *Driver) hold(ctx context.Context, conn *sql.Conn) error {
	var id int64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return unreachable(err)
	}
	held, err := dialect.Await(ctx, func(ctx context.Context) (bool, error) {
		var got, by sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK(?, 0), IS_USED_LOCK(?)", d.lock, d.lock).Scan(&got, &by); err != nil {
			return false, err
		}
		// The session that this process had before may be waiting for a network
		// that is gone.
		if last := d.id.Load(); got.Int64 != 1 && last != 0 && by.Int64 == last {
			if _, err := conn.ExecContext(ctx, "KILL "+strconv.FormatInt(last, 10)); d.Kind(err) == dialect.Lost {
				return false, err
			}
		}
		return got.Int64 == 1, nil
	})
	if err != nil {
		return unreachable(err)
	}
	if !held {
		e := herald.Errorf(herald.CodeStorageUnavailable, "Stop the other server, or give this one a database of its own.",
			"mysql: the database is taken")
		e.RetryAfter, e.Err = time.Second, dialect.ErrHeld
		return e
	}
	d.id.Store(id)
	return nil
}

func unreachable(cause error) error {
	e := herald.Errorf(herald.CodeStorageUnavailable, remedy, "mysql: the database cannot be used")
	e.RetryAfter, e.Err = time.Second, cause
	return e
}
