// Package driver is SQLite as package store uses it: one file, one connection
// that writes, WAL with synchronous=FULL. A write that the disk fails is never
// repeated.
package driver

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/store/dialect"
)

//go:embed migrations/*.sql
var migrations embed.FS

// minVersion is the first SQLite without a known bug that can lose commits
// when the WAL is reset.
const minVersion = "3.51.3"

// Page caches, in KiB, of a reading connection and of the writing one.
const (
	readerCache = 8 << 10
	writerCache = 16 << 10
)

// bulkCache is the page cache of a bulk writer in KiB, which is also what
// making an index sorts in memory.
const bulkCache = 256 << 10

// Config says where the file is.
type Config struct {
	// Path is the database file. It and its folder are made where missing.
	Path string
	// Log gets what no caller can be told; nil means slog.Default().
	Log *slog.Logger
	// Bulk writes nothing durably before the database is closed.
	Bulk bool
}

// Driver is one database file.
type Driver struct {
	cfg     Config
	path    string // absolute
	readers *sql.DB
	writers *sql.DB // of which exactly one connection is used
	c       checkpointer
}

// New gives a driver; it opens nothing yet.
func New(cfg Config) *Driver {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Driver{cfg: cfg}
}

// Open opens or makes the file. Two processes must not open one file; who keeps
// them apart is the caller.
func (d *Driver) Open(ctx context.Context) (*sql.DB, *sql.Conn, error) {
	var err error
	if d.path, err = filepath.Abs(d.cfg.Path); err != nil {
		return nil, nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(d.path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("sqlite: %w", err)
	}
	faults.Disk()
	if d.writers, err = sql.Open("sqlite", dsn(d.path, "", d.writerPragmas()...)); err != nil {
		return nil, nil, fmt.Errorf("sqlite: opening %s: %w", d.path, err)
	}
	d.writers.SetMaxOpenConns(1)
	if err := checkVersion(ctx, d.writers); err != nil {
		return nil, nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := dialect.Migrate(ctx, goose.DialectSQLite3, d.writers, files); err != nil {
		return nil, nil, err
	}
	if err := os.Chmod(d.path, 0o600); err != nil {
		return nil, nil, fmt.Errorf("sqlite: %w", err)
	}
	d.readers, err = sql.Open("sqlite", dsn(d.path, "ro",
		"busy_timeout(5000)", "query_only(1)", "cache_size(-"+strconv.Itoa(readerCache)+")"))
	if err != nil {
		return nil, nil, fmt.Errorf("sqlite: opening %s: %w", d.path, err)
	}
	n := max(2, runtime.GOMAXPROCS(0))
	d.readers.SetMaxOpenConns(n)
	d.readers.SetMaxIdleConns(n)
	if err := d.c.open(d); err != nil {
		return nil, nil, err
	}
	conn, err := d.writers.Conn(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("sqlite: opening the writer: %w", err)
	}
	return d.readers, conn, nil
}

// Close closes the file.
func (d *Driver) Close() error {
	var errs []error
	for _, pool := range []*sql.DB{d.readers, d.c.pool, d.writers} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(append(errs, d.c.close())...)
}

// SQL gives the statement as it is.
func (d *Driver) SQL(q string) string { return q }

// Snapshot is what every transaction of SQLite has.
func (d *Driver) Snapshot() sql.IsolationLevel { return sql.LevelDefault }

// Say gives SQLite's statement for a phrase.
func (d *Driver) Say(p dialect.Phrase) string {
	switch {
	case p == dialect.Begin:
		return "BEGIN IMMEDIATE"
	case p == dialect.ScrubOn:
		return "PRAGMA secure_delete = ON"
	case p == dialect.ScrubOff:
		return "PRAGMA secure_delete = FAST"
	case d.cfg.Bulk:
		return ""
	case p == dialect.SyncOff && faults.Synchronous() == "FULL":
		return "PRAGMA synchronous = NORMAL" // the log is synced before a checkpoint only
	}
	return "PRAGMA synchronous = " + faults.Synchronous()
}

// Remedy is about the disk.
func (d *Driver) Remedy() string {
	return "Repeat the call; if it goes on, look at the disk and the log of the server."
}

// Kind tells errors apart by SQLite's primary result code, the low byte of the
// extended one.
//
// After a failed sync the kernel may have dropped the pages that it could not
// write, and a second sync would report success without them.
func (d *Driver) Kind(err error) dialect.Kind {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return dialect.Other
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return dialect.Broken
	case sqlite3.SQLITE_FULL:
		return dialect.Full
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return dialect.Shared
	case sqlite3.SQLITE_CONSTRAINT:
		return dialect.Conflict
	}
	return dialect.Other
}

// dsn names a file so that no character of its path is taken for syntax.
func dsn(path, mode string, pragmas ...string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") { // C:/... on Windows
		p = "/" + p
	}
	q := url.Values{}
	if mode != "" {
		q.Set("mode", mode)
	}
	for _, s := range pragmas {
		q.Add("_pragma", s)
	}
	return (&url.URL{Scheme: "file", Path: p, RawQuery: q.Encode()}).String()
}

func checkVersion(ctx context.Context, db *sql.DB) error {
	var v string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&v); err != nil {
		return fmt.Errorf("sqlite: opening: %w", err)
	}
	if !atLeast(v, minVersion) {
		return fmt.Errorf("sqlite: version %s is built in, and %s or later is needed: an earlier one can lose commits", v, minVersion)
	}
	return nil
}

// atLeast compares dotted version numbers.
func atLeast(v, least string) bool {
	a, b := strings.Split(v, "."), strings.Split(least, ".")
	for i := range b {
		have, want := 0, 0
		if i < len(a) {
			have, _ = strconv.Atoi(a[i])
		}
		want, _ = strconv.Atoi(b[i])
		if have != want {
			return have > want
		}
	}
	return true
}
