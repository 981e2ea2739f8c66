package servers

import (
	"context"
	"database/sql"
	"os/exec"
	"path/filepath"
	"syscall"

	_ "github.com/go-sql-driver/mysql" // the driver that sql.Open names
)

// MariaDB starts a MariaDB of its own, in which everybody on this machine may be
// root without a password. It does not sync: the tests kill the process, not
// the machine.
func MariaDB() (*Server, error) { return newMariaDB("nosync") }

// MariaDBSynced is one that syncs, for measuring.
func MariaDBSynced() (*Server, error) { return newMariaDB("O_DIRECT") }

func newMariaDB(sync string) (*Server, error) {
	who, err := newOwner("mysql", "nobody")
	if err != nil {
		return nil, err
	}
	install, err := program("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	mariadbd, err := program("mariadbd", "/usr/sbin")
	if err != nil {
		return nil, err
	}
	dir, err := who.folder("my")
	if err != nil {
		return nil, err
	}
	s := &Server{Folder: dir, Socket: filepath.Join(dir, "socket"), who: who, stop: syscall.SIGTERM}
	data := filepath.Join(dir, "data")
	light := []string{"--innodb-flush-method=" + sync, "--innodb-log-file-size=32M", "--innodb-buffer-pool-size=64M", "--innodb-file-per-table=OFF", "--skip-log-bin"}
	if err := who.run(dir, install, append([]string{"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"}, light...)...); err != nil {
		return nil, removed(s, err)
	}
	s.command = func() *exec.Cmd {
		return who.cmd(dir, mariadbd, append([]string{"--no-defaults", "--datadir=" + data, "--socket=" + s.Socket, "--pid-file=" + filepath.Join(dir, "pid"),
			"--skip-networking", "--performance-schema=OFF"}, light...)...)
	}
	s.alive = func(ctx context.Context) error {
		if err := there(s.Socket); err != nil {
			return err
		}
		db, err := sql.Open("mysql", s.MariaDBDSN(""))
		if err != nil {
			return err
		}
		defer db.Close()
		return db.PingContext(ctx)
	}
	return s, removed(s, s.Start())
}

// MariaDBDSN is how to reach a database of the server.
func (s *Server) MariaDBDSN(database string) string {
	return "root@unix(" + s.Socket + ")/" + database
}
