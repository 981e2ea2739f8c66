package driver

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/store/dialect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		v    string
		want bool
	}{{"3.51.3", true}, {"3.51.2", false}, {"3.51.10", true}, {"3.52.0", true}, {"3.9.9", false}, {"4.0", true}, {"3.51", false}, {"", false}} {
		if got := atLeast(c.v, "3.51.3"); got != c.want {
			t.Errorf("atLeast(%q) is %v", c.v, got)
		}
	}
}

// opened gives a driver with an open file, and its writer.
func opened(t *testing.T) (*Driver, *sql.Conn) {
	t.Helper()
	d := New(Config{Path: filepath.Join(t.TempDir(), "herald.db")})
	_, conn, err := d.Open(t.Context())
	must(t, err)
	t.Cleanup(func() { must(t, errors.Join(conn.Close(), d.Close())) })
	return d, conn
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCheckpointer: what was committed is moved into the database beside the
// commits, and a long log begins anew.
func TestCheckpointer(t *testing.T) {
	d, conn := opened(t)
	c := &d.c
	c.trusted = func() bool { return true } // it is asked to look by hand
	pages := func() (length, waiting int) {
		t.Helper()
		length, moved, err := checkpoint(c.pool, "NOOP")
		must(t, err)
		return length, length - moved
	}
	write := func(until func(length, waiting int) bool) {
		t.Helper()
		for length, waiting := pages(); !until(length, waiting); length, waiting = pages() {
			must(t, d.Between(conn))
			_, err := conn.ExecContext(t.Context(), "INSERT INTO receipt_log (app, n, batch, crc) SELECT 1, COALESCE(MAX(n), 0) + 1, zeroblob(800000), 0 FROM receipt_log")
			must(t, err)
		}
	}
	must(t, c.look())
	if _, waiting := pages(); waiting == 0 {
		t.Error("a few pages were not worth moving, and were moved")
	}
	write(func(_, waiting int) bool { return waiting >= movedAfter })
	must(t, c.look())
	if length, waiting := pages(); waiting != 0 {
		t.Errorf("%d of %d pages wait after a look", waiting, length)
	}
	if c.restart.Load() {
		t.Error("a short log is to begin anew")
	}
	write(func(length, _ int) bool { return length >= restartedAfter })
	must(t, c.look())
	if !c.restart.Load() {
		t.Fatal("a long log is not to begin anew")
	}
	write(func(length, _ int) bool { return length < restartedAfter })
}

// fill commits until so many pages wait.
func fill(t *testing.T, d *Driver, conn *sql.Conn, most int) {
	t.Helper()
	for {
		length, moved, err := checkpoint(d.c.pool, "NOOP")
		must(t, err)
		if length-moved >= most {
			return
		}
		_, err = conn.ExecContext(t.Context(), "INSERT INTO receipt_log (app, n, batch, crc) SELECT 1, COALESCE(MAX(n), 0) + 1, zeroblob(800000), 0 FROM receipt_log")
		must(t, err)
	}
}

// TestSynced: what is moved is synced each time, and not left to the sync for
// which the writer waits; a sync that fails is the last one.
func TestSynced(t *testing.T) {
	d, conn := opened(t)
	syncs, broken := 0, error(nil)
	synced := d.c.sync
	d.c.sync = func() error {
		syncs++
		return errors.Join(broken, synced())
	}
	d.c.trusted = func() bool { return true }
	must(t, d.c.look())
	if syncs != 0 {
		t.Errorf("%d syncs with nothing moved", syncs)
	}
	for n := range 3 {
		fill(t, d, conn, movedAfter)
		must(t, d.c.look())
		if syncs != n+1 {
			t.Errorf("moved %d times, with %d syncs", n+1, syncs)
		}
	}

	broken = errors.New("input/output error")
	fill(t, d, conn, movedAfter)
	failed := make(chan error, 1)
	var trusted atomic.Bool
	trusted.Store(true)
	d.Start(trusted.Load, func(err error) {
		trusted.Store(false)
		failed <- err
	})
	d.Committed()
	if err := <-failed; !errors.Is(err, broken) || !strings.Contains(err.Error(), "syncing the database") {
		t.Errorf("the disk failed with %v", err)
	}
	d.Committed()
	d.Stop()
	if syncs != 4 {
		t.Errorf("%d syncs, some of them after one that failed", syncs)
	}
}

// TestClose: the file that is synced is closed with the database, and who has not
// opened it has nothing to close.
func TestClose(t *testing.T) {
	d := New(Config{Path: filepath.Join(t.TempDir(), "herald.db")})
	must(t, d.Close())
	_, conn, err := d.Open(t.Context())
	must(t, err)
	must(t, d.c.sync())
	must(t, errors.Join(conn.Close(), d.Close()))
	if err := d.c.sync(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a sync after the end says %v", err)
	}
}

// TestDistrust: a disk that fails while pages are moved is not trusted any
// more; one that is busy is.
func TestDistrust(t *testing.T) {
	d, _ := opened(t)
	must(t, d.c.distrust(errors.New("the database is locked")))
	path := filepath.Join(t.TempDir(), "no.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("this is no database ", 100)), 0o600))
	bad := New(Config{Path: path})
	_, _, broken := bad.Open(context.Background())
	must(t, bad.Close())
	if d.Kind(broken) != dialect.Broken || d.c.distrust(broken) == nil {
		t.Errorf("a file that is no database: %v", broken)
	}
	d.c.trusted = func() bool { return false }
	must(t, d.c.pool.Close())
	must(t, d.c.look()) // it does not touch the file any more
}
