package model_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver that sql.Open names

	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/mysql"
	"github.com/herald-push/herald/internal/store/postgres"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// place is where the records of nodes are: databases of one kind.
type place interface {
	// make makes a new record, a copy of another one that no node has open, or
	// an empty one.
	make(from string) (name string, err error)
	// driver opens a record.
	driver(name string) (dialect.Driver, error)
	// crash has the node of a record die: what it writes from then on is not in
	// the record whose name is given.
	crash(name string) (next string, err error)
	// over ends a crash: the node is closed, and the next may be opened.
	over()
}

// files are databases of SQLite.
type files struct{ t *testing.T }

// make copies the files as they are, as after a kill -9.
func (f files) make(from string) (string, error) {
	dir, err := os.MkdirTemp(f.t.TempDir(), "")
	if err != nil || from == "" {
		return dir, err
	}
	for _, name := range []string{"herald.db", "herald.db-wal"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	return dir, nil
}

func (f files) driver(name string) (dialect.Driver, error) {
	return driver.New(driver.Config{Path: filepath.Join(name, "herald.db")}), nil
}

func (f files) crash(name string) (string, error) { return f.make(name) }

func (f files) over() {}

// databases are those of a server. A crash cuts the way to it.
type databases struct {
	proxy *servers.Proxy
	admin *sql.DB
	copy  func(ctx context.Context, admin *sql.DB, from, to string) error
	open  func(p *servers.Proxy, name string) (dialect.Driver, error)
	made  int
}

func (d *databases) make(from string) (string, error) {
	d.made++
	name := fmt.Sprintf("model%d", d.made)
	return name, d.copy(context.Background(), d.admin, from, name)
}

func (d *databases) driver(name string) (dialect.Driver, error) { return d.open(d.proxy, name) }

func (d *databases) crash(name string) (string, error) {
	d.proxy.Cut()
	return name, nil
}

func (d *databases) over() { d.proxy.Mend() }

// started gives the databases of a server that ends with the test.
func started(t *testing.T, start func() (*servers.Server, error), admin func(*servers.Server) (driver, dsn string)) *databases {
	t.Helper()
	s := servers.Need(t, start)
	t.Cleanup(func() {
		if err := s.Remove(); err != nil {
			t.Error(err)
		}
	})
	name, dsn := admin(s)
	db, err := sql.Open(name, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &databases{proxy: servers.NewProxy(t, s), admin: db}
}

func inPostgres(t *testing.T) place {
	d := started(t, servers.Postgres, func(s *servers.Server) (string, string) { return "pgx", s.PostgresDSN() })
	d.copy = func(ctx context.Context, admin *sql.DB, from, to string) error {
		if from == "" {
			from = "template1"
		}
		_, err := admin.ExecContext(ctx, "CREATE DATABASE "+to+" TEMPLATE "+from)
		return err
	}
	d.open = func(p *servers.Proxy, name string) (dialect.Driver, error) {
		dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=herald dbname=%s sslmode=disable", p.Port(), name)
		return postgres.New(postgres.Config{DSN: dsn, Log: slog.New(slog.DiscardHandler)})
	}
	return d
}

func inMariaDB(t *testing.T) place {
	d := started(t, servers.MariaDB, func(s *servers.Server) (string, string) { return "mysql", s.MariaDBDSN("") })
	d.copy = copyMariaDB
	d.open = func(p *servers.Proxy, name string) (dialect.Driver, error) {
		return mysql.New(mysql.Config{DSN: fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s", p.Port(), name), Log: slog.New(slog.DiscardHandler)})
	}
	return d
}

// copyMariaDB copies a database table by table: there are no templates.
func copyMariaDB(ctx context.Context, admin *sql.DB, from, to string) error {
	if _, err := admin.ExecContext(ctx, "CREATE DATABASE "+to); err != nil || from == "" {
		return err
	}
	rows, err := admin.QueryContext(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", from)
	if err != nil {
		return err
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return errors.Join(err, rows.Close())
		}
		tables = append(tables, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, name := range tables {
		for _, q := range []string{"CREATE TABLE %[2]s.%[3]s LIKE %[1]s.%[3]s", "INSERT INTO %[2]s.%[3]s SELECT * FROM %[1]s.%[3]s"} {
			if _, err := admin.ExecContext(ctx, fmt.Sprintf(q, from, to, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
