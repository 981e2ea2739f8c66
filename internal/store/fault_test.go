package store

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// childEnv makes the test binary a child that writes until it is killed.
const childEnv = "HERALD_SQLITE_TEST_CHILD"

// child accepts messages and registers devices from many goroutines, and
// prints what was acknowledged, a line each.
func child(dir string) {
	ctx := context.Background()
	db, err := openFile(ctx, filepath.Join(dir, "herald.db"))
	if err == nil {
		err = db.CreateApp(ctx, record.App{Key: app, SecretHash: []byte("h"), Created: time.Now()})
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	for g := range 16 {
		go func() {
			for i := 0; ; i++ {
				id := g*1_000_000 + i + 1
				_, err := db.Accept(ctx, message(herald.MessageID(id), 1))
				if err == nil && i%10 == 0 {
					a := message(herald.MessageID(id + 500_000))
					a.Group = record.WholeImage(dense(3))
					_, err = db.Accept(ctx, a)
				}
				if err == nil {
					_, _, err = db.Register(ctx, record.Registration{Device: record.Device{App: app, ID: deviceID(id), Created: time.Now()}})
				}
				mu.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					fmt.Println(id)
				}
				mu.Unlock()
			}
		}()
	}
	select {}
}

func deviceID(n int) herald.RegistrationID {
	return herald.RegistrationID(fmt.Sprintf("%020d", n))
}

func TestKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var acked []int
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		id, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Errorf("the child says %s", lines.Text())
			break
		}
		if acked = append(acked, id); len(acked) == 1000 {
			must(t, cmd.Process.Kill())
			// What it still printed was acknowledged as well.
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	if len(acked) < 1000 {
		t.Fatalf("the child acknowledged %d writes", len(acked))
	}
	db := openDB(t, dir)
	for _, id := range acked {
		want := message(herald.MessageID(id), 1)
		m, err := db.Message(t.Context(), app, want.ID)
		must(t, err)
		if !bytes.Equal(m.Body, want.Body) || len(m.Direct) != 1 {
			t.Errorf("message %d came back as %+v", id, m)
		}
		if (id-1)%10 == 0 {
			m, err = db.Message(t.Context(), app, want.ID+500_000)
			must(t, err)
			wantTarget(t, db, m.ID, dense(3))
		}
		_, err = db.Device(t.Context(), app, deviceID(id))
		must(t, err)
	}
	wantCount(t, db, 0, "SELECT COUNT(*) FROM target_draft")
	wantCount(t, db, 0, "SELECT COUNT(*) FROM msg_chunk c WHERE NOT EXISTS (SELECT 1 FROM msg m WHERE m.app = c.app AND m.id = c.msg)")
	var check string
	must(t, db.readers.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&check))
	if check != "ok" {
		t.Errorf("integrity_check: %s", check)
	}
}

// wantTarget checks a target that is kept in chunks.
func wantTarget(t *testing.T, db *DB, id herald.MessageID, want *sets.Set) {
	t.Helper()
	slabs, err := db.TargetSlabs(t.Context(), app, id)
	must(t, err)
	got := sets.New()
	for _, slab := range slabs {
		must(t, db.Cells(t.Context(), app, slab, []herald.MessageID{id}, true, func(c record.Chunk) error {
			if c.State == record.TargetState {
				got.Or(c.Bits)
			}
			return nil
		}))
		for _, o := range []herald.Ordinal{herald.Ordinal(slab) << 16, herald.Ordinal(slab)<<16 + 1, herald.Ordinal(slab)<<16 + 4711} {
			must(t, db.Held(t.Context(), app, slab, []herald.MessageID{id}, o, record.WhoWaits, func(_ herald.MessageID, s herald.DeliveryState, has bool) {
				if s == record.TargetState && has != want.Contains(o) {
					t.Errorf("the target of message %d has device %d: %t", id, o, has)
				}
			}))
		}
	}
	if !sets.Equal(got, want) {
		t.Errorf("the target of message %d is another", id)
	}
}

func wantCount(t *testing.T, db *DB, want int, q string) {
	t.Helper()
	var n int
	must(t, db.readers.QueryRowContext(t.Context(), q).Scan(&n))
	if n != want {
		t.Errorf("%s gives %d, want %d", q, n, want)
	}
}

func TestFlippedByteInTheFile(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir)
	must(t, db.CreateApp(t.Context(), record.App{Key: app}))
	a := message(1, 1)
	a.Body = []byte(`{"data":"find these bytes"}`)
	_, err := db.Accept(t.Context(), a)
	must(t, err)
	must(t, db.Close())
	path := filepath.Join(dir, "herald.db")
	file, err := os.ReadFile(path)
	must(t, err)
	i := bytes.Index(file, []byte("find these"))
	if i < 0 {
		t.Fatal("the body is not in the file")
	}
	file[i] ^= 1
	must(t, os.WriteFile(path, file, 0o600))
	db = openDB(t, dir)
	_, err = db.Message(t.Context(), app, 1)
	wantCode(t, err, herald.CodeStorageUnavailable)
	if !strings.Contains(err.Error(), "msg "+string(app)+" 1 (body) is damaged") {
		t.Errorf("the error does not name the row: %v", err)
	}
}

func TestDamagedRows(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		table, column string
		read          func(db *DB) error
	}{
		{"msg", "body", func(db *DB) error { _, err := db.Message(ctx, app, 1); return err }},
		{"msg", "body", func(db *DB) error { _, err := db.Messages(ctx, app, record.MessageFilter{}); return err }},
		{"msg", "target", func(db *DB) error { _, err := db.Message(ctx, app, 1); return err }},
		{"msg", "target", func(db *DB) error { _, err := db.Message(ctx, app, 2); return err }},
		{"msg", "target", func(db *DB) error {
			_, err := db.EndMessage(ctx, app, 1, herald.MessageExpired, time.Now())
			return err
		}},
		{"msg_chunk", "bits", func(db *DB) error {
			return db.Cells(ctx, app, 1, []herald.MessageID{2}, true, func(record.Chunk) error { return nil })
		}},
		{"msg_chunk", "bits", func(db *DB) error {
			return db.Held(ctx, app, 1, []herald.MessageID{2}, 70_000, record.WhoWaits, func(herald.MessageID, herald.DeliveryState, bool) {})
		}},
		{"msg_chunk", "bits", func(db *DB) error {
			return db.StateChunks(ctx, app, 2, func(record.Chunk) error { return nil })
		}},
		{"set_chunk", "bits", func(db *DB) error { return db.SetChunks(ctx, app, func(record.SetChunk) error { return nil }) }},
		{"set_log", "changes", func(db *DB) error { return db.SetLog(ctx, app, 0, func(record.SetLogEntry) error { return nil }) }},
		{"receipt_log", "batch", func(db *DB) error { return db.ReceiptLog(ctx, app, func(record.Batch) error { return nil }) }},
		{"receipt_seg", "batch", func(db *DB) error { _, err := db.Segments(ctx, app, 2, 0); return err }},
	} {
		t.Run(c.table+" "+c.column, func(t *testing.T) {
			db := filled(t)
			must(t, c.read(filled(t)))
			must(t, db.write(ctx, func(tx *tx) error {
				_, err := tx.exec("UPDATE " + c.table + " SET " + c.column + " = CAST(x'ff' || substr(" + c.column + ", 2) AS BLOB)")
				return err
			}))
			err := c.read(db)
			wantCode(t, err, herald.CodeStorageUnavailable)
			if !strings.Contains(err.Error(), "damaged") {
				t.Errorf("the error does not say that a row is damaged: %v", err)
			}
		})
	}
	for name, q := range map[string]string{
		"missing chunk": "DELETE FROM msg_chunk WHERE slab = 1",
		"exchanged chunk": `UPDATE msg_chunk SET (bits, crc) = (SELECT bits, crc FROM msg_chunk WHERE slab = 0 AND state = 'target')
			WHERE slab = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			db := filled(t)
			_, err := db.TargetSlabs(ctx, app, 2)
			must(t, err)
			must(t, db.write(ctx, func(tx *tx) error {
				_, err := tx.exec(q)
				return err
			}))
			_, err = db.TargetSlabs(ctx, app, 2)
			wantCode(t, err, herald.CodeStorageUnavailable)
			if !errors.Is(err, record.ErrDamaged) {
				t.Errorf("the error does not say that a row is damaged: %v", err)
			}
		})
	}
}

// filled gives a database with something in each table that has checksums.
func filled(t *testing.T) *DB {
	t.Helper()
	ctx, db := t.Context(), newDB(t)
	_, err := db.Accept(ctx, message(1, 7))
	must(t, err)
	a := message(2)
	a.Group = record.WholeImage(dense(3))
	_, err = db.Accept(ctx, a)
	must(t, err)
	pos, err := db.ChangeSets(ctx, app, []record.SetChange{{Set: "tag:a", Ords: sets.New(1)}})
	must(t, err)
	must(t, db.FoldSets(ctx, app, pos, []record.SetChunk{{Set: "tag:a", Upto: pos, Bits: sets.New(1)}}))
	_, err = db.ChangeSets(ctx, app, []record.SetChange{{Set: "tag:a", Ords: sets.New(2)}})
	must(t, err)
	for range 2 {
		_, err = db.AppendReceipts(ctx, app, []record.Event{{Msg: 2, State: herald.StateSent, Set: sets.New(1), Time: time.Now()}})
		must(t, err)
	}
	must(t, db.FoldReceipts(ctx, record.Fold{App: app, Upto: 1,
		Chunks:   []record.Chunk{{Msg: 2, State: herald.StateSent, Bits: sets.New(1)}, {State: herald.StateSent, Bits: sets.New(1)}},
		Segments: []record.Segment{{Msg: 2, From: 1, Batch: []byte{1, 0}}}}))
	return db
}

func TestDiskFull(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	must(t, db.w.control("PRAGMA max_page_count = 60"))
	var err error
	id := herald.MessageID(0)
	for err == nil {
		id++
		a := message(id, 1)
		a.Body = bytes.Repeat([]byte("x"), 8000)
		_, err = db.Accept(ctx, a)
	}
	wantCode(t, err, herald.CodeStorageUnavailable)
	var e *herald.Error
	if errors.As(err, &e); !strings.Contains(e.Remedy, "Free space") || e.RetryAfter == 0 {
		t.Errorf("the error %v has the remedy %q, retry after %v", err, e.Remedy, e.RetryAfter)
	}
	// A dense target that does not fit leaves nothing.
	a := message(id)
	a.Group = record.WholeImage(dense(40))
	_, err = db.Accept(ctx, a)
	wantCode(t, err, herald.CodeStorageUnavailable)
	must(t, db.w.control("PRAGMA max_page_count = 100000"))
	must(t, db.Probe(ctx))
	_, err = db.Accept(ctx, a)
	must(t, err)
	h, err := db.Head(ctx, app)
	must(t, err)
	if h.Pos != herald.Pos(id) {
		t.Errorf("the log stands at %d after %d messages", h.Pos, id)
	}
	wantCount(t, db, 40, "SELECT COUNT(*) FROM msg_chunk")
}

// TestFailingDisk has a commit fail as it does when a sync fails.
func TestFailingDisk(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	_, err := db.Accept(ctx, message(1, 1))
	must(t, err)
	commit := db.w.sync
	db.w.sync = func() error { return ioError(t) }
	_, err = db.Accept(ctx, message(2, 1))
	wantCode(t, err, herald.CodeStorageUnavailable)
	db.w.sync = commit // the disk is well again, but is not trusted
	for name, write := range map[string]func() error{
		"Accept": func() error { _, err := db.Accept(ctx, message(3, 1)); return err },
		"Probe":  func() error { return db.Probe(ctx) },
		"Register": func() error {
			_, _, err := db.Register(ctx, record.Registration{Device: record.Device{App: app, ID: "x"}})
			return err
		},
	} {
		err := write()
		wantCode(t, err, herald.CodeStorageUnavailable)
		if !strings.Contains(err.Error(), "the disk has failed") {
			t.Errorf("%s: the error does not say why: %v", name, err)
		}
	}
	_, err = db.Message(ctx, app, 1)
	must(t, err) // reading goes on
	dir := filepath.Dir(databaseFile(t, db))
	must(t, db.Close())
	db = openDB(t, dir)
	_, err = db.Accept(ctx, message(2, 1))
	must(t, err)
	wantCount(t, db, 2, "SELECT COUNT(*) FROM msg")
}

// TestKeeperFails has the driver find out, beside the commits, that the disk has
// failed.
func TestKeeperFails(t *testing.T) {
	db := newDB(t)
	db.w.fail(ioError(t))
	_, err := db.Accept(t.Context(), message(2, 1))
	wantCode(t, err, herald.CodeStorageUnavailable)
	wantCode(t, db.Probe(t.Context()), herald.CodeStorageUnavailable)
}

func databaseFile(t *testing.T, db *DB) string {
	t.Helper()
	var seq int
	var name, file string
	must(t, db.readers.QueryRowContext(t.Context(), "PRAGMA database_list").Scan(&seq, &name, &file))
	return file
}

func TestBadOperationFailsAlone(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			switch i % 3 {
			case 0:
				if _, err := db.Accept(ctx, message(herald.MessageID(i+1), 1)); err != nil {
					t.Errorf("a good operation beside bad ones: %v", err)
				}
			case 1: // SQL that fails midway
				err := db.write(ctx, func(tx *tx) error {
					if _, err := tx.exec("INSERT INTO meta (name, value) VALUES (?, '')", strconv.Itoa(i)); err != nil {
						return err
					}
					_, err := tx.exec("INSERT INTO meta (name, value) VALUES ('probe', '')")
					return err
				})
				if herald.CodeOf(err) != herald.CodeConflict {
					t.Errorf("a bad operation gave %v", err)
				}
			case 2: // a refusal after a write
				refuseLate(t, db)
			}
		})
	}
	wg.Wait()
	h, err := db.Head(ctx, app)
	must(t, err)
	if h.Pos != 100 {
		t.Errorf("the log stands at %d, want 100", h.Pos)
	}
	wantCount(t, db, 1, "SELECT COUNT(*) FROM meta")
	wantCount(t, db, 100, "SELECT COUNT(*) FROM release_log")
}

// refuseLate runs an operation that refuses after it took a log position.
func refuseLate(t *testing.T, db *DB) {
	t.Helper()
	err := db.write(t.Context(), func(tx *tx) error {
		h, err := tx.head(1)
		if err != nil {
			return err
		}
		tx.next(h)
		return herald.Errorf(herald.CodeConflict, "None.", "too late")
	})
	if herald.CodeOf(err) != herald.CodeConflict {
		t.Errorf("a late refusal gave %v", err)
	}
}

// TestLateRefusal has operations refuse after they took a position, beside
// good ones: no hole may be left.
func TestLateRefusal(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if i%2 == 0 {
				if _, err := db.Accept(ctx, message(herald.MessageID(i+1), 1)); err != nil {
					t.Error(err)
				}
				return
			}
			refuseLate(t, db)
		})
	}
	wg.Wait()
	h, err := db.Head(ctx, app)
	must(t, err)
	if h.Pos != 100 {
		t.Errorf("the log stands at %d, want 100", h.Pos)
	}
}

func TestGroups(t *testing.T) {
	ctx, db := t.Context(), newDB(t)
	commit, commits := db.w.sync, 0
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	db.w.sync = func() error {
		commits++
		select {
		case held <- struct{}{}:
			<-hold // the first commit takes long
		default:
		}
		return commit()
	}
	var wg sync.WaitGroup
	accept := func(i int) {
		wg.Go(func() {
			if _, err := db.Accept(ctx, message(herald.MessageID(i+1), 1)); err != nil {
				t.Error(err)
			}
		})
	}
	accept(0)
	for len(held) == 0 {
		runtime.Gosched()
	}
	for i := range 100 {
		accept(i + 1)
	}
	for len(db.w.ops) < 100 {
		runtime.Gosched()
	}
	close(hold)
	wg.Wait()
	if commits != 2 {
		t.Errorf("101 operations took %d commits, want 2", commits)
	}
}
