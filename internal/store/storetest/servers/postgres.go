package servers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

// postgresPort is part of the name of the socket.
const postgresPort = "5432"

// Postgres starts a PostgreSQL of an own cluster, in which everybody on this
// machine may be the superuser herald of the database postgres. It does not
// sync: the tests kill the process, not the machine.
func Postgres() (*Server, error) { return newPostgres("off") }

// PostgresSynced is one that syncs, for measuring.
func PostgresSynced() (*Server, error) { return newPostgres("on") }

func newPostgres(sync string) (*Server, error) {
	who, err := newOwner("postgres", "nobody")
	if err != nil {
		return nil, err
	}
	const versions = "/usr/lib/postgresql/*/bin"
	initdb, err := program("initdb", versions)
	if err != nil {
		return nil, err
	}
	postgres, err := program("postgres", versions)
	if err != nil {
		return nil, err
	}
	dir, err := who.folder("pg")
	if err != nil {
		return nil, err
	}
	s := &Server{Folder: dir, Socket: filepath.Join(dir, ".s.PGSQL."+postgresPort), who: who, stop: os.Interrupt}
	data := filepath.Join(dir, "data")
	if err := who.run(dir, initdb, "-D", data, "-U", "herald", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"); err != nil {
		return nil, removed(s, err)
	}
	s.command = func() *exec.Cmd {
		return who.cmd(dir, postgres, "-D", data, "-k", dir, "-p", postgresPort, "-c", "listen_addresses=",
			"-c", "fsync="+sync, "-c", "full_page_writes="+sync, "-c", "shared_buffers=32MB", "-c", "max_connections=60", "-c", "max_wal_size=256MB")
	}
	s.alive = func(ctx context.Context) error {
		c, err := pgx.Connect(ctx, s.PostgresDSN())
		if err != nil {
			return err
		}
		return c.Close(ctx)
	}
	return s, removed(s, s.Start())
}

// PostgresDSN is how to reach the server.
func (s *Server) PostgresDSN() string {
	return "host=" + s.Folder + " port=" + postgresPort + " user=herald dbname=postgres sslmode=disable"
}

// removed removes a server that could not be started.
func removed(s *Server, err error) error {
	if err != nil {
		_ = s.Remove()
	}
	return err
}
