package store

import "strings"

// Tables to which accepting a message, or a publication, appends rows. Within a group they are
// written together, because a statement costs more than a row: see appends.
var (
	toReleases = appending{at: 0, into: "release_log (app, pos, kind, msg, at)", columns: 5}
	toGroups   = appending{at: 1, into: "group_msg (app, pos, msg)", columns: 3}
	toEntries  = appending{at: 2, into: "entry (app, ord, pos, n, msg)", columns: 5}
	toMessages = appending{at: 3, into: `msg (app, id, state, ended, ends, pos, end_pos, eval_pos, by_alias, devices, unknown, first_n,
		priority, collapse_key, ordering_key, ttl, accepted, due, audience, body, crc, form, target, target_crc, facts, facts_crc)`, columns: 26}
	toTopics = appending{at: 4, into: "topic_log (app, pos, topic, sender, client, at, expires, body, crc)", columns: 9}
)

type appending struct {
	at      int // its place in appends
	into    string
	columns int
}

// appendSizes are how many rows one statement writes, so that few statements
// need to be prepared.
var appendSizes = [...]int{64, 8, 1}

// text is the statement for some rows.
func (a appending) text(rows int) string {
	one := "(" + in(a.columns) + ")"
	return "INSERT INTO " + a.into + " VALUES " + one + strings.Repeat(", "+one, rows-1)
}

// appends are rows that the operations of a group append, and that are not
// written yet. They are written before any statement that could see them, and
// at the end of the group; until then only statements that go around them (see
// tx.aside) run.
type appends struct {
	tables [5]struct {
		args  []any
		texts [len(appendSizes)]string
	}
	some   bool  // there are rows
	failed error // some could not be written, and the group must not be committed
}

// add appends a row to a table.
func (t *tx) add(to appending, row ...any) error {
	t.writes++
	a := &t.w.appends
	a.some = true
	table := &a.tables[to.at]
	table.args = append(table.args, row...)
	if len(table.args) < appendSizes[0]*to.columns {
		return nil
	}
	return t.writeRows(to)
}

// flush writes what was appended.
func (t *tx) flush() error {
	a := &t.w.appends
	if !a.some || a.failed != nil {
		return a.failed
	}
	a.some = false
	for _, to := range []appending{toReleases, toGroups, toEntries, toMessages, toTopics} {
		if err := t.writeRows(to); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) writeRows(to appending) error {
	a := &t.w.appends
	table := &a.tables[to.at]
	left := table.args
	for i, n := range appendSizes {
		if table.texts[i] == "" {
			table.texts[i] = to.text(n)
		}
		for size := n * to.columns; len(left) >= size; left = left[size:] {
			if _, err := t.w.direct.exec(t.w.conn, table.texts[i], left[:size]); err != nil {
				a.failed = err
				return err
			}
		}
	}
	clear(table.args) // bodies are large
	table.args = table.args[:0]
	return nil
}

// drop forgets what was appended, for a group that is rolled back.
func (a *appends) drop() {
	a.some, a.failed = false, nil
	for i := range a.tables {
		clear(a.tables[i].args)
		a.tables[i].args = a.tables[i].args[:0]
	}
}
