package faults_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver that sql.Open names
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// database is a kind of database server that has the record.
type database struct {
	start   func() (*servers.Server, error)
	store   string // store.driver
	dsn     func(p *servers.Proxy) string
	driver  string // of database/sql
	direct  func(s *servers.Server) string
	columns string
}

var databases = map[string]database{
	"PostgreSQL": {
		start: servers.Postgres, store: "postgres", driver: "pgx", direct: (*servers.Server).PostgresDSN,
		dsn: func(p *servers.Proxy) string {
			return fmt.Sprintf("postgres://herald@127.0.0.1:%d/postgres?sslmode=disable", p.Port())
		},
		columns: "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'",
	},
	"MariaDB": {
		start: servers.MariaDB, store: "mysql", driver: "mysql", direct: func(s *servers.Server) string { return s.MariaDBDSN("herald") },
		dsn:     func(p *servers.Proxy) string { return fmt.Sprintf("root@tcp(127.0.0.1:%d)/herald", p.Port()) },
		columns: "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'herald'",
	},
}

// TestDatabase has the database killed, stopped, out of reach and slow while
// everybody is busy, and the server killed beside that, and holds it to every
// invariant afterwards. In its long form it does so round after round for a
// quarter of the time of a soak, with each database.
func TestDatabase(t *testing.T) {
	t.Parallel()
	total := long(t) / 4
	for name, d := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f figures
			s := seed(t)
			began := time.Now()
			for i := 0; i == 0 || time.Since(began) < total && !t.Failed(); i++ {
				t.Run(strconv.Itoa(i), func(t *testing.T) { d.round(t, &f, s+uint64(i), total > 0) })
			}
			f.tell(t, s)
		})
	}
}

// round is one world on a new database.
func (d *database) round(t *testing.T, f *figures, s uint64, big bool) {
	server := servers.Need(t, d.start)
	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})
	if d.store == "mysql" {
		execute(t, d.driver, server.MariaDBDSN(""), "CREATE DATABASE herald")
	}
	p := servers.NewProxy(t, server)
	n := newNode(t, plain(t), "HERALD_STORE__DRIVER="+d.store, "HERALD_STORE__DSN="+d.dsn(p))
	n.inspect = func() []string {
		db, err := sql.Open(d.driver, d.direct(server))
		if err != nil {
			return []string{err.Error()}
		}
		defer db.Close()
		return inspectTables(context.Background(), db, true, d.columns)
	}
	n.mustStart()
	w := newWorld(t, n, s, size{devices: 6, sdk: 1, pace: 10 * time.Millisecond})
	before := n.load()
	w.begin()
	times := 1
	if big {
		times = 6
	}
	w.load(4, w.troubling(w.random("database", 0), server, p, times))
	e := w.gather(w.drained(drainFor(big)), 20_000)
	w.conclude(e, before)
	e.hold(t)
	f.add(e)
	w.tell(t, e)
}

func execute(t *testing.T, driver, dsn, statement string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// troubling does to a database what may happen to one, some times over.
func (w *world) troubling(r *rand.Rand, s *servers.Server, p *servers.Proxy, times int) func(context.Context) {
	try := func(steps ...func() error) {
		for _, step := range steps {
			if err := step(); err != nil {
				w.t.Error(err)
			}
		}
	}
	return func(context.Context) {
		for _, trouble := range slices.Repeat([]func(){
			func() { try(s.Kill, s.Start) },
			func() { p.Lose(servers.LoseAnswer) },
			func() { p.Cut(); w.pause(500 * time.Millisecond); p.Mend() },
			func() { p.Lose(servers.LoseCommit) },
			func() { p.Delay(30 * time.Millisecond); w.pause(500 * time.Millisecond); p.Delay(0) },
			func() { w.n.kill(); w.j.life("kill", 0); w.restart() },
			func() { try(s.Stop, s.Start) },
			func() { p.Cut(); w.n.kill(); w.j.life("kill", 0); p.Mend(); w.restart() },
		}, times) {
			w.pause(200*time.Millisecond + time.Duration(r.IntN(400))*time.Millisecond)
			trouble()
			for end := time.Now().Add(patience); w.n.ready() != http.StatusOK && w.ctx.Err() == nil; w.pause(20 * time.Millisecond) {
				if time.Now().After(end) {
					w.t.Error("the server is not ready again")
					return
				}
			}
		}
	}
}
