package moving

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/herald-push/herald/internal/store/dialect"
)

// Sizes of what is read and written at once.
const (
	pageRows       = 1000
	insertRows     = 200
	insertValues   = 4000
	insertBytes    = 1 << 20
	maxShownKeyLen = 120
)

// row is the values of a row: nil, int64, float64 or []byte, also for texts.
type row []any

// side is one of the two databases.
type side struct {
	db     querier
	layout dialect.Layout
}

// selection is the statement that reads a page of a table: the first one, or
// the one behind a key.
func (s side) selection(t *Table, behind bool) string {
	q := &statement{numbered: s.layout.Numbered}
	q.WriteString("SELECT ")
	q.list(len(t.Columns), func(i int) { q.WriteString(quoted(t.Columns[i].Name)) })
	q.WriteString(" FROM " + quoted(t.Name))
	if behind {
		q.WriteString(" WHERE ")
		s.behind(q, t)
	}
	q.WriteString(" ORDER BY ")
	q.list(len(t.Key), func(i int) { q.WriteString(quoted(t.key(i))) })
	q.WriteString(" LIMIT " + strconv.Itoa(pageRows))
	return q.String()
}

// key is the name of the i-th column of the key.
func (t *Table) key(i int) string { return t.Columns[t.Key[i]].Name }

// behind writes the condition that a key is greater than another one.
func (s side) behind(q *statement, t *Table) {
	if !s.layout.Apart {
		q.WriteString("(")
		q.list(len(t.Key), func(i int) { q.WriteString(quoted(t.key(i))) })
		q.WriteString(") > (")
		q.list(len(t.Key), func(int) { q.parameter() })
		q.WriteString(")")
		return
	}
	for i := range t.Key {
		if i > 0 {
			q.WriteString(" OR ")
		}
		q.WriteString("(")
		for j := range i {
			q.WriteString(quoted(t.key(j)) + " = ")
			q.parameter()
			q.WriteString(" AND ")
		}
		q.WriteString(quoted(t.key(i)) + " > ")
		q.parameter()
		q.WriteString(")")
	}
}

// after gives the parameters of behind for the key of a row.
func (s side) after(t *Table, r row) []any {
	var out []any
	for i := range t.Key {
		if s.layout.Apart {
			for j := range i {
				out = append(out, s.bind(t, t.Key[j], r))
			}
		}
		out = append(out, s.bind(t, t.Key[i], r))
	}
	return out
}

// bind gives a value as the database wants it.
func (s side) bind(t *Table, i int, r row) any {
	if b, ok := r[i].([]byte); ok && t.Columns[i].Kind == Text && !s.layout.Bytes {
		return string(b)
	}
	return r[i]
}

// page reads the rows behind one, or the first ones for nil.
func (s side) page(ctx context.Context, t *Table, last row) ([]row, error) {
	var args []any
	if last != nil {
		args = s.after(t, last)
	}
	rows, err := s.db.QueryContext(ctx, s.selection(t, last != nil), args...)
	if err != nil {
		return nil, fmt.Errorf("moving: reading table %s: %w", t.Name, err)
	}
	defer rows.Close()
	var out []row
	for rows.Next() {
		r, err := t.scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("moving: reading table %s: %w", t.Name, err)
	}
	return out, nil
}

func (t *Table) scan(rows *sql.Rows) (row, error) {
	r := make(row, len(t.Columns))
	into := make([]any, len(r))
	for i := range r {
		into[i] = &r[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, fmt.Errorf("moving: reading table %s: %w", t.Name, err)
	}
	for i := range r {
		v, err := plain(t.Columns[i].Kind, r[i])
		if err != nil {
			return nil, fmt.Errorf("moving: column %s of table %s: %w", t.Columns[i].Name, t.Name, err)
		}
		r[i] = v
	}
	return r, nil
}

// plain makes one of four types of what a driver gives.
func plain(k Kind, v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case int64:
		if k == Number {
			return v, nil
		}
	case int32:
		return plain(k, int64(v))
	case int16:
		return plain(k, int64(v))
	case float64:
		if k == Fraction {
			return v, nil
		}
	case string:
		return plain(k, []byte(v))
	case []byte:
		switch k {
		case Number:
			return strconv.ParseInt(string(v), 10, 64)
		case Fraction:
			return strconv.ParseFloat(string(v), 64)
		}
		return append([]byte{}, v...), nil // not nil, which would be NULL
	}
	return nil, fmt.Errorf("a value of type %T in a column of kind %s", v, k)
}

// encode appends a row in a form that is the same for all databases.
func (t *Table) encode(b []byte, r row) []byte {
	for i := range t.Columns {
		switch v := r[i].(type) {
		case nil:
			b = append(b, 0)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 2), math.Float64bits(v))
		case []byte:
			b = binary.BigEndian.AppendUint64(append(b, 3), uint64(len(v)))
			b = append(b, v...)
		}
	}
	return b
}

// own reports whether a row belongs to the database, and not to the record.
func (t *Table) own(r row) bool {
	if t.Name != metaTable {
		return false
	}
	name, _ := r[t.Key[0]].([]byte)
	return slices.Contains(dialect.OwnMeta, string(name))
}

// name shows the key of a row to a person.
func (t *Table) name(r row) string {
	var parts []string
	for _, i := range t.Key {
		if b, ok := r[i].([]byte); ok {
			parts = append(parts, fmt.Sprintf("%s %q", t.Columns[i].Name, b))
		} else {
			parts = append(parts, fmt.Sprintf("%s %v", t.Columns[i].Name, r[i]))
		}
	}
	s := t.Name + " (" + strings.Join(parts, ", ") + ")"
	return s[:min(len(s), maxShownKeyLen)]
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// damaged reports whether a checksum in a row is not that of its column.
func (t *Table) damaged(r row) bool {
	for i, c := range t.Columns {
		if c.Sums < 0 {
			continue
		}
		b, _ := r[c.Sums].([]byte)
		if n, ok := r[i].(int64); !ok || n != int64(crc32.Checksum(b, castagnoli)) {
			return true
		}
	}
	return false
}
