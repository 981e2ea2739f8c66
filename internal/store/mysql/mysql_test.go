package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/storetest"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// server is the MariaDB of this package's tests, which all of them share.
var server = sync.OnceValues(servers.MariaDB)

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := server(); err == nil {
		if err := s.Remove(); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Println(err)
		code = 1
	}
	os.Exit(code)
}

func databaseName(name string) string {
	h := fnv.New64()
	h.Write([]byte(name))
	return fmt.Sprintf("d%x", h.Sum64())
}

// database makes a database for a name, and gives the DSN that leads there.
func database(t testing.TB, name string) string {
	t.Helper()
	s := servers.Need(t, server)
	database := databaseName(name)
	db, err := sql.Open("mysql", s.MariaDBDSN(""))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), "CREATE DATABASE IF NOT EXISTS "+database); err != nil {
		t.Fatal(err)
	}
	return s.MariaDBDSN(database)
}

func open(ctx context.Context, dsn string, cfg store.Config) (storetest.Store, error) {
	d, err := New(Config{DSN: dsn, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	cfg.Driver = d
	db, err := store.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return db, nil
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Store {
		s, err := open(t.Context(), database(t, o.Dir), store.Config{Now: o.Now, OnSets: o.OnSets, OnRelease: o.OnRelease, OnTopics: o.OnTopics})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestRemote(t *testing.T) {
	storetest.RunRemote(t, storetest.Remote{Server: servers.Need(t, server), Open: func(t *testing.T, p *servers.Proxy, o storetest.Options) (storetest.Store, error) {
		database(t, o.Dir)
		dsn := fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s", p.Port(), databaseName(o.Dir))
		return open(t.Context(), dsn, store.Config{Now: o.Now, OnSets: o.OnSets, OnRelease: o.OnRelease, Log: slog.New(slog.DiscardHandler)})
	}})
}
