package server

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

func TestParsePlace(t *testing.T) {
	dir := t.TempDir()
	for in, want := range map[string]Place{
		dir:                        {config.Store{Driver: "sqlite"}, dir},
		"sqlite:data":              {config.Store{Driver: "sqlite"}, "data"},
		"postgres://u:p@h/d":       {config.Store{Driver: "postgres", DSN: "postgres://u:p@h/d"}, ""},
		"postgresql://u@h/d":       {config.Store{Driver: "postgres", DSN: "postgresql://u@h/d"}, ""},
		"postgres:host=h dbname=d": {config.Store{Driver: "postgres", DSN: "host=h dbname=d"}, ""},
		"postgres:@/etc/dsn":       {config.Store{Driver: "postgres", DSNFile: "/etc/dsn"}, ""},
		"mysql:u:p@tcp(h:1)/d":     {config.Store{Driver: "mysql", DSN: "u:p@tcp(h:1)/d"}, ""},
		"mysql:@dsn":               {config.Store{Driver: "mysql", DSNFile: "dsn"}, ""},
	} {
		if got, err := ParsePlace(in); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "sqlite:", "mysql:", "postgres:", "no-folder", "u:hunter2@tcp(h)/d", "postgresql:x"} {
		_, err := ParsePlace(in)
		wantError(t, err, herald.CodeInvalidRequest, "one of the databases")
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

// both are the database servers of some tests, which take a while to start.
type both struct{ pg, my *servers.Server }

func (b both) execute(t *testing.T, driver, dsn, q string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	must(t, err)
	_, err = db.ExecContext(t.Context(), q)
	must(t, errors.Join(err, db.Close()))
}

func (b both) postgres(t *testing.T, name string) config.Store {
	t.Helper()
	b.execute(t, "pgx", b.pg.PostgresDSN(), "CREATE SCHEMA "+name)
	return config.Store{Driver: config.StorePostgres, DSN: b.pg.PostgresDSN() + " search_path=" + name}
}

func (b both) mysql(t *testing.T, name string) config.Store {
	t.Helper()
	b.execute(t, "mysql", b.my.MariaDBDSN(""), "CREATE DATABASE "+name)
	return config.Store{Driver: config.StoreMySQL, DSN: b.my.MariaDBDSN(name)}
}

// TestDatabaseServers has what moves records between kinds of databases.
func TestDatabaseServers(t *testing.T) {
	b := both{servers.Need(t, servers.Postgres), servers.Need(t, servers.MariaDB)}
	t.Cleanup(func() {
		if err := errors.Join(b.pg.Remove(), b.my.Remove()); err != nil {
			t.Error(err)
		}
	})
	t.Run("backup", func(t *testing.T) { testBackupOfServers(t, b) })
	t.Run("move", func(t *testing.T) { testMoveStore(t, b) })
	t.Run("refusals of moving", func(t *testing.T) { testMoveStoreRefuses(t, b) })
}

// testMoveStore moves a small installation to PostgreSQL, on to MariaDB, and
// back: what waits is delivered, tokens and cursors stay good, and nothing comes
// twice.
func testMoveStore(t *testing.T, b both) {
	cfg := testConfig(t.TempDir())
	cfg.Limits.AddressRate, cfg.Limits.DeviceRate, cfg.Limits.KeyRate = 0, 0, 0
	n := &node{t: t, cfg: cfg, done: make(chan error, 1), client: &http.Client{}}
	n.start()
	t.Cleanup(n.end)
	one := n.register(api.RegisterRequest{Installation: "one-0123456789ab"})
	two := n.register(api.RegisterRequest{Installation: "two-0123456789ab"})
	var waiting []string
	cursor := ""

	kinds := map[string]config.Store{
		config.StoreSQLite:   {Driver: config.StoreSQLite},
		config.StorePostgres: b.postgres(t, "move"),
		config.StoreMySQL:    b.mysql(t, "move"),
	}
	name := func(c config.Store) string {
		if c.Driver == config.StoreSQLite {
			return "sqlite:" + cfg.Data
		}
		return c.Driver + ":" + c.DSN
	}
	at := kinds[config.StoreSQLite]
	for _, next := range []config.Store{kinds[config.StorePostgres], kinds[config.StoreMySQL], kinds[config.StoreSQLite]} {
		m := n.send(`{"audience":"all","notification":{"title":"in ` + at.Driver + `"}}`).ID.String()
		waiting = append(waiting, m)
		s := n.connect(one.Token, "&ack=upto&cursor="+cursor)
		f := s.next()
		if f.ID != m {
			t.Errorf("in %s came %+v, want %s only", at.Driver, f, m)
		}
		cursor = f.Cursor // not acknowledged before the next connection
		must(t, s.c.CloseNow())

		_, err := MoveStore(t.Context(), MoveOptions{From: name(at), To: name(next)})
		wantError(t, err, herald.CodeConflict, "")
		n.end()
		moved, err := MoveStore(t.Context(), MoveOptions{From: name(at), To: name(next)})
		if err != nil {
			t.Fatalf("from %s to %s: %v", at.Driver, next.Driver, err)
		}
		if moved.Rows < 10 || moved.From != at.Driver || moved.To != next.Driver || moved.Damaged() != nil {
			t.Errorf("moved: %+v", moved)
		}
		n.cfg.Store = at
		_, err = open(t, n.cfg)
		wantError(t, err, herald.CodeConflict, "was moved from this database to "+next.Driver)
		_, err = MoveStore(t.Context(), MoveOptions{From: name(at), To: name(next)})
		wantError(t, err, herald.CodeConflict, "already")
		if next.Driver == config.StorePostgres {
			// Back to the folder, where the old one must not be in the way.
			must(t, os.Rename(filepath.Join(cfg.Data, databaseFile), filepath.Join(cfg.Data, "old.db")))
		}
		n.cfg.Store, at = next, next
		n.start()
	}
	s := n.connect(two.Token, "")
	for _, id := range waiting {
		s.expect("message", id)
	}
	last := n.send(`{"audience":"all","notification":{"title":"last"}}`).ID.String()
	s.expect("message", last)
	s = n.connect(one.Token, "&ack=upto&cursor="+cursor)
	s.expect("message", last) // and nothing that it had
	n.end()
	leftovers(t, cfg.Data, databaseFile, keyFile, lockFile, "old.db")
}

func testMoveStoreRefuses(t *testing.T, b both) {
	pg := b.postgres(t, "refuses")
	cfg := testConfig(t.TempDir())
	srv, err := open(t, cfg)
	must(t, err)
	_, err = srv.Admin().CreateApp(t.Context(), api.NewApp{Name: "one"})
	must(t, err)
	from, to := "sqlite:"+cfg.Data, "postgres:"+pg.DSN
	move := func(from, to string) error {
		_, err := MoveStore(t.Context(), MoveOptions{From: from, To: to})
		return err
	}
	wantError(t, move(from, to), herald.CodeConflict, "a herald runs")
	wantError(t, ReopenStore(t.Context(), from), herald.CodeConflict, "a herald runs")
	must(t, srv.Close())
	wantError(t, move(from, from), herald.CodeInvalidRequest, "both")
	wantError(t, move(from, "nowhere"), herald.CodeInvalidRequest, "")
	wantError(t, move("nowhere", to), herald.CodeInvalidRequest, "")
	wantError(t, ReopenStore(t.Context(), "nowhere"), herald.CodeInvalidRequest, "")
	wantError(t, move("sqlite:"+t.TempDir(), to), herald.CodeNotFound, "no database")
	wantError(t, move(to, "sqlite:"+t.TempDir()), herald.CodeConflict, "no server.key")
	wantError(t, move(to, "postgres://127.0.0.1:1/x"), herald.CodeStorageUnavailable, "")
	wantError(t, move(from, "postgres://127.0.0.1:1/x"), herald.CodeStorageUnavailable, "")

	// An interrupted one, which another database does not end.
	ctx, stop := context.WithCancel(t.Context())
	_, err = MoveStore(ctx, MoveOptions{From: from, To: to, Report: func(string, int64, int64) { stop() }})
	if err == nil {
		t.Fatal("not interrupted")
	}
	in := cfg
	in.Store = pg
	_, err = open(t, in)
	wantError(t, err, herald.CodeConflict, "not whole")
	_, _, err = Backup(t.Context(), in, BackupOptions{Path: t.TempDir()})
	wantError(t, err, herald.CodeConflict, "not whole")
	other := testConfig(t.TempDir())
	srv, err = open(t, other)
	must(t, err)
	must(t, srv.Close())
	wantError(t, move("sqlite:"+other.Data, to), herald.CodeConflict, "something else")
	must(t, os.Rename(filepath.Join(other.Data, databaseFile), filepath.Join(other.Data, "aside")))
	wantError(t, move(to, "sqlite:"+other.Data), herald.CodeConflict, "the database is not whole")

	_, err = MoveStore(t.Context(), MoveOptions{From: from, To: to, KeepSource: true})
	must(t, err)
	wantError(t, move(from, to), herald.CodeConflict, "has data already")
	srv, err = open(t, cfg) // it was kept
	must(t, err)
	must(t, srv.Close())
	must(t, os.Remove(filepath.Join(other.Data, databaseFile)))
	must(t, move(to, "sqlite:"+other.Data))
	_, err = open(t, in)
	wantError(t, err, herald.CodeConflict, "was moved")
	must(t, ReopenStore(t.Context(), to))
	srv, err = open(t, in)
	must(t, err)
	must(t, srv.Close())
}
