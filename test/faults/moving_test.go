package faults_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/store/moving"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// TestSumsAreKnown: what a backup is verified by are the checksums that the
// check of the storage knows.
func TestSumsAreKnown(t *testing.T) {
	tables, err := moving.Tables(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, table := range tables {
		for _, c := range table.Columns {
			if c.Sums < 0 {
				continue
			}
			n++
			if !slices.ContainsFunc(summed, func(s sum) bool {
				return s.table == table.Name && s.crc == c.Name && s.bits == table.Columns[c.Sums].Name
			}) {
				t.Errorf("a backup takes %s.%s for the checksum of %s", table.Name, c.Name, table.Columns[c.Sums].Name)
			}
		}
	}
	if n != len(summed) {
		t.Errorf("a backup is verified by %d checksums, and there are %d", n, len(summed))
	}
}

// herald runs a command on the data folder of a node, and gives its exit code
// and what it said. env is added to the environment.
func (n *node) herald(env []string, args ...string) (int, string) {
	n.t.Helper()
	cmd := exec.Command(n.binary, append(args, "--data", n.data)...)
	cmd.Env = append(append(os.Environ(), n.env...), env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		n.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (n *node) mustHerald(args ...string) {
	n.t.Helper()
	if code, out := n.herald(nil, args...); code != 0 {
		n.t.Fatalf("herald %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
}

// diesAt has a command end at a fault point, as kill -9 does.
func (n *node) diesAt(point string, args ...string) {
	n.t.Helper()
	if code, out := n.herald([]string{"FAULTS_POINT=" + point}, args...); code == 0 || strings.Contains(out, "herald: ") {
		n.t.Fatalf("herald %s passed the point %s: exit code %d\n%s", strings.Join(args, " "), point, code, out)
	}
}

// refuses checks that no server starts, and why.
func (n *node) refuses(what string) {
	n.t.Helper()
	from := len(n.out.from(0))
	if err := n.spawn(); err != nil {
		n.t.Fatal(err)
	}
	select {
	case <-n.exited:
	case <-time.After(patience):
		n.kill()
		n.t.Fatal("a server runs on what is not whole")
	}
	if out := n.out.from(from); n.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(out, what) {
		n.t.Fatalf("exit code %d, and not %q:\n%s", n.cmd.ProcessState.ExitCode(), what, out)
	}
}

func (w *world) toAll(t *testing.T, app int) *push {
	t.Helper()
	n := w.nonces.Add(1)
	p := &push{App: app, Kind: "all", TTL: 24 * time.Hour, Key: fmt.Sprintf("key-%d", n), Nonce: fmt.Sprintf("n%d-%d", w.seed, n)}
	w.mustSend(t, p)
	return p
}

// take connects a device, reads until a message has come, acknowledges all, and
// gives their nonces in the order in which they came, and the last cursor.
func (w *world) take(t *testing.T, d *device, cursor string, until *push) (got []string, last string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := dial(ctx, w.n, "websocket", d.token, cursor, true)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	sent := map[string]string{}
	for _, p := range w.stored() {
		sent[p.ID] = p.Nonce
	}
	for {
		f, err := l.next(ctx)
		if err != nil {
			t.Fatalf("%s did not come: %v", until.ID, err)
		}
		if f.Type != "message" {
			continue
		}
		nonce, known := sent[f.ID]
		if !known || f.Notification.Title != "message "+nonce {
			t.Errorf("message %s with the title %q was never sent", f.ID, f.Notification.Title)
		}
		got, last = append(got, nonce), f.Cursor
		if f.ID != until.ID {
			continue
		}
		// With an answer, before which a connection that ends would take it along.
		r := w.n.call(ctx, web, http.MethodPost, "/v1/receipts", "Bearer "+d.token, "", map[string]any{"cursor": last})
		if r.status/100 != 2 {
			t.Fatalf("a receipt was answered with %d %s", r.status, r.code)
		}
		return got, last
	}
}

// TestRestore backs a server up while messages are accepted and acknowledged,
// goes on, kills it, and restores the backup. Nobody misses what was accepted
// before the backup.
func TestRestore(t *testing.T) {
	t.Parallel()
	n := newNode(t, plain(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 2})
	here, away := w.list(0)[0], w.list(0)[1]

	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	var accepted atomic.Int64
	busy.Go(func() {
		for ctx.Err() == nil {
			n := w.nonces.Add(1)
			p := &push{Kind: "all", TTL: 24 * time.Hour, Key: fmt.Sprintf("key-%d", n), Nonce: fmt.Sprintf("n%d-%d", w.seed, n)}
			w.send(web, p)
			if p.accepted() {
				accepted.Add(1)
			}
		}
	})
	var cursor atomic.Pointer[string]
	busy.Go(func() {
		l, err := dial(ctx, n, "websocket", here.token, "", true)
		if err != nil {
			t.Error(err)
			return
		}
		defer l.close()
		for ctx.Err() == nil {
			if f, err := l.next(ctx); err == nil && f.Type == "message" && l.ack(ctx, nil, f.Cursor) == nil {
				cursor.Store(&f.Cursor)
			}
		}
	})
	more := func() {
		t.Helper()
		least := accepted.Load() + 30
		until(t, "30 messages are accepted, and some acknowledged", func() bool { return accepted.Load() >= least && cursor.Load() != nil })
	}
	more()
	file := filepath.Join(t.TempDir(), "backup.tar")
	began := time.Now()
	n.mustHerald("backup", file)
	ended := time.Now()
	more()
	late := w.register(0, false)
	stop()
	busy.Wait()
	n.kill()

	n.data = filepath.Join(t.TempDir(), "restored")
	n.mustHerald("backup", "verify", file)
	n.mustHerald("restore", file)
	n.mustStart()
	other := w.register(0, false) // has the ordinal that the late one had
	if r := n.call(t.Context(), web, http.MethodGet, "/v1/live/poll", "Bearer "+late.token, "", nil); r.status != http.StatusUnauthorized {
		t.Errorf("a device that is not in the backup is answered with %d", r.status)
	}
	fresh := w.toAll(t, 0)
	seen, _ := w.take(t, away, "", fresh)
	w.take(t, here, *cursor.Load(), fresh)
	if got, _ := w.take(t, other, "", fresh); len(got) != 1 {
		t.Errorf("a new device was sent %d messages", len(got))
	}
	before, after := 0, 0
	for _, p := range w.stored() {
		if id(t, p) > id(t, fresh) {
			t.Errorf("message %s was there before %s", p.ID, fresh.ID)
		}
		r := n.call(t.Context(), web, http.MethodGet, "/v1/messages/"+p.ID, w.apps[0].basic(), "", nil)
		switch {
		case p.Ended.Before(began):
			before++
			if !slices.Contains(seen, p.Nonce) {
				t.Errorf("message %s was accepted before the backup and did not come", p.ID)
			}
			until(t, "both have received "+p.ID, func() bool {
				v, _ := w.view(web, p)
				return v.Counts != nil && v.Counts.States["received"] == 2
			})
		case p.Began.After(ended) && p != fresh:
			after++
			if r.status != http.StatusNotFound || slices.Contains(seen, p.Nonce) {
				t.Errorf("message %s was accepted after the backup, and is answered with %d", p.ID, r.status)
			}
		}
	}
	if before < 10 || after < 10 {
		t.Errorf("%d messages were accepted before the backup, %d after it", before, after)
	}
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, wrong := range n.inspect() {
		t.Error(wrong)
	}
}

func id(t *testing.T, p *push) int64 {
	t.Helper()
	n, err := strconv.ParseInt(p.ID, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBackupKilled kills backups and restores: what is left is never taken for
// whole, and the next one is.
func TestBackupKilled(t *testing.T) {
	t.Parallel()
	n := newNode(t, planted(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 1})
	p := w.toAll(t, 0)
	file := filepath.Join(t.TempDir(), "backup.tar")
	for _, point := range []string{"snapshot", "written"} {
		n.diesAt(point, "backup", file)
		if _, err := os.Stat(file); err == nil {
			t.Fatalf("killed at %s, and there is a backup", point)
		}
	}
	n.mustHerald("backup", file)
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("beside the backup there is %v, %v", left, err)
	}
	n.kill()
	n.data = filepath.Join(t.TempDir(), "restored")
	for _, point := range []string{"unpacked", "placed"} {
		n.diesAt(point, "restore", file)
		n.refuses("a restore into the data folder")
	}
	n.mustHerald("restore", file)
	n.mustStart()
	w.take(t, w.list(0)[0], "", p)
}

// TestMoveStoreKilled kills the moving of a record, lets a server go on with the
// source meanwhile, and moves it to the end.
func TestMoveStoreKilled(t *testing.T) {
	t.Parallel()
	pg := servers.Need(t, servers.Postgres)
	t.Cleanup(func() {
		if err := pg.Remove(); err != nil {
			t.Error(err)
		}
	})
	n := newNode(t, planted(t))
	n.mustStart()
	w := newWorld(t, n, seed(t), size{devices: 2})
	here, away := w.list(0)[0], w.list(0)[1]
	first := w.toAll(t, 0)
	_, cursor := w.take(t, here, "", first)
	move := []string{"migrate-store", "--from", "sqlite:" + n.data, "--to", "postgres:" + pg.PostgresDSN()}
	if code, out := n.herald(nil, move...); code != 5 || !strings.Contains(out, "a herald runs on the data folder") {
		t.Errorf("while the server runs: exit code %d\n%s", code, out)
	}
	n.kill()

	there := []string{"HERALD_STORE__DRIVER=postgres", "HERALD_STORE__DSN=" + pg.PostgresDSN()}
	for _, point := range []string{"moved:1", "moved:3", "compared:1"} {
		n.diesAt(point, move...)
		n.env = there
		n.refuses("not whole")
		n.env = nil
		n.mustStart() // nothing was taken from it yet
		w.toAll(t, 0)
		n.kill()
	}
	n.diesAt("closed:1", move...)
	n.refuses("was moved from this database")
	n.env = there
	n.refuses("not whole")
	n.mustHerald(move...)
	n.mustStart()
	last := w.toAll(t, 0)
	if got, _ := w.take(t, away, "", last); len(got) != len(w.stored()) {
		t.Errorf("who was away was sent %d messages of %d", len(got), len(w.stored()))
	}
	if got, _ := w.take(t, here, cursor, last); len(got) != len(w.stored())-1 {
		t.Errorf("who had the first was sent %d messages of %d", len(got), len(w.stored())-1)
	}
	if code := n.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	db, err := sql.Open("pgx", pg.PostgresDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, wrong := range inspectTables(t.Context(), db, true, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'") {
		t.Error(wrong)
	}
}
