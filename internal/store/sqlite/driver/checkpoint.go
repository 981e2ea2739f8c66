package driver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/store/dialect"
)

// Sizes of the write-ahead log, in pages.
const (
	// movedAfter is how many pages wait before they are moved into the
	// database.
	movedAfter = 1000
	// restartedAfter is how long the log becomes before it begins anew, for which
	// all callers wait some milliseconds.
	restartedAfter = 15000
	// restartedAt is how many pages may wait when the log is to begin anew: the
	// commits wait while the writer moves them, and while what was moved is
	// synced.
	restartedAt = 100
	// longestLog is when the writer moves them itself, because the checkpointer
	// cannot keep up.
	longestLog = 24000
)

// checkpointEvery is how long the checkpointer rests between two looks at the
// log while there are commits.
const checkpointEvery = 20 * time.Millisecond

// catchUps is how often pages are moved once more, at most, before the log begins
// anew.
const catchUps = 2

// checkpointer moves what was committed from the log into the database, on a
// connection of its own and beside the commits. The writer would do it within a
// commit, and all callers would wait for a write of some thousand pages and
// their sync. What is left to the writer is to begin the log anew, which only
// it can; by then nearly all of it has been moved, and synced.
type checkpointer struct {
	d    *Driver
	pool *sql.DB
	// file is the database, to be synced: SQLite does that only when it has moved
	// the whole log, which is rare beside commits. What was moved since the log
	// began would be left to the sync for which the writer waits.
	//
	// It is closed after all connections: closing any descriptor of a file ends the
	// locks that the process has on it (POSIX, fcntl).
	file *os.File
	hint chan struct{} // there was a commit
	quit chan struct{}
	done chan struct{}
	once sync.Once
	// restart asks the goroutine that writes to begin the log anew.
	restart atomic.Bool
	trusted func() bool
	failed  func(error)
	// sync syncs the file; tests put a failing disk here.
	sync func() error
}

// errSync marks an error of a sync, after which the disk is not trusted.
var errSync = errors.New("sqlite: syncing the database")

func (c *checkpointer) open(d *Driver) (err error) {
	c.d, c.hint = d, make(chan struct{}, 1)
	c.pool, err = sql.Open("sqlite", dsn(d.path, "rw", "busy_timeout(5000)", "synchronous("+faults.Synchronous()+")",
		"cache_size(-64)", "wal_autocheckpoint(0)"))
	if err != nil {
		return fmt.Errorf("sqlite: opening %s: %w", d.path, err)
	}
	c.pool.SetMaxOpenConns(1)
	if c.file, err = os.OpenFile(d.path, os.O_RDWR, 0); err != nil { // Windows syncs only what may be written
		return fmt.Errorf("sqlite: opening %s: %w", d.path, err)
	}
	c.sync = c.file.Sync
	return nil
}

// close ends what open began; nobody has the database open any more.
func (c *checkpointer) close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// Start begins to move what is committed.
func (d *Driver) Start(trusted func() bool, failed func(error)) {
	c := &d.c
	c.trusted, c.failed = trusted, failed
	if !d.cfg.Bulk {
		c.quit, c.done = make(chan struct{}), make(chan struct{})
		go c.loop()
	}
}

// Stop ends what Start began.
func (d *Driver) Stop() {
	c := &d.c
	if c.quit != nil {
		c.once.Do(func() { close(c.quit) })
		<-c.done
	}
}

// Committed has the checkpointer look at the log.
func (d *Driver) Committed() {
	select {
	case d.c.hint <- struct{}{}:
	default:
	}
}

func (c *checkpointer) loop() {
	defer close(c.done)
	for {
		select {
		case <-c.hint:
		case <-c.quit:
			return
		}
		if err := c.look(); err != nil {
			if err := c.distrust(err); err != nil {
				c.failed(err)
			}
		}
		select {
		case <-time.After(checkpointEvery):
		case <-c.quit:
			return
		}
	}
}

// look moves pages if enough of them wait, and asks the writer to begin a long
// log anew.
func (c *checkpointer) look() error {
	if !c.trusted() {
		return nil
	}
	length, moved, err := checkpoint(c.pool, "NOOP")
	if err == nil && length-moved >= movedAfter {
		length, moved, err = c.move()
	}
	// Each time there were fewer commits meanwhile, until there is next to nothing
	// to move.
	for try := 0; err == nil && length >= restartedAfter && try < catchUps; try++ {
		if length, moved, err = checkpoint(c.pool, "NOOP"); err != nil || length-moved < restartedAt {
			break
		}
		length, moved, err = c.move()
	}
	if err == nil && length >= restartedAfter && length-moved < movedAfter {
		c.restart.Store(true)
	}
	return err
}

// move moves what waits, and syncs it.
func (c *checkpointer) move() (length, moved int, err error) {
	length, moved, err = checkpoint(c.pool, "PASSIVE")
	if err == nil && faults.Synchronous() == "FULL" {
		if err = c.sync(); err != nil {
			err = fmt.Errorf("%w: %w", errSync, err)
		}
	}
	return length, moved, err
}

// Between moves the rest of a long log, after which the next commit begins it
// anew unless somebody reads an old state of it.
func (d *Driver) Between(writer *sql.Conn) error {
	if !d.c.restart.Swap(false) {
		return nil
	}
	if _, _, err := checkpoint(writer, "PASSIVE"); err != nil {
		return d.c.distrust(err)
	}
	return nil
}

// distrust gives an error back if it says that the disk has failed, and writing
// must stop. A sync of the database that failed must not be repeated any more
// than one of the log: the pages that it lost are in neither then.
func (c *checkpointer) distrust(err error) error {
	if c.d.Kind(err) != dialect.Broken && !errors.Is(err, errSync) {
		c.d.cfg.Log.Warn("sqlite: the log was not moved into the database; trying again", "error", err)
		return nil
	}
	return err
}

// checkpoint runs a checkpoint in one of SQLite's modes, and tells how many
// pages the log has and how many of them are in the database. NOOP, which only
// tells, came with version 3.51.
func checkpoint(on interface {
	QueryRowContext(ctx context.Context, q string, args ...any) *sql.Row
}, mode string) (length, moved int, err error) {
	var busy int
	err = on.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &length, &moved)
	return length, moved, err
}

// writerPragmas open the connection that writes.
func (d *Driver) writerPragmas() []string {
	if d.cfg.Bulk { // nobody needs it before it is whole
		return []string{"journal_mode(OFF)", "synchronous(OFF)", "foreign_keys(OFF)", fmt.Sprintf("cache_size(-%d)", bulkCache)}
	}
	// STRICT tables refuse wrong types; foreign keys are off because every
	// row is reached through its app, and rows are deleted by key.
	return []string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(" + faults.Synchronous() + ")", "foreign_keys(OFF)",
		"cache_size(-" + strconv.Itoa(writerCache) + ")", "wal_autocheckpoint(" + strconv.Itoa(longestLog) + ")",
		"journal_size_limit(67108864)",
		// What is freed within a page is overwritten, which costs no writes; see
		// dialect.ScrubOn.
		"secure_delete(FAST)",
	}
}
