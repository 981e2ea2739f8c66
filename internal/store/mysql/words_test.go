package mysql

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

	"github.com/go-sql-driver/mysql"

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
		{&mysql.MySQLError{Number: 1062}, dialect.Conflict},
		{&mysql.MySQLError{Number: 1213}, dialect.Again},
		{&mysql.MySQLError{Number: 1205}, dialect.Again},
		{&mysql.MySQLError{Number: 1114}, dialect.Full},
		{&mysql.MySQLError{Number: 1040}, dialect.Shared},
		{&mysql.MySQLError{Number: 1290}, dialect.Shared},
		{&mysql.MySQLError{Number: 1053}, dialect.Lost},
		{&mysql.MySQLError{Number: 1927}, dialect.Lost},
		{&mysql.MySQLError{Number: 1146}, dialect.Other},
		{mysql.ErrInvalidConn, dialect.Lost},
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

func TestSupported(t *testing.T) {
	for version, want := range map[string]bool{
		"10.11.14-MariaDB-0+deb12u2": true, "11.4.2-MariaDB": true, "10.6.1-MariaDB": false, "5.5.5-10.11.14-MariaDB": false,
		"8.0.36": true, "8.4.0-log": true, "5.7.44": false, "9": false, "x.y": false, "": false,
	} {
		if got := supported(version); got != want {
			t.Errorf("%q is supported: %v", version, got)
		}
	}
}

// TestSecret: no error shows the password.
func TestSecret(t *testing.T) {
	for _, dsn := range []string{"herald:hunter2@db/x/y?z", "herald:hunter2@tcp(db)/", "herald:hunter2@tcp(127.0.0.1:1)/x"} {
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
	d, err := New(Config{DSN: s.MariaDBDSN("mysql")})
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
	for name, ok := range map[string]bool{"database": true, "commits": true, "sync": false, "binary log": true, "page checks": true, "characters": true, "writable": true, "packets": true} {
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
