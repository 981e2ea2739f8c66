package server

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/server/archive"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// backedUp is a server with a backup of it, after which more has happened.
type backedUp struct {
	*node
	file    string
	before  api.SendAnswer     // acknowledged before the backup
	pending []string           // messages that waited for second then
	first   api.RegisterAnswer // connected
	second  api.RegisterAnswer // away
	late    api.RegisterAnswer // registered after the backup
	cursor  string             // of first, after the backup
}

func backUp(t *testing.T, cfg config.Config) *backedUp {
	t.Helper()
	n := &node{t: t, cfg: cfg, done: make(chan error, 1), client: &http.Client{}}
	n.start()
	t.Cleanup(n.end)
	b := &backedUp{node: n, file: filepath.Join(t.TempDir(), "b.tar")}
	b.first = n.register(api.RegisterRequest{Installation: "first-0123456789"})
	b.second = n.register(api.RegisterRequest{Installation: "second-0123456789"})
	s := n.connect(b.first.Token, "&ack=upto")
	b.before = n.send(`{"audience":"all","notification":{"title":"before"}}`)
	f := s.next()
	s.say(`{"type":"ack","upto":"%s"}`, f.Cursor)
	n.counts(b.before.ID.String(), `sending 2 {"pending":1,"received":1}`)
	a := n.send(`{"audience":"all","notification":{"title":"seen later"}}`)
	b.pending = append(b.pending, b.before.ID.String(), a.ID.String())
	f = s.next()
	must(t, os.MkdirAll(filepath.Join(cfg.Data, certsFolder, "sites"), 0o700))
	must(t, os.WriteFile(filepath.Join(cfg.Data, certsFolder, "sites", "x.key"), []byte("certificate"), 0o600))
	// What is received is folded only now and then, and is in the log until then.
	path, m, err := Backup(t.Context(), cfg, BackupOptions{Path: b.file, Report: func(string, int64, int64) {}})
	must(t, err)
	if path != b.file || !m.Keys || len(m.Apps) != 1 || m.Apps[0].Key != n.app.AppKey || m.Apps[0].Epoch != 1 || m.Store != cfg.Store.Driver {
		t.Errorf("%s: %+v", path, m)
	}
	s.say(`{"type":"ack","upto":"%s"}`, f.Cursor)
	n.counts(a.ID.String(), `sending 2 {"pending":1,"received":1}`)
	n.send(`{"audience":"all","notification":{"title":"lost"}}`)
	b.cursor = s.next().Cursor
	b.late = n.register(api.RegisterRequest{Installation: "late-0123456789ab"})
	must(t, s.c.CloseNow())
	n.end()
	return b
}

// restored holds a server on a restored backup to what is promised.
func (b *backedUp) restored(t *testing.T, cfg config.Config) {
	t.Helper()
	n := &node{t: t, cfg: cfg, done: make(chan error, 1), client: &http.Client{}, app: b.app}
	n.start()
	t.Cleanup(n.end)
	// The ordinal of the late device goes to another, for whom the token of the
	// late one is not good.
	other := n.register(api.RegisterRequest{Installation: "other-0123456789"})
	if status := n.call("GET", "/v1/live/poll?cursor="+b.cursor, b.late.Token, nil, nil); status != http.StatusUnauthorized {
		t.Errorf("the token of a device that is not in the backup is answered with %d", status)
	}
	if again := n.register(api.RegisterRequest{Installation: "late-0123456789ab"}); again.RegistrationID == b.late.RegistrationID || again.RegistrationID == other.RegistrationID {
		t.Errorf("the late device is %s again", again.RegistrationID)
	}
	fresh := n.send(`{"audience":"all","notification":{"title":"new"}}`)
	if fresh.ID <= b.before.ID || fresh.Target == nil || *fresh.Target != 4 {
		t.Errorf("a message after the restore: %+v", fresh)
	}
	// A cursor from after the backup is beyond everything here, and acknowledges
	// nothing.
	one := n.connect(b.first.Token, "&ack=upto&cursor="+b.cursor)
	one.expect("message", b.pending[1])
	one.expect("message", fresh.ID.String())
	one.say(`{"type":"ack","upto":"%s"}`, b.cursor)
	two := n.connect(b.second.Token, "")
	for _, id := range append(slices.Clone(b.pending), fresh.ID.String()) {
		two.expect("message", id)
	}
	n.until("the acknowledgement of another epoch is answered", func() bool {
		one.say(`{"type":"ping"}`)
		return one.next().Type == "pong"
	})
	n.counts(fresh.ID.String(), `sending 4 {"pending":2,"sent":2}`)
	n.end()
}

func TestBackupAndRestore(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Limits.AddressRate, cfg.Limits.DeviceRate, cfg.Limits.KeyRate = 0, 0, 0
	b := backUp(t, cfg)
	v, err := VerifyBackup(t.Context(), b.file, nil)
	must(t, err)
	if len(v.Apps) != 1 || len(v.Files) != 3 || v.Damaged() != nil {
		t.Errorf("verified: %+v", v)
	}
	if info, err := os.Stat(b.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	leftovers(t, filepath.Dir(b.file), "b.tar")

	to := cfg
	to.Data = filepath.Join(t.TempDir(), "new")
	m, err := Restore(t.Context(), to, RestoreOptions{Path: b.file})
	must(t, err)
	if m.Apps[0].Epoch < newEpoch(m.Made) {
		t.Errorf("the epoch is %d", m.Apps[0].Epoch)
	}
	leftovers(t, to.Data, certsFolder, databaseFile, keyFile, lockFile)
	if text, err := os.ReadFile(filepath.Join(to.Data, certsFolder, "sites", "x.key")); err != nil || string(text) != "certificate" {
		t.Errorf("the certificate is %q, %v", text, err)
	}
	b.restored(t, to)

	_, err = Restore(t.Context(), to, RestoreOptions{Path: b.file})
	wantError(t, err, herald.CodeConflict, "has a database already")
	_, _, err = Backup(t.Context(), cfg, BackupOptions{Path: b.file})
	wantError(t, err, herald.CodeConflict, "is there already")
}

// leftovers checks what is in a folder.
func leftovers(t *testing.T, dir string, want ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("in %s: %q, want %q", dir, got, want)
	}
}

// testBackupOfServers: a backup of one kind of database is restored into another.
func testBackupOfServers(t *testing.T, dbs both) {
	from := testConfig(t.TempDir())
	from.Store = dbs.postgres(t, "backed_up")
	from.Limits.AddressRate, from.Limits.DeviceRate, from.Limits.KeyRate = 0, 0, 0
	b := backUp(t, from)

	to := from
	to.Data, to.Store = t.TempDir(), dbs.mysql(t, "restored")
	_, err := Restore(t.Context(), to, RestoreOptions{Path: b.file})
	must(t, err)
	b.restored(t, to)
	_, err = Restore(t.Context(), to, RestoreOptions{Path: b.file})
	wantError(t, err, herald.CodeConflict, "has data already")
	leftovers(t, to.Data, certsFolder, keyFile, lockFile)

	srv, err := open(t, from) // has the lock
	must(t, err)
	other := from
	other.Data = t.TempDir()
	_, err = Restore(t.Context(), other, RestoreOptions{Path: b.file})
	wantError(t, err, herald.CodeConflict, "a server writes to the database")
	must(t, srv.Close())
}

// TestRestoreRefuses what is not a whole backup, or does not belong there.
func TestRestoreRefuses(t *testing.T) {
	cfg := testConfig(t.TempDir())
	srv, err := open(t, cfg)
	must(t, err)
	_, err = srv.Admin().CreateApp(t.Context(), api.NewApp{Name: "one"})
	must(t, err)
	file := filepath.Join(t.TempDir(), "good.tar")
	_, _, err = Backup(t.Context(), cfg, BackupOptions{Path: file})
	must(t, err)
	bare := filepath.Join(t.TempDir(), "bare.tar")
	_, m, err := Backup(t.Context(), cfg, BackupOptions{Path: bare, NoKeys: true})
	must(t, err)
	if m.Keys || len(m.Files) != 1 {
		t.Errorf("without keys: %+v", m.Files)
	}
	good, err := os.ReadFile(file)
	must(t, err)
	changed := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 1
		return b
	}
	for name, content := range map[string][]byte{
		"empty":               {},
		"no archive":          bytes.Repeat([]byte("herald"), 1000),
		"cut in the database": good[:len(good)/2],
		"without its end":     good[:bytes.LastIndex(good, []byte("manifest.json"))],
		"a byte of the key":   changed(520),
		"a byte of a page":    changed(len(good) / 2),
		"a byte of the sums":  changed(bytes.LastIndex(good, []byte(`"sha256": "`)) + 12),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "b.tar")
			must(t, os.WriteFile(path, content, 0o600))
			if _, err := VerifyBackup(t.Context(), path, nil); err == nil {
				t.Error("it is verified")
			}
			to := testConfig(t.TempDir())
			if _, err := Restore(t.Context(), to, RestoreOptions{Path: path}); err == nil {
				t.Error("it is restored")
			}
			leftovers(t, to.Data, lockFile)
		})
	}
	to := testConfig(t.TempDir())
	_, err = Restore(t.Context(), to, RestoreOptions{Path: bare})
	wantError(t, err, herald.CodeConflict, "without keys")
	must(t, os.WriteFile(filepath.Join(to.Data, keyFile), []byte("bm90IHRoZSBrZXk="), 0o600))
	_, err = Restore(t.Context(), to, RestoreOptions{Path: file})
	wantError(t, err, herald.CodeConflict, "the key of another installation")
	leftovers(t, to.Data, lockFile, keyFile)
	_, err = Restore(t.Context(), cfg, RestoreOptions{Path: file})
	wantError(t, err, herald.CodeConflict, "a herald runs")

	// The epoch follows the clock, and is never that of what was backed up.
	must(t, srv.Close())
	var epochs []int64
	for range 2 {
		to := testConfig(t.TempDir())
		m, err := Restore(t.Context(), to, RestoreOptions{Path: file})
		must(t, err)
		epochs = append(epochs, m.Apps[0].Epoch)
		again := filepath.Join(t.TempDir(), "again.tar")
		_, _, err = Backup(t.Context(), to, BackupOptions{Path: again})
		must(t, err)
		to.Data = t.TempDir()
		m, err = Restore(t.Context(), to, RestoreOptions{Path: again})
		must(t, err)
		if m.Apps[0].Epoch <= epochs[len(epochs)-1] {
			t.Errorf("after epoch %d comes %d", epochs[len(epochs)-1], m.Apps[0].Epoch)
		}
	}
}

// TestInterruptedRestore: no server starts on a folder that was filled in part.
func TestInterruptedRestore(t *testing.T) {
	cfg := testConfig(t.TempDir())
	srv, err := open(t, cfg)
	must(t, err)
	must(t, srv.Close())
	file := filepath.Join(t.TempDir(), "b.tar")
	_, _, err = Backup(t.Context(), cfg, BackupOptions{Path: file})
	must(t, err)
	to := testConfig(t.TempDir())
	for name, text := range map[string]string{restoreFile: config.StoreSQLite, databaseFile: "half", databaseFile + ".restoring": "half", databaseFile + ".restoring-wal": "half"} {
		must(t, os.WriteFile(filepath.Join(to.Data, name), []byte(text), 0o600))
	}
	_, err = open(t, to)
	wantError(t, err, herald.CodeConflict, "interrupted")
	other := to
	other.Store = config.Store{Driver: config.StorePostgres, DSN: "postgres://127.0.0.1:1/x"}
	_, err = Restore(t.Context(), other, RestoreOptions{Path: file})
	wantError(t, err, herald.CodeConflict, "interrupted")
	_, err = Restore(t.Context(), to, RestoreOptions{Path: file})
	must(t, err)
	leftovers(t, to.Data, databaseFile, keyFile, lockFile)
	srv, err = open(t, to)
	must(t, err)
	must(t, srv.Close())
}

func TestBackupRefuses(t *testing.T) {
	empty := testConfig(t.TempDir())
	_, _, err := Backup(t.Context(), empty, BackupOptions{Path: filepath.Join(t.TempDir(), "b.tar")})
	wantError(t, err, herald.CodeNotFound, "no database")
	far := empty
	far.Store = config.Store{Driver: config.StorePostgres, DSN: "postgres://127.0.0.1:1/x"}
	_, _, err = Backup(t.Context(), far, BackupOptions{Path: filepath.Join(t.TempDir(), "b.tar")})
	wantError(t, err, herald.CodeNotFound, keyFile)
	dir := t.TempDir()
	_, _, err = Backup(t.Context(), far, BackupOptions{Path: filepath.Join(dir, "b.tar"), NoKeys: true})
	wantError(t, err, herald.CodeStorageUnavailable, "cannot be used")
	leftovers(t, dir)
	_, _, err = Backup(t.Context(), far, BackupOptions{Path: filepath.Join(dir, "none", "b.tar"), NoKeys: true})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a folder that is not there: %v", err)
	}
	if _, err := VerifyBackup(t.Context(), filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of a file that is not there: %v", err)
	}
}

// TestBackupIsTar: other programs can look into it.
func TestBackupIsTar(t *testing.T) {
	cfg := testConfig(t.TempDir())
	srv, err := open(t, cfg)
	must(t, err)
	dir := t.TempDir()
	path, _, err := Backup(t.Context(), cfg, BackupOptions{Path: dir})
	must(t, errors.Join(err, srv.Close()))
	if !strings.HasPrefix(filepath.Base(path), "herald-") {
		t.Errorf("the name is %s", path)
	}
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	var names []string
	r := tar.NewReader(f)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		names = append(names, h.Name)
	}
	if want := []string{keyFile, archive.Database, "manifest.json"}; !slices.Equal(names, want) {
		t.Errorf("it has %q", names)
	}
}
