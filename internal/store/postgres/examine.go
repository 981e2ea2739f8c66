package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/herald-push/herald/internal/store/dialect"
)

const losesAtPowerCut = "a power cut loses what was accepted"

var settings = []dialect.Setting{
	dialect.Want("encoding", "SHOW server_encoding",
		"names of users may not fit",
		"Make the database anew: CREATE DATABASE herald ENCODING 'UTF8' TEMPLATE template0.", "UTF8"),
	dialect.Want("fsync", "SHOW fsync",
		losesAtPowerCut+", and may lose the whole database",
		"Set fsync = on in postgresql.conf, and reload.", "on"),
	dialect.Want("full page writes", "SHOW full_page_writes",
		"a power cut may damage pages of the database",
		"Set full_page_writes = on in postgresql.conf, and reload.", "on"),
	dialect.Want("commits", "SHOW synchronous_commit",
		"commits are not synced by default; Herald switches it on for itself",
		"Set synchronous_commit = on for the user of Herald.", "on", "remote_write", "remote_apply"),
	dialect.Want("writable", "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' WHEN current_setting('transaction_read_only') = 'on' THEN 'read only' ELSE 'yes' END",
		"Herald cannot write to it",
		"Name the primary server in store.dsn; with several hosts, add target_session_attrs=read-write.", "yes"),
	dialect.Want("isolation", "SHOW default_transaction_isolation",
		"group commits may have to be repeated",
		"Set default_transaction_isolation = 'read committed' for the user of Herald.", "read committed", "repeatable read"),
}

// Examine looks at the server.
func (d *Driver) Examine(ctx context.Context) []dialect.Check {
	db := stdlib.OpenDB(*d.conn)
	defer db.Close()
	db.SetMaxOpenConns(1)
	var number int
	var version string
	if err := db.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int, current_setting('server_version')").Scan(&number, &version); err != nil {
		return []dialect.Check{{Name: "database", Text: fmt.Sprintf("cannot be reached: %v", err), Remedy: "Check store.dsn, and that PostgreSQL runs and lets this machine and user in."}}
	}
	first := dialect.Check{Name: "database", OK: true, Text: "PostgreSQL " + version}
	if number < minVersion {
		first.OK, first.Remedy = false, "Use PostgreSQL 15 or later."
	}
	return append([]dialect.Check{first}, dialect.Checks(ctx, db, settings)...)
}
