package postgres

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/herald-push/herald/internal/store/dialect"
)

const remedy = "Check that PostgreSQL runs, can be reached from here and has room; then repeat the call."

var words = dialect.Words{
	Texts:    "(SELECT x.n - 1 AS key, x.value FROM json_array_elements_text(CAST(CAST(? AS text) AS json)) WITH ORDINALITY AS x(value, n)) j",
	Numbers:  "(SELECT CAST(x.value AS bigint) AS value FROM json_array_elements_text(CAST(CAST(? AS text) AS json)) AS x(value)) n",
	Numbered: true,
}

// SQL translates a statement.
func (d *Driver) SQL(q string) string { return words.SQL(q) }

// Snapshot is what sees one state of the database.
func (d *Driver) Snapshot() sql.IsolationLevel { return sql.LevelRepeatableRead }

// Say gives PostgreSQL's statement for a phrase. Its log is kept in order, so
// that a commit which is synced has those before it on the disk.
func (d *Driver) Say(p dialect.Phrase) string {
	switch p {
	case dialect.Begin:
		return "BEGIN"
	case dialect.SyncOff:
		return "SET synchronous_commit TO off"
	case dialect.SyncOn:
		return "SET synchronous_commit TO " + d.synced
	}
	return ""
}

// Remedy is about the server.
func (d *Driver) Remedy() string { return remedy }

// Kind tells errors apart by their SQLSTATE. The server ends itself when a sync
// fails, and recovers from its log, so that no disk has to be distrusted here.
func (d *Driver) Kind(err error) dialect.Kind {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return kinds(pg.Code)
	}
	var network net.Error
	var connect *pgconn.ConnectError
	if pgconn.SafeToRetry(err) || pgconn.Timeout(err) || errors.As(err, &network) || errors.As(err, &connect) {
		return dialect.Lost
	}
	for _, lost := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone} {
		if errors.Is(err, lost) {
			return dialect.Lost
		}
	}
	return dialect.Other
}

func kinds(code string) dialect.Kind {
	switch code {
	case "40001", "40P01": // serialization failure, deadlock
		return dialect.Again
	case "53100": // disk full
		return dialect.Full
	case "25006", "57014", "55P03": // read only, statement timeout, lock timeout
		return dialect.Shared
	}
	if len(code) != 5 {
		return dialect.Other
	}
	switch code[:2] {
	case "23": // integrity constraint
		return dialect.Conflict
	case "08": // connection exception
		return dialect.Lost
	case "57": // operator intervention: the session ends
		return dialect.Lost
	case "25": // the session ends, or its transaction has an end already
		return dialect.Lost
	case "53", "58", "XX": // resources, the system, internal
		return dialect.Shared
	}
	return dialect.Other
}
