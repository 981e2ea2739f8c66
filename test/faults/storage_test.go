package faults_test

import (
	"context"
	"database/sql"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/herald-push/herald/internal/record"

	_ "modernc.org/sqlite" // the driver, to look into the files without the server
)

// sum is a column with a checksum beside it.
type sum struct{ table, key, bits, crc string }

// summed are all of them, of every version of the schema.
var summed = []sum{
	{"set_chunk", "name", "bits", "crc"},
	{"set_log", "pos", "changes", "crc"},
	{"msg", "id", "body", "crc"},
	{"msg", "id", "target", "target_crc"},
	{"msg", "id", "facts", "facts_crc"},
	{"msg_chunk", "msg", "bits", "crc"},
	{"direct_chunk", "slice", "bits", "crc"},
	{"receipt_log", "n", "batch", "crc"},
	{"receipt_seg", "msg", "batch", "crc"},
	{"segment", "name", "audience", "crc"},
	{"file_chunk", "file", "bits", "crc"},
	{"msg_count", "msg", "data", "crc"},
	{"bound_list", "pos", "bits", "crc"},
	{"webhook", "id", "data", "crc"},
	{"plan", "msg", "data", "crc"},
	{"plan", "msg", "parts", "parts_crc"},
	{"plan_chunk", "msg", "bits", "crc"},
	{"webhook_log", "n", "data", "crc"},
	{"webhook_delivery", "seq", "data", "crc"},
	{"schedule", "id", "data", "crc"},
	{"schedule_run", "occurrence", "data", "crc"},
	{"app_group", "grp", "data", "crc"},
	{"app_group_msg", "id", "data", "crc"},
	{"template", "name", "data", "crc"},
	{"retained", "topic", "body", "crc"},
	{"topic_log", "pos", "body", "crc"},
	{"topic_session", "client", "data", "crc"},
	{"jwt_key", "id", "data", "crc"},
	{"errand", "id", "todo", "todo_crc"},
	{"errand", "id", "doubt", "doubt_crc"},
	{"attempt_chunk", "msg", "bits", "crc"},
	{"attempt", "msg", "data", "crc"},
	{"route", "name", "data", "crc"},
	{"address", "ord", "token", "crc"},
	{"credential", "id", "data", "crc"},
	{"strip", "n", "bits", "crc"},
	{"strip_bundle", "n", "msgs", "crc"},
}

// orphan is rows that belong to nothing, in words and as a query that counts
// them.
type orphan struct{ what, query string }

var tableNames = regexp.MustCompile(`(?:FROM|JOIN) (\w+)`)

// concerns reports whether the tables of the query are there: not every
// version of the schema has all of them.
func (o orphan) concerns(there map[string][]string) bool {
	for _, m := range tableNames.FindAllStringSubmatch(o.query, -1) {
		if there[m[1]] == nil {
			return false
		}
	}
	return true
}

var orphans = []orphan{
	{"entries without a message", "SELECT COUNT(*) FROM entry x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"releases without a message", "SELECT COUNT(*) FROM release_log x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"group messages without a message", "SELECT COUNT(*) FROM group_msg x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"notices without a withdrawn message", "SELECT COUNT(*) FROM notice x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg AND m.end_pos = x.pos WHERE m.id IS NULL"},
	{"chunks without a message", "SELECT COUNT(*) FROM msg_chunk x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"segments without a message", "SELECT COUNT(*) FROM receipt_seg x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL AND x.msg <> 0"},
	{"collapse keys without a live message", "SELECT COUNT(*) FROM collapse x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg AND m.ended = 0 WHERE m.id IS NULL"},
	{"jobs without a scheduled message", "SELECT COUNT(*) FROM job x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg AND (m.state = 'scheduled' OR x.kind = 'step' AND m.ended = 0) WHERE m.id IS NULL AND x.kind <> 'schedule'"},
	{"jobs without an active schedule", "SELECT COUNT(*) FROM job x LEFT JOIN schedule s ON s.app = x.app AND s.id = x.msg AND s.state = 'active' AND s.next = x.due WHERE s.id IS NULL AND x.kind = 'schedule'"},
	{"active schedules without a job", "SELECT COUNT(*) FROM schedule s LEFT JOIN job x ON s.app = x.app AND s.id = x.msg WHERE s.state = 'active' AND x.id IS NULL"},
	{"steps of routes without a message", "SELECT COUNT(*) FROM route_step x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"errands without a message", "SELECT COUNT(*) FROM errand x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"attempts without a message", "SELECT COUNT(*) FROM attempt_chunk x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"runs without a schedule", "SELECT COUNT(*) FROM schedule_run x LEFT JOIN schedule s ON s.app = x.app AND s.id = x.schedule WHERE s.id IS NULL"},
	{"scheduled messages without a job", "SELECT COUNT(*) FROM msg m LEFT JOIN job x ON m.app = x.app AND m.id = x.msg WHERE m.state = 'scheduled' AND x.id IS NULL"},
	{"released messages without a release", "SELECT COUNT(*) FROM msg m LEFT JOIN release_log r ON r.app = m.app AND r.pos = m.pos WHERE m.pos > 0 AND r.pos IS NULL"},
	{"chunks without a file", "SELECT COUNT(*) FROM file_chunk x LEFT JOIN audience_file f ON f.app = x.app AND f.id = x.file WHERE f.id IS NULL"},
	{"plans without a message", "SELECT COUNT(*) FROM plan x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"parts of plans without a plan", "SELECT COUNT(*) FROM plan_chunk x LEFT JOIN plan p ON p.app = x.app AND p.msg = x.msg WHERE p.msg IS NULL"},
	{"steps without a release", "SELECT COUNT(*) FROM plan_step x LEFT JOIN release_log r ON r.app = x.app AND r.pos = x.pos AND r.msg = x.msg WHERE r.pos IS NULL"},
	{"steps that went live without a release", "SELECT COUNT(*) FROM plan_step x LEFT JOIN release_log r ON r.app = x.app AND r.pos = x.live AND r.msg = x.msg AND r.kind = 'live' WHERE x.live > 0 AND r.pos IS NULL"},
	{"releases to connections without a step", "SELECT COUNT(*) FROM release_log r LEFT JOIN plan_step x ON x.app = r.app AND x.msg = r.msg AND x.live = r.pos WHERE r.kind = 'live' AND x.pos IS NULL"},
	{"held entries without a message", "SELECT COUNT(*) FROM entry_held x LEFT JOIN msg m ON m.app = x.app AND m.id = x.msg WHERE m.id IS NULL"},
	{"held entries beside those of connections", "SELECT COUNT(*) FROM entry_held x JOIN entry e ON e.app = x.app AND e.ord = x.ord AND e.msg = x.msg"},
	{"drafts of targets", "SELECT COUNT(*) FROM target_draft"},
	{"devices with a recipient that is not there", "SELECT COUNT(*) FROM device d LEFT JOIN recipient r ON r.app = d.app AND r.ord = d.recipient WHERE d.recipient IS NOT NULL AND r.ord IS NULL"},
	{"valid addresses without a device", "SELECT COUNT(*) FROM address x LEFT JOIN device d ON d.app = x.app AND d.ord = x.ord WHERE x.owner = 0 AND x.invalid = 0 AND d.ord IS NULL"},
	{"addresses without a recipient", "SELECT COUNT(*) FROM address x LEFT JOIN recipient r ON r.app = x.app AND r.ord = x.ord WHERE x.owner = 1 AND r.ord IS NULL"},
	{"second valid addresses of a kind", "SELECT COUNT(*) FROM address x JOIN address y ON y.app = x.app AND y.owner = x.owner AND y.ord = x.ord AND y.kind = x.kind WHERE x.invalid = 0 AND y.invalid = 0 AND (x.hash <> y.hash OR x.environment <> y.environment)"},
	{"addresses of two owners", "SELECT COUNT(*) FROM address x JOIN address y ON y.app = x.app AND y.owner = x.owner AND y.kind = x.kind AND y.environment = x.environment AND y.hash = x.hash WHERE x.invalid = 0 AND y.invalid = 0 AND x.ord <> y.ord AND x.kind <> 'chat'"},
	{"devices past the next ordinal", "SELECT COUNT(*) FROM device d JOIN app_head h ON h.app = d.app WHERE d.ord >= h.next_ord"},
	{"releases past the head", "SELECT COUNT(*) FROM release_log r JOIN app_head h ON h.app = r.app WHERE r.pos > h.pos"},
	{"topic entries past the head", "SELECT COUNT(*) FROM topic_log x JOIN app_head h ON h.app = x.app WHERE x.pos > h.pos"},
	{"subscriptions without a session", "SELECT COUNT(*) FROM topic_sub x LEFT JOIN topic_session s ON s.app = x.app AND s.client = x.client WHERE s.client IS NULL"},
	{"shares without a session", "SELECT COUNT(*) FROM topic_share x LEFT JOIN topic_session s ON s.app = x.app AND s.client = x.client WHERE s.client IS NULL"},
	{"topic entries at the position of a release", "SELECT COUNT(*) FROM topic_log x JOIN release_log r ON r.app = x.app AND r.pos = x.pos"},
	{"strips without a bundle", fmt.Sprintf("SELECT COUNT(*) FROM strip x LEFT JOIN strip_bundle b ON b.app = x.app AND b.n = x.n AND x.block >= %[1]d * b.slab AND x.block < %[1]d * (b.slab + 1) WHERE b.n IS NULL", record.StripsInSlab)},
	{"receipts past the head of their log", "SELECT COUNT(*) FROM receipt_log l JOIN receipt_head h ON h.app = l.app WHERE l.n > h.last OR l.n <= h.upto"},
}

// inspect looks into a data folder that no server has open. After a stop in
// order the queues have to be empty too.
func inspect(data string, stopped bool) (wrong []string) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(data, "herald.db")))
	if err != nil {
		return []string{err.Error()}
	}
	defer db.Close()
	ctx := context.Background()
	var check string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		wrong = append(wrong, fmt.Sprintf("integrity_check: %s %v", check, err))
	}
	return append(wrong, inspectTables(ctx, db, stopped, "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'")...)
}

// inspectTables is what inspect does on every kind of database; columns is the
// query that lists them.
func inspectTables(ctx context.Context, db *sql.DB, stopped bool, columns string) (wrong []string) {
	count := func(query string) int {
		var n int
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", query, err))
		}
		return n
	}
	there, err := tables(ctx, db, columns)
	if err != nil {
		return append(wrong, err.Error())
	}
	for _, o := range orphans {
		if !o.concerns(there) {
			continue
		}
		if n := count(o.query); n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d %s", n, o.what))
		}
	}
	if stopped {
		if n := count("SELECT COUNT(*) FROM receipt_log"); n > 0 {
			wrong = append(wrong, fmt.Sprintf("%d batches of receipts are not folded after a stop in order", n))
		}
	}
	for table, columns := range there {
		for _, column := range columns {
			if strings.HasSuffix(column, "crc") && !slices.ContainsFunc(summed, func(s sum) bool { return s.table == table && s.crc == column }) {
				wrong = append(wrong, fmt.Sprintf("the checksums %s.%s are not looked at: add them to the list in this file", table, column))
			}
		}
	}
	for _, s := range summed {
		if there[s.table] != nil {
			wrong = append(wrong, checksums(ctx, db, s.table, s.key, s.bits, s.crc)...)
		}
	}
	return wrong
}

// tables gives the names of the tables and of their columns.
func tables(ctx context.Context, db *sql.DB, columns string) (map[string][]string, error) {
	rows, err := db.QueryContext(ctx, columns)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	there := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		there[table] = append(there[table], column)
	}
	return there, rows.Err()
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksums(ctx context.Context, db *sql.DB, table, key, bits, crc string) (wrong []string) {
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT %s, %s, %s FROM %s", key, bits, crc, table))
	if err != nil {
		return []string{err.Error()}
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var b []byte
		var sum int64
		if err := rows.Scan(&name, &b, &sum); err != nil {
			return append(wrong, err.Error())
		}
		if int64(crc32.Checksum(b, castagnoli)) != sum {
			wrong = append(wrong, fmt.Sprintf("%s of %s %s does not have its checksum", bits, table, name))
		}
	}
	if err := rows.Err(); err != nil {
		wrong = append(wrong, err.Error())
	}
	return wrong
}

// few shortens a list for a person.
func few(list []string) string {
	slices.Sort(list)
	if len(list) > 8 {
		list = append(list[:8:8], fmt.Sprintf("and %d more", len(list)-8))
	}
	return strings.Join(list, "\n\t")
}
