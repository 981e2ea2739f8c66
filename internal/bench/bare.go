package bench

// What bare loops say to the database, as the store says it; the statements
// bind every column.
const (
	BareHead    = "UPDATE app_head SET pos = ?, next_n = ? WHERE app = ?"
	BareRelease = "INSERT INTO release_log (app, pos, kind, msg, at) VALUES (?, ?, ?, ?, ?)"
	BareEntry   = "INSERT INTO entry (app, ord, pos, n, msg) VALUES (?, ?, ?, ?, ?)"
)

// BareDSN leads to a database with the pragmas of the store.
func BareDSN(path string) string {
	return "file:" + path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(OFF)" +
		"&_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(4000)"
}
