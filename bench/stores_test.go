//go:build unix

package bench_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/mysql"
	"github.com/herald-push/herald/internal/store/postgres"
	"github.com/herald-push/herald/internal/store/sqlite/driver"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// BenchmarkStores measures group commit on each store: callers accept messages
// to one device, beside a bare loop on the same database. The loop writes what
// has queued up in one transaction, with the statements of many rows that the
// store has, and does nothing else. Both take turns; x-bare is what the store
// reaches of it.
func BenchmarkStores(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		measureStore(b, func() (dialect.Driver, error) {
			return driver.New(driver.Config{Path: filepath.Join(b.TempDir(), "herald.db")}), nil
		})
	})
	b.Run("postgres", func(b *testing.B) {
		s := server(b, servers.PostgresSynced)
		measureStore(b, databases(b, "pgx", s.PostgresDSN(), func(name string) (dialect.Driver, error) {
			return postgres.New(postgres.Config{DSN: strings.Replace(s.PostgresDSN(), "dbname=postgres", "dbname="+name, 1), Log: slog.New(slog.DiscardHandler)})
		}))
	})
	b.Run("mariadb", func(b *testing.B) {
		s := server(b, servers.MariaDBSynced)
		measureStore(b, databases(b, "mysql", s.MariaDBDSN(""), func(name string) (dialect.Driver, error) {
			return mysql.New(mysql.Config{DSN: s.MariaDBDSN(name), Log: slog.New(slog.DiscardHandler)})
		}))
	})
}

func server(b *testing.B, start func() (*servers.Server, error)) *servers.Server {
	b.Helper()
	s := servers.Need(b, start)
	b.Cleanup(func() { must(b, s.Remove()) })
	return s
}

// databases makes a database for each driver.
func databases(b *testing.B, kind, dsn string, open func(name string) (dialect.Driver, error)) func() (dialect.Driver, error) {
	n := 0
	return func() (dialect.Driver, error) {
		n++
		name := fmt.Sprintf("bench%d", n)
		admin, err := sql.Open(kind, dsn)
		if err != nil {
			return nil, err
		}
		defer admin.Close()
		if _, err := admin.ExecContext(context.Background(), "CREATE DATABASE "+name); err != nil {
			return nil, err
		}
		return open(name)
	}
}

const storesApp herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"

func measureStore(b *testing.B, open func() (dialect.Driver, error)) {
	d, err := open()
	must(b, err)
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{Driver: d, Log: slog.New(slog.DiscardHandler)})
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	must(b, db.CreateApp(ctx, record.App{Key: storesApp, SecretHash: []byte("h"), Created: time.Now()}))
	d, err = open()
	must(b, err)
	bare := newBareRows(b, d)
	next := 0
	for _, callers := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			var ours, theirs time.Duration
			const turns = 4
			for turn := range turns {
				n := b.N*(turn+1)/turns - b.N*turn/turns
				ours += call(b, callers, next, n, func(i int) error {
					_, err := db.Accept(ctx, direct(i))
					return err
				})
				theirs += call(b, callers, next, n, bare.accept)
				next += n
			}
			b.ReportMetric(float64(b.N)/ours.Seconds(), "msg/s")
			b.ReportMetric(float64(b.N)/theirs.Seconds(), "bare-msg/s")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x-bare")
		})
	}
}

// call has callers do i from one number on, n in all.
func call(b *testing.B, callers, from, n int, do func(i int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := do(from + i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func direct(i int) record.Acceptance {
	now := time.UnixMilli(1_800_000_000_000).UTC()
	return record.Acceptance{Message: record.Message{
		Message: herald.Message{ID: herald.MessageID(i), App: storesApp, Audience: herald.Audience{All: true}, Priority: herald.PriorityNormal,
			TTL: time.Hour, Accepted: now, Due: now},
		Body: []byte(`{"notification":{"title":"Your order has shipped","body":"It should reach you tomorrow."}}`), State: herald.MessageSending,
		Target: 1, Direct: []herald.Ordinal{herald.Ordinal(i * 7919 % 1_000_000)},
	}}
}

// bareRows is the bare loop.
type bareRows struct {
	b     *testing.B
	d     dialect.Driver
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	rows  chan *waiting
	done  chan struct{}
}

type waiting struct {
	i    int
	done chan error
}

func newBareRows(b *testing.B, d dialect.Driver) *bareRows {
	b.Helper()
	_, conn, err := d.Open(context.Background())
	must(b, err)
	r := &bareRows{b: b, d: d, conn: conn, stmts: map[string]*sql.Stmt{}, rows: make(chan *waiting, 512), done: make(chan struct{})}
	must(b, r.exec("INSERT INTO app_head (app, epoch, pos, next_ord, next_n, next_recipient) VALUES (1, 1, 0, 0, 0, 0)"))
	go r.loop()
	b.Cleanup(func() {
		close(r.rows)
		<-r.done
		for _, s := range r.stmts {
			must(b, s.Close())
		}
		must(b, errors.Join(conn.Close(), d.Close()))
	})
	return r
}

func (r *bareRows) accept(i int) error {
	w := &waiting{i, make(chan error, 1)}
	r.rows <- w
	return <-w.done
}

func (r *bareRows) loop() {
	defer close(r.done)
	for w := range r.rows {
		group := []*waiting{w}
		for len(group) < 512 && len(r.rows) > 0 {
			group = append(group, <-r.rows)
		}
		err := r.commit(group)
		for _, w := range group {
			w.done <- err
		}
	}
}

func (r *bareRows) commit(group []*waiting) error {
	if _, err := r.conn.ExecContext(context.Background(), r.d.Say(dialect.Begin)); err != nil {
		return err
	}
	var releases, entries, messages []any
	body, target := direct(0).Body, []byte{0, 1, 1}
	for _, w := range group {
		i := int64(w.i)
		releases = append(releases, 1, i, "message", i, 1_800_000_000_000)
		entries = append(entries, 1, i*7919%1_000_000, i, i, i)
		messages = append(messages, 1, i, "sending", 0, 1_800_003_600_000, i, 0, 0, 0, 1, 0, i, "normal", "", "", 3_600_000, 1_800_000_000_000, 1_800_000_000_000,
			`"all"`, body, int64(crc32.ChecksumIEEE(body)), 1, target, int64(crc32.ChecksumIEEE(target)))
	}
	err := errors.Join(
		r.insert("release_log (app, pos, kind, msg, at)", 5, releases),
		r.insert("entry (app, ord, pos, n, msg)", 5, entries),
		r.insert(`msg (app, id, state, ended, ends, pos, end_pos, eval_pos, by_alias, devices, unknown, first_n, priority,
			collapse_key, ordering_key, ttl, accepted, due, audience, body, crc, form, target, target_crc)`, 24, messages),
		r.exec("UPDATE app_head SET pos = ? WHERE app = 1", group[len(group)-1].i))
	if err != nil {
		return err
	}
	_, err = r.conn.ExecContext(context.Background(), "COMMIT")
	return err
}

func (r *bareRows) insert(into string, columns int, args []any) error {
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"
	for _, n := range []int{64, 8, 1} {
		for ; len(args) >= n*columns; args = args[n*columns:] {
			if err := r.exec("INSERT INTO "+into+" VALUES "+one+strings.Repeat(", "+one, n-1), args[:n*columns]...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *bareRows) exec(q string, args ...any) error {
	s := r.stmts[q]
	if s == nil {
		var err error
		if s, err = r.conn.PrepareContext(context.Background(), r.d.SQL(q)); err != nil {
			return err
		}
		r.stmts[q] = s
	}
	_, err := s.ExecContext(context.Background(), args...)
	return err
}
