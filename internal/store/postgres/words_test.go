package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/dialect"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

func TestKind(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want dialect.Kind
	}{
		{&pgconn.PgError{Code: "23505"}, dialect.Conflict},
		{&pgconn.PgError{Code: "40001"}, dialect.Again},
		{&pgconn.PgError{Code: "40P01"}, dialect.Again},
		{&pgconn.PgError{Code: "53100"}, dialect.Full},
		{&pgconn.PgError{Code: "53300"}, dialect.Shared},
		{&pgconn.PgError{Code: "25006"}, dialect.Shared},
		{&pgconn.PgError{Code: "57014"}, dialect.Shared},
		{&pgconn.PgError{Code: "57P01"}, dialect.Lost},
		{&pgconn.PgError{Code: "08006"}, dialect.Lost},
		{&pgconn.PgError{Code: "25P03"}, dialect.Lost},
		{&pgconn.PgError{Code: "42P01"}, dialect.Other},
		{&pgconn.PgError{Code: ""}, dialect.Other},
		{fmt.Errorf("reading: %w", io.ErrUnexpectedEOF), dialect.Lost},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, dialect.Lost},
		{driver.ErrBadConn, dialect.Lost},
		{errors.New("something"), dialect.Other},
	} {
		if got := (&Driver{}).Kind(tt.err); got != tt.want {
			t.Errorf("%#v is %d, want %d", tt.err, got, tt.want)
		}
	}
}

// TestSecret: no error shows the password.
func TestSecret(t *testing.T) {
	for _, dsn := range []string{"postgres://herald:hunter2@db:port/x", "host=db password=hunter2 port=none", "postgres://herald:hunter2@127.0.0.1:1/x?connect_timeout=1"} {
		d, err := New(Config{DSN: dsn, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			_, err = store.Open(t.Context(), store.Config{Driver: d})
		}
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
		var e *herald.Error
		if !errors.As(err, &e) || e.Remedy == "" {
			t.Errorf("%v has no remedy", err)
		}
	}
}

func TestExamine(t *testing.T) {
	s := servers.Need(t, server)
	d, err := New(Config{DSN: s.PostgresDSN()})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, c := range d.Examine(t.Context()) {
		got[c.Name] = c.OK
		if c.Text == "" || !c.OK && c.Remedy == "" {
			t.Errorf("%+v", c)
		}
	}
	// The server of the tests does not sync.
	for name, ok := range map[string]bool{"database": true, "encoding": true, "fsync": false, "full page writes": false, "commits": true, "writable": true, "isolation": true} {
		if was, there := got[name]; !there || was != ok {
			t.Errorf("%s is %v, want %v (looked at: %v)", name, was, ok, there)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if list := d.Examine(ctx); len(list) != 1 || list[0].OK || list[0].Remedy == "" {
		t.Errorf("of a database that cannot be reached: %+v", list)
	}
}

// TestSync: slices that mean nothing yet are not synced, everything else is,
// whatever the server's default.
func TestSync(t *testing.T) {
	d, err := New(Config{DSN: schema(t, t.Name()) + " options='-c synchronous_commit=off'", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	_, conn, err := d.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { t.Log(errors.Join(conn.Close(), d.Close())) }()
	for _, tt := range []struct{ say, want string }{{"SELECT 1", "on"}, {d.Say(dialect.SyncOff), "off"}, {d.Say(dialect.SyncOn), "on"}} {
		if _, err := conn.ExecContext(t.Context(), tt.say); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := conn.QueryRowContext(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != tt.want {
			t.Errorf("after %s it is %s, %v", tt.say, got, err)
		}
	}
}
