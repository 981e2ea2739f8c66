package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
)

// minVersion is the first SQLite without a known bug that can lose commits
// when the WAL is reset.
const minVersion = "3.51.3"

// Page caches, in KiB, of a reading connection and of the writing one.
const (
	readerCache = 8 << 10
	writerCache = 16 << 10
)

// Config says where the file is and who wants to know of commits.
type Config struct {
	// Path is the database file. It and its folder are made where missing.
	Path string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what no caller can be told; nil means slog.Default().
	Log *slog.Logger
	// Inline is how many bytes of a group target the row of its message takes;
	// what is larger is kept slab by slab. 0 means 16 KiB.
	Inline int

	// OnSets is told of each log position that changed named sets or made a
	// device; OnRelease of each one that a release took. Both are called in
	// log order by the goroutine that commits, after the commit and before
	// the callers are answered. They must be quick and must not call the
	// database. nil means nobody wants to know.
	OnSets    func(app herald.AppKey, e record.SetLogEntry)
	OnRelease func(app herald.AppKey, pos herald.Pos)
	// OnAccepted, if set, is told in the place of OnRelease of a release that
	// came with its message, which is as Releases would give it.
	OnAccepted func(m *record.Message)

	bulk bool // see Bulk
}

// DB is an open record. Its methods may be called from any goroutine.
type DB struct {
	cfg     Config
	readers pool
	writers *sql.DB // of which exactly one connection is used, by the writer

	lookups  lookups
	bindings bindings

	w    writer
	c    checkpointer // not of a bulk writer
	apps appIDs

	damage sync.Map // what was said of rows that are damaged
}

// appIDs maps the public names of apps to their short numbers. Apps are never
// deleted, so that what is in it stays true.
type appIDs struct {
	mu  sync.RWMutex // guards ids, keys
	ids map[herald.AppKey]int64
	key map[int64]herald.AppKey
}

func (a *appIDs) id(k herald.AppKey) (int64, error) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if id, ok := a.ids[k]; ok {
		return id, nil
	}
	return 0, notFound("app", "Check the app key.")
}

func (a *appIDs) keyOf(id int64) herald.AppKey {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.key[id]
}

func (a *appIDs) add(k herald.AppKey, id int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids[k], a.key[id] = id, k
}

func (a *appIDs) all() []int64 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	out := make([]int64, 0, len(a.key))
	for id := range a.key {
		out = append(out, id)
	}
	return out
}

// Open opens or makes a database, brings its schema up to date, and removes
// what a crash has left half written. Two processes must not open one file;
// who keeps them apart is the caller.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Inline == 0 {
		cfg.Inline = maxInline
	}
	abs, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(abs), 0o700); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	faults.Disk()
	db := &DB{cfg: cfg}
	db.lookups.db = db
	db.apps.ids, db.apps.key = map[herald.AppKey]int64{}, map[int64]herald.AppKey{}
	if err := db.open(ctx, abs); err != nil {
		return nil, errors.Join(err, db.closeFiles())
	}
	go db.w.loop()
	if !cfg.bulk {
		db.c.start()
	}
	if err := db.removeDrafts(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (db *DB) open(ctx context.Context, path string) (err error) {
	if err := db.openWriters(path, db.writerPragmas()); err != nil {
		return err
	}
	if err := checkVersion(ctx, db.writers); err != nil {
		return err
	}
	if err := migrate(ctx, db.writers); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	db.readers.DB, err = sql.Open("sqlite", dsn(path, "ro",
		"busy_timeout(5000)", "query_only(1)", "cache_size(-"+strconv.Itoa(readerCache)+")"))
	if err != nil {
		return fmt.Errorf("sqlite: opening %s: %w", path, err)
	}
	n := max(2, runtime.GOMAXPROCS(0))
	db.readers.SetMaxOpenConns(n)
	db.readers.SetMaxIdleConns(n)
	if err := db.loadApps(ctx); err != nil {
		return err
	}
	if err := db.c.open(db, path); err != nil {
		return err
	}
	return db.w.start(ctx, db)
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

// Close answers what is waiting, then closes the file. It may be called once.
func (db *DB) Close() error {
	db.lookups.wg.Wait()
	db.c.stop()
	db.w.stop()
	return db.closeFiles()
}

func (db *DB) closeFiles() error {
	var errs []error
	if db.w.conn != nil {
		errs = append(errs, db.w.close())
	}
	for _, d := range []*sql.DB{db.readers.DB, db.c.pool, db.writers} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}

// Probe makes a durable write and waits for it, so that readiness can be told
// honestly.
func (db *DB) Probe(ctx context.Context) error {
	if faults.Planted("lying_probe") {
		return nil
	}
	now := strconv.FormatInt(db.cfg.Now().UnixMilli(), 10)
	return db.write(ctx, func(t *tx) error {
		_, err := t.exec("UPDATE meta SET value = ? WHERE name = 'probe'", now)
		return err
	})
}

// failure holds why the disk is not trusted any more.
type failure struct{ p atomic.Pointer[herald.Error] }

func (f *failure) set(cause error) { f.p.CompareAndSwap(nil, failedError(cause)) }

func (f *failure) err() error {
	if e := f.p.Load(); e != nil {
		return e
	}
	return nil
}
