package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// diskEnv makes the test binary a child whose writes to the disk fail.
const diskEnv = "HERALD_SQLITE_TEST_DISK"

// failingDisk limits the size of files, so that the system refuses a write of
// SQLite midway (EFBIG, which SQLite reports as SQLITE_IOERR_WRITE), lifts the
// limit again, and checks that the database stays refused.
func failingDisk(dir string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	db, err := openFile(ctx, filepath.Join(dir, "herald.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CreateApp(ctx, record.App{Key: app, SecretHash: []byte("h"), Created: time.Now()}); err != nil {
		return err
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1_000_000, Max: was.Max}); err != nil {
		return err
	}
	id := herald.MessageID(0)
	for err == nil && id < 10_000 {
		id++
		_, err = db.Accept(ctx, message(id, 1))
	}
	if herald.CodeOf(err) != herald.CodeStorageUnavailable || !strings.Contains(err.Error(), "the disk has failed") {
		return fmt.Errorf("a failed write gave %w after %d messages", err, id)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		return err
	}
	if err := db.Probe(ctx); herald.CodeOf(err) != herald.CodeStorageUnavailable {
		return fmt.Errorf("after the disk has failed the probe gave %w", err)
	}
	if _, err := db.Message(ctx, app, id-1); err != nil {
		return fmt.Errorf("an acknowledged message is not readable: %w", err)
	}
	fmt.Println("acknowledged", id-1)
	return nil
}

func TestFailedWrite(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", "TestFailedWriteChild")
	cmd.Env = append(os.Environ(), diskEnv+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the child failed: %v\n%s", err, out)
	}
	_, rest, _ := strings.Cut(string(out), "acknowledged ")
	var last herald.MessageID
	if _, err := fmt.Sscan(rest, &last); err != nil {
		t.Fatalf("the child says %q", out)
	}
	db := openDB(t, dir)
	for id := herald.MessageID(1); id <= last; id++ {
		_, err := db.Message(t.Context(), app, id)
		must(t, err)
	}
	h, err := db.Head(t.Context(), app)
	must(t, err)
	if h.Pos != herald.Pos(last) {
		t.Errorf("the log stands at %d after %d messages", h.Pos, last)
	}
	must(t, db.Probe(t.Context()))
}

// TestFailedWriteChild does something in the child only.
func TestFailedWriteChild(t *testing.T) {
	if dir := os.Getenv(diskEnv); dir != "" {
		must(t, failingDisk(dir))
	}
}
