package store

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/dialect"
)

// Config says where the record is and who wants to know of commits.
type Config struct {
	// Driver opens the database. It is the store's from then on.
	Driver dialect.Driver
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
	// OnTopics, if set, is told of subscriptions of sessions that ended with
	// their device.
	OnTopics func(app herald.AppKey, moves []record.TopicMove)
}

// DB is an open record. Its methods may be called from any goroutine.
type DB struct {
	cfg     Config
	driver  dialect.Driver
	readers pool

	lookups  lookups
	bindings bindings
	kinds    kinds

	w    writer
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

// Open opens or makes a database, brings its schema up to date, removes
// what a crash has left half written, and ends the leases of who had it open.
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
	db := &DB{cfg: cfg, driver: cfg.Driver}
	db.lookups.db = db
	db.apps.ids, db.apps.key = map[herald.AppKey]int64{}, map[int64]herald.AppKey{}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(err, db.closeAll())
	}
	go db.w.loop()
	if db.w.keeper != nil {
		db.w.keeper.Start(func() bool { return db.w.failed.err() == nil }, db.w.fail)
	}
	if err := db.removeDrafts(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := db.endLeases(ctx); err != nil {
		db.cfg.Log.Warn("store: leases of the run before could not be ended; what they are of waits until they end by themselves", "error", err)
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) error {
	readers, conn, err := db.driver.Open(ctx)
	if err != nil {
		return err
	}
	db.readers.DB, db.readers.driver = readers, db.driver
	db.w.start(db, conn)
	return db.loadApps(ctx)
}

// Close answers what is waiting, then closes the database. It may be called once.
func (db *DB) Close() error {
	db.lookups.wg.Wait()
	if db.w.keeper != nil {
		db.w.keeper.Stop()
	}
	db.w.stop()
	return db.closeAll()
}

func (db *DB) closeAll() error {
	var err error
	if db.w.conn != nil {
		err = db.w.close()
	}
	return errors.Join(err, db.driver.Close())
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
