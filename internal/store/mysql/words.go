package mysql

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"

	"github.com/herald-push/herald/internal/store/dialect"
)

const remedy = "Check that the database server runs, can be reached from here and has room; then repeat the call."

var words = dialect.Words{
	Texts:     "(SELECT x.n - 1 AS `key`, CAST(x.v AS BINARY) AS value FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY, v VARCHAR(512) PATH '$')) x) j",
	Numbers:   "(SELECT x.v AS value FROM JSON_TABLE(?, '$[*]' COLUMNS (v BIGINT PATH '$')) x) n",
	Duplicate: true,
}

// SQL translates a statement.
func (d *Driver) SQL(q string) string { return words.SQL(q) }

// Snapshot is what sees one state of the database.
func (d *Driver) Snapshot() sql.IsolationLevel { return sql.LevelRepeatableRead }

// Say gives MySQL's statement for a phrase. Whether commits are synced is said
// by innodb_flush_log_at_trx_commit, for the whole server.
func (d *Driver) Say(p dialect.Phrase) string {
	if p == dialect.Begin {
		return "START TRANSACTION"
	}
	return ""
}

// Remedy is about the server.
func (d *Driver) Remedy() string { return remedy }

// Kind tells errors apart by their numbers. The server ends itself when a sync
// fails, and recovers from its log, so that no disk has to be distrusted here.
func (d *Driver) Kind(err error) dialect.Kind {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return kinds(my.Number)
	}
	var network net.Error
	if errors.As(err, &network) {
		return dialect.Lost
	}
	for _, lost := range []error{mysql.ErrInvalidConn, mysql.ErrMalformPkt, mysql.ErrPktSync, driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, lost) {
			return dialect.Lost
		}
	}
	return dialect.Other
}

func kinds(number uint16) dialect.Kind {
	switch number {
	case 1062, 1586: // duplicate entry
		return dialect.Conflict
	case 1205, 1213: // lock wait timeout, deadlock
		return dialect.Again
	case 1021, 1114: // disk full, table full
		return dialect.Full
	case 1040, 1203, 1226, // too many connections
		1290, 1792, 1836, // read only
		1030, 1026, 1017, // from the storage engine: reading, writing
		1317, 1969, 3024, // interrupted, statement timeout
		1037, 1038, 1041: // out of memory
		return dialect.Shared
	case 1053, 1077, 1079, // shutdown
		1927, 1152, 1158, 1159, 1160, 1161, // connection killed, aborted; network
		2006, 2013: // gone away, lost
		return dialect.Lost
	}
	return dialect.Other
}
