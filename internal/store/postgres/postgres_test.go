package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
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

func schemaName(name string) string {
	h := fnv.New64()
	h.Write([]byte(name))
	return fmt.Sprintf("s%x", h.Sum64())
}

// schema makes a schema for a name, and gives the DSN that leads there.
func schema(t testing.TB, name string) string {
	t.Helper()
	s := servers.Need(t, server)
	schema := schemaName(name)
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
		s, err := open(t.Context(), schema(t, o.Dir), store.Config{Now: o.Now, OnSets: o.OnSets, OnRelease: o.OnRelease, OnTopics: o.OnTopics})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestRemote(t *testing.T) {
	storetest.RunRemote(t, storetest.Remote{Server: servers.Need(t, server), Open: func(t *testing.T, p *servers.Proxy, o storetest.Options) (storetest.Store, error) {
		schema(t, o.Dir)
		dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=herald dbname=postgres sslmode=disable search_path=%s", p.Port(), schemaName(o.Dir))
		return open(t.Context(), dsn, store.Config{Now: o.Now, OnSets: o.OnSets, OnRelease: o.OnRelease, Log: slog.New(slog.DiscardHandler)})
	}})
}
