package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/storetest"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// server is the PostgreSQL of this package's tests, which all of them share.
var server = sync.OnceValues(servers.Postgres)

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

// schema makes a schema for a name, and gives the DSN that leads there.
func schema(t testing.TB, name string) string {
	t.Helper()
	s := servers.Need(t, server)
	h := fnv.New64()
	h.Write([]byte(name))
	schema := fmt.Sprintf("s%x", h.Sum64())
	c, err := pgx.Connect(context.Background(), s.PostgresDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(context.Background(), "CREATE SCHEMA IF NOT EXISTS "+schema); err != nil {
		t.Fatal(err)
	}
	return s.PostgresDSN() + " search_path=" + schema
}

func open(t testing.TB, dsn string, cfg store.Config) *store.DB {
	t.Helper()
	d, err := New(Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Driver = d
	db, err := store.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Store {
		return open(t, schema(t, o.Dir), store.Config{Now: o.Now, OnSets: o.OnSets, OnRelease: o.OnRelease})
	})
}
