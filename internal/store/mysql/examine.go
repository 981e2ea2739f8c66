package mysql

import (
	"context"
	"fmt"

	"github.com/herald-push/herald/internal/store/dialect"
)

const losesAtPowerCut = "a power cut loses what was accepted"

var settings = []dialect.Setting{
	dialect.Want("commits", "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit",
		losesAtPowerCut,
		"Set innodb_flush_log_at_trx_commit = 1.", "1"),
	dialect.Want("sync", "SELECT @@GLOBAL.innodb_flush_method",
		losesAtPowerCut,
		"Set innodb_flush_method = O_DIRECT.", "fsync", "O_DSYNC", "O_DIRECT", "littlesync"),
	dialect.Want("binary log", "SELECT CASE WHEN @@GLOBAL.log_bin = 0 THEN 'off' WHEN @@GLOBAL.sync_binlog = 1 THEN 'synced' ELSE 'not synced' END",
		losesAtPowerCut+" on the replicas",
		"Set sync_binlog = 1.", "off", "synced"),
	dialect.Want("page checks", "SELECT @@GLOBAL.innodb_doublewrite",
		"a power cut may damage pages of the database",
		"Set innodb_doublewrite = ON.", "1", "ON", "DETECT_AND_RECOVER"),
	dialect.Want("characters", "SELECT CONCAT(@@character_set_client, ' ', @@character_set_connection)",
		"names of users may not fit",
		"Let clients choose utf8mb4.", "utf8mb4 utf8mb4"),
	dialect.Want("writable", "SELECT CASE WHEN @@GLOBAL.read_only THEN 'read only' ELSE 'yes' END",
		"Herald cannot write to it",
		"Name the primary server in store.dsn.", "yes"),
	dialect.Want("packets", "SELECT CASE WHEN @@GLOBAL.max_allowed_packet >= 16777216 THEN 'large enough' ELSE CONCAT(@@GLOBAL.max_allowed_packet, ' bytes') END",
		"large batches do not fit",
		"Set max_allowed_packet = 16M or more.", "large enough"),
}

// Examine looks at the server.
func (d *Driver) Examine(ctx context.Context) []dialect.Check {
	unreachable := func(err error) []dialect.Check {
		return []dialect.Check{{Name: "database", Text: fmt.Sprintf("cannot be reached: %v", err), Remedy: "Check store.dsn, and that the server runs and lets this machine and user in."}}
	}
	db, err := pool(d.conn)
	if err != nil {
		return unreachable(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var version string
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return unreachable(err)
	}
	first := dialect.Check{Name: "database", OK: supported(version), Text: version}
	if !first.OK {
		first.Remedy = "Use MariaDB 10.11 or later, or MySQL 8.0."
	}
	return append([]dialect.Check{first}, dialect.Checks(ctx, db, settings)...)
}
