package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"hash/fnv"
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

// database makes a database for a name, and gives the DSN that leads there.
func database(t testing.TB, name string) string {
	t.Helper()
	s := servers.Need(t, server)
	h := fnv.New64()
	h.Write([]byte(name))
	database := fmt.Sprintf("d%x", h.Sum64())
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
		return open(t, database(t, o.Dir), store.Config{Now: o.Now, OnSets: o.OnSets, OnRelease: o.OnRelease})
	})
}
