package dialect

import (
	"regexp"
	"strconv"
	"strings"
)

// Words are in which way a database says what the store says in SQLite's:
//
//	?                             a parameter
//	json_each(?) j                the texts of a JSON array: columns key (from 0) and value
//	json_each(?) n                its whole numbers: column value
//	ON CONFLICT (..) DO UPDATE    with excluded.column for what was to be inserted
//	INDEXED BY, CROSS JOIN .. ON  what SQLite is to begin with
//	LIMIT ? + 0                   a limit that SQLite does not compile for
//
// The rest of what the store says is common to SQLite, PostgreSQL, MySQL and
// MariaDB. Names that one of them reserves are quoted ("lines"). No text in a
// statement has a question mark.
type Words struct {
	// Texts and Numbers stand for the two kinds of json_each.
	Texts, Numbers string
	// Numbered writes parameters as $1, $2.
	Numbered bool
	// Duplicate says ON DUPLICATE KEY UPDATE and VALUES(column).
	Duplicate bool
}

// Patterns of SQLite's own words.
var (
	conflict  = regexp.MustCompile(`ON CONFLICT \([^)]*\)\s+DO UPDATE SET`)
	excluded  = regexp.MustCompile(`excluded\.(\w+)`)
	indexedBy = regexp.MustCompile(` INDEXED BY \w+`)
)

// SQL translates a statement.
func (w Words) SQL(q string) string {
	q = indexedBy.ReplaceAllString(q, "")
	q = strings.NewReplacer("json_each(?) j", w.Texts, "json_each(?) n", w.Numbers, "CROSS JOIN", "JOIN", "LIMIT ? + 0", "LIMIT ?").Replace(q)
	if w.Duplicate {
		q = conflict.ReplaceAllString(q, "ON DUPLICATE KEY UPDATE")
		q = excluded.ReplaceAllString(q, "VALUES($1)")
	}
	if !w.Numbered {
		return q
	}
	var b strings.Builder
	n := 0
	for {
		before, after, more := strings.Cut(q, "?")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
		q = after
	}
}
