package moving

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/mysql"
	"github.com/herald-push/herald/internal/store/postgres"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// The servers of this package's tests.
var (
	pg = sync.OnceValues(servers.Postgres)
	my = sync.OnceValues(servers.MariaDB)
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, once := range []func() (*servers.Server, error){pg, my} {
		if s, err := once(); err == nil {
			if err := s.Remove(); err != nil {
				fmt.Println(err)
				code = 1
			}
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

// mover is a driver of a test.
type testDriver interface {
	dialect.Mover
	Close() error
}

// place is a database of a test, which can be attached to again and again.
type place struct {
	t    *testing.T
	name string
	make func() (testDriver, error)

	d    testDriver
	conn *sql.Conn
}

func (p *place) attach() error {
	var err error
	if p.d, err = p.make(); err != nil {
		p.t.Fatal(err)
	}
	p.conn, err = p.d.Attach(p.t.Context(), true)
	return err
}

func (p *place) leave() {
	p.t.Helper()
	if p.d == nil {
		return
	}
	if p.conn != nil {
		must(p.t, p.conn.Close())
	}
	must(p.t, p.d.Close())
	p.d, p.conn = nil, nil
}

func (p *place) source() Source { return Source{p.conn, p.d.Layout()} }
func (p *place) target() Target { return Target{p.conn, p.d.Layout()} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func inSQLite(t *testing.T) *place {
	path := filepath.Join(t.TempDir(), "herald.db")
	return newPlace(t, "SQLite", func() (testDriver, error) { return driver.New(driver.Config{Path: path}), nil })
}

var schemas sync.Map

func inPostgres(t *testing.T) *place {
	s := servers.Need(t, pg)
	name := schemaOf(t)
	execute(t, "pgx", s.PostgresDSN(), "CREATE SCHEMA "+name)
	return newPlace(t, "PostgreSQL", func() (testDriver, error) {
		return postgres.New(postgres.Config{DSN: s.PostgresDSN() + " search_path=" + name, Log: slog.New(slog.DiscardHandler)})
	})
}

func inMariaDB(t *testing.T) *place {
	s := servers.Need(t, my)
	name := schemaOf(t)
	execute(t, "mysql", s.MariaDBDSN(""), "CREATE DATABASE "+name)
	return newPlace(t, "MariaDB", func() (testDriver, error) {
		return mysql.New(mysql.Config{DSN: s.MariaDBDSN(name), Log: slog.New(slog.DiscardHandler)})
	})
}

func schemaOf(t *testing.T) string {
	for n := 0; ; n++ {
		name := fmt.Sprintf("s%08x_%d", crc32.ChecksumIEEE([]byte(t.Name())), n)
		if _, taken := schemas.LoadOrStore(name, true); !taken {
			return name
		}
	}
}

func execute(t *testing.T, driver, dsn, q string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	must(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), q)
	must(t, err)
}

func newPlace(t *testing.T, name string, open func() (testDriver, error)) *place {
	p := &place{t: t, name: name, make: open}
	t.Cleanup(p.leave)
	must(t, p.attach())
	return p
}

func tables(t *testing.T) []Table {
	t.Helper()
	list, err := Tables(t.Context(), 0)
	must(t, err)
	return list
}

// fill puts rows into every table: all kinds of values that a column takes, and
// more rows in one than fit a page.
func fill(t *testing.T, p *place, list []Table) {
	t.Helper()
	must(t, p.d.Raise(t.Context(), 0))
	m := &mover{to: side{p.conn, p.d.Layout()}, conn: p.conn}
	for i := range list {
		table := &list[i]
		n := 7
		if table.Name == "device" {
			n = 2*pageRows + 17
		}
		var rows []row
		for k := range n {
			rows = append(rows, made(table, int64(k)))
		}
		must(t, m.put(t.Context(), table, rows))
	}
}

// optional are columns that take NULL.
var optional = map[string]bool{"installation": true, "recipient": true, "attributes": true, "audience": true, "old_hash": true, "networks": true, "changes": true}

func made(t *Table, n int64) row {
	r := make(row, len(t.Columns))
	for i, c := range t.Columns {
		inKey := slices.Contains(t.Key, i)
		switch {
		case c.Kind == Number:
			r[i] = n * 0x1_0000_0001 % (1 << 62)
		case inKey && n%2 == 0:
			r[i] = fmt.Appendf(nil, "Ключ %d \"'%%", n)
		case inKey:
			r[i] = fmt.Appendf(nil, "a%dZ", n)
		case n%3 == 0 && c.Kind == Bytes && t.Name != "device":
			r[i] = []byte{}
		case c.Kind == Bytes:
			r[i] = append([]byte{0, 0xff, '\\', '\'', 0x80}, fmt.Append(nil, n)...)
		default:
			r[i] = fmt.Appendf(nil, "text %d 文字 \U0001f600 ?$1", n)
		}
		if optional[c.Name] && t.Name == "device" && n%5 == 4 {
			r[i] = nil
		}
	}
	for i, c := range t.Columns {
		if c.Sums >= 0 {
			b, _ := r[c.Sums].([]byte)
			r[i] = int64(crc32.Checksum(b, castagnoli))
		}
	}
	return r
}

// move has everything of a place moved to another.
func move(ctx context.Context, list []Table, from, to *place, report Report) ([]Sum, error) {
	version, err := Version(ctx, from.conn, from.d.Layout())
	if err != nil {
		return nil, err
	}
	if err := Begin(ctx, to.target(), list, version, "the test", to.d.Raise); err != nil {
		return nil, err
	}
	sums, err := Move(ctx, list, from.source(), to.target(), report)
	if err == nil {
		err = SetMark(ctx, to.conn, to.d.Layout(), dialect.MarkMoving, "")
	}
	return sums, err
}

// TestMove moves rows of every table round all databases.
func TestMove(t *testing.T) {
	list := tables(t)
	at := inSQLite(t)
	fill(t, at, list)
	first, err := Sums(t.Context(), list, at.source(), nil)
	must(t, err)
	round := []*place{inPostgres(t), inMariaDB(t), inPostgres(t), inSQLite(t)}
	for _, next := range round {
		var last [2]int64
		sums, err := move(t.Context(), list, at, next, func(_ string, done, all int64) { last = [2]int64{done, all} })
		if err != nil {
			t.Fatalf("from %s to %s: %v", at.name, next.name, err)
		}
		for i, s := range sums {
			if s.Table != first[i].Table || s.Rows != first[i].Rows || s.SHA256 != first[i].SHA256 || s.Damaged != nil {
				t.Errorf("from %s to %s: %+v, and at first %+v", at.name, next.name, s, first[i])
			}
		}
		if last[0] != last[1] || last[1] < 2*pageRows {
			t.Errorf("%d of %d rows are reported at the end", last[0], last[1])
		}
		at = next
	}
	// A database that numbers rows itself does not give one again that was moved
	// in.
	for _, p := range round {
		if _, err := p.conn.ExecContext(t.Context(), "INSERT INTO job (app, kind, msg, due, at, fence) VALUES (1, '', 1, 1, 1, 0)"); err != nil {
			t.Errorf("a new job in %s: %v", p.name, err)
		}
	}
}

// TestResume interrupts the moving at each kind of place, changes the source,
// and goes on.
func TestResume(t *testing.T) {
	list := tables(t)
	for _, to := range []*place{inSQLite(t), inPostgres(t), inMariaDB(t)} {
		t.Run(to.name, func(t *testing.T) {
			from := inSQLite(t)
			fill(t, from, list)
			for _, point := range []struct {
				at    string
				after int64
			}{{Copying, 0}, {Copying, pageRows + pageRows/2}, {Comparing, pageRows}} {
				ctx, stop := context.WithCancel(t.Context())
				_, err := move(ctx, list, from, to, func(what string, done, _ int64) {
					if what == point.at && done > point.after {
						stop()
					}
				})
				if err == nil || ctx.Err() == nil {
					t.Fatalf("not interrupted while %s: %v", point.at, err)
				}
				stop()
				to.leave()
				must(t, to.attach())
				if err := open(t, to); err == nil || !strings.Contains(err.Error(), "not whole") {
					t.Fatalf("a server opens what is half: %v", err)
				}
				must(t, to.attach())
			}
			// A server was on the source meanwhile.
			for _, q := range []string{"DELETE FROM device WHERE ord = 0", "UPDATE msg SET state = 'done'", "INSERT INTO removed (app, pos, ord) VALUES (0, 1, 1)",
				"INSERT INTO meta (name, value) VALUES ('new', 'v')", "DELETE FROM job WHERE id > 0"} {
				_, err := from.conn.ExecContext(t.Context(), q)
				must(t, err)
			}
			if err := Begin(t.Context(), to.target(), list, 1<<40, "another", to.d.Raise); herald.CodeOf(err) != herald.CodeConflict {
				t.Errorf("what was begun for another: %v", err)
			}
			_, err := move(t.Context(), list, from, to, nil)
			must(t, err)
			want, err := Sums(t.Context(), list, from.source(), nil)
			must(t, err)
			got, err := Sums(t.Context(), list, to.source(), nil)
			must(t, err)
			for i := range want {
				if got[i].SHA256 != want[i].SHA256 || got[i].Rows != want[i].Rows {
					t.Errorf("%+v, want %+v", got[i], want[i])
				}
			}
			if _, err := move(t.Context(), list, from, to, nil); herald.CodeOf(err) != herald.CodeConflict || !strings.Contains(err.Error(), "has data") {
				t.Errorf("to a database with data: %v", err)
			}
		})
	}
}

// open opens a database as a server does, after the connection to it was left.
func open(t *testing.T, p *place) error {
	t.Helper()
	p.leave()
	d, err := p.make()
	must(t, err)
	_, conn, err := d.(dialect.Opener).Open(t.Context())
	if err == nil {
		err = conn.Close()
	}
	return errors.Join(err, d.Close())
}

// TestHeld: while one has the lock, nobody else has.
func TestHeld(t *testing.T) {
	for _, p := range []*place{inPostgres(t), inMariaDB(t)} {
		second := &place{t: t, make: p.make}
		if err := second.attach(); !errors.Is(err, dialect.ErrHeld) {
			t.Errorf("%s: %v", p.name, err)
		}
		second.leave()
		d, err := p.make()
		must(t, err)
		conn, err := d.Attach(t.Context(), false)
		if err != nil {
			t.Errorf("%s, for reading: %v", p.name, err)
		}
		must(t, conn.Close())
		must(t, d.Close())
	}
}

var createTable = regexp.MustCompile(`(?s)CREATE TABLE (\w+) \(\n(.*?)\n\)`)

// TestTables: every table that a migration makes is one that is moved, has a
// key, and has what is summed before its checksum.
func TestTables(t *testing.T) {
	list := tables(t)
	known := map[string]Table{}
	for _, table := range list {
		known[table.Name] = table
		if len(table.Key) == 0 {
			t.Errorf("table %s has no primary key, in whose order its rows could be moved", table.Name)
		}
		for _, c := range table.Columns {
			switch c.Kind {
			case Number, Fraction, Text, Bytes:
			default:
				t.Errorf("column %s of table %s is of kind %q, which cannot be moved", c.Name, table.Name, c.Kind)
			}
			if c.Sums >= 0 && table.Columns[c.Sums].Kind != Bytes && table.Columns[c.Sums].Kind != Text {
				t.Errorf("column %s of table %s is no checksum of the column before it, %s: a backup could not be verified", c.Name, table.Name, table.Columns[c.Sums].Name)
			}
		}
	}
	files, err := filepath.Glob("../postgres/migrations/*.sql")
	must(t, err)
	n := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		must(t, err)
		for _, m := range createTable.FindAllStringSubmatch(string(b), -1) {
			n++
			if known[m[1]].Name == "" {
				t.Errorf("table %s of %s is not moved", m[1], file)
			}
		}
	}
	if n != len(list) {
		t.Errorf("%d tables are moved, and the migrations make %d", len(list), n)
	}
	for _, p := range []*place{inPostgres(t), inMariaDB(t)} {
		must(t, p.d.Raise(t.Context(), 0))
		must(t, Check(t.Context(), p.conn, p.d.Layout(), list))
		have, err := columns(t.Context(), p.conn, p.d.Layout())
		must(t, err)
		for name := range have {
			if known[name].Name == "" && name != versions {
				t.Errorf("table %s of %s is not moved", name, p.name)
			}
		}
		_, err = p.conn.ExecContext(t.Context(), "ALTER TABLE notice ADD COLUMN more BIGINT")
		must(t, err)
		if err := Check(t.Context(), p.conn, p.d.Layout(), list); herald.CodeOf(err) != herald.CodeConflict {
			t.Errorf("with a column that nobody knows: %v", err)
		}
	}
}

func TestDamaged(t *testing.T) {
	list := tables(t)
	p := inSQLite(t)
	fill(t, p, list)
	_, err := p.conn.ExecContext(t.Context(), "UPDATE msg SET body = X'00' WHERE app = 0")
	must(t, err)
	sums, err := Sums(t.Context(), list, p.source(), nil)
	must(t, err)
	for _, s := range sums {
		if want := s.Table == "msg"; want != (len(s.Damaged) == 1) {
			t.Errorf("%s: %v", s.Table, s.Damaged)
		}
	}
}
