package moving

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/faults"
	"github.com/herald-push/herald/internal/store/dialect"
)

// Source is a database that rows are taken from.
type Source struct {
	DB     querier // a connection with the lock, or a transaction that sees one state
	Layout dialect.Layout
}

// Target is a database that rows are put into.
type Target struct {
	Conn   *sql.Conn // with the lock
	Layout dialect.Layout
}

// Report is told how far a piece of work is, in rows.
type Report func(what string, done, all int64)

// The pieces of work.
const (
	Copying   = "copying"
	Comparing = "comparing"
	Reading   = "reading"
)

// Move copies the rows of the tables, as far as they are not there yet, and
// compares both sides, row by row. The target must be marked, and may have been
// begun before.
func Move(ctx context.Context, tables []Table, from Source, to Target, report Report) ([]Sum, error) {
	if report == nil {
		report = func(string, int64, int64) {}
	}
	m := &mover{from: side{from.DB, from.Layout}, to: side{to.Conn, to.Layout}, conn: to.Conn, report: report}
	for i := range tables {
		n, err := count(ctx, from.DB, &tables[i])
		if err != nil {
			return nil, err
		}
		m.all += n
	}
	for i := range tables {
		if err := m.copy(ctx, &tables[i]); err != nil {
			return nil, err
		}
	}
	if err := m.settle(ctx); err != nil {
		return nil, err
	}
	report(Copying, m.all, m.all)
	m.done = 0
	return m.compareAll(ctx, tables)
}

// settle does what a database wants after rows were put in.
func (m *mover) settle(ctx context.Context) error {
	for _, q := range m.to.layout.After {
		if _, err := m.conn.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("moving: ending: %w", err)
		}
	}
	return nil
}

type mover struct {
	from, to  side
	conn      *sql.Conn
	report    Report
	done, all int64
}

func count(ctx context.Context, db querier, t *Table) (n int64, err error) {
	if err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quoted(t.Name)).Scan(&n); err != nil {
		err = fmt.Errorf("moving: counting the rows of table %s: %w", t.Name, err)
	}
	return n, err
}

// copy puts in what the target does not have. Rows come in the order of their
// keys, so that those which are there are the first ones.
func (m *mover) copy(ctx context.Context, t *Table) error {
	last, err := m.last(ctx, t)
	if err != nil {
		return err
	}
	if last != nil {
		n, err := count(ctx, m.to.db, t)
		if err != nil {
			return err
		}
		m.done += n
	}
	for {
		rows, err := m.from.page(ctx, t, last)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := m.put(ctx, t, rows); err != nil {
			return err
		}
		faults.Point("moved")
		last = rows[len(rows)-1]
		m.done += int64(len(rows))
		m.report(Copying, min(m.done, m.all), m.all)
	}
}

// again empties a table of the target and copies it.
func (m *mover) again(ctx context.Context, t *Table) error {
	q := &statement{}
	q.WriteString("DELETE FROM " + quoted(t.Name))
	if t.Name == metaTable { // the rows of the database stay
		q.WriteString(" WHERE name NOT IN (")
		q.list(len(dialect.OwnMeta), func(i int) { q.WriteString("'" + dialect.OwnMeta[i] + "'") })
		q.WriteString(")")
	}
	if _, err := m.conn.ExecContext(ctx, q.String()); err != nil {
		return fmt.Errorf("moving: emptying table %s: %w", t.Name, err)
	}
	before := m.done
	defer func() { m.done = before }()
	return m.copy(ctx, t)
}

// last gives a row with the greatest key that was copied; nil if there is none.
func (m *mover) last(ctx context.Context, t *Table) (row, error) {
	if t.Name == metaTable {
		return nil, nil // few rows, of which some are not copied
	}
	q := &statement{}
	q.WriteString("SELECT ")
	q.list(len(t.Columns), func(i int) { q.WriteString(quoted(t.Columns[i].Name)) })
	q.WriteString(" FROM " + quoted(t.Name) + " ORDER BY ")
	q.list(len(t.Key), func(i int) { q.WriteString(quoted(t.key(i)) + " DESC") })
	q.WriteString(" LIMIT 1")
	rows, err := m.conn.QueryContext(ctx, q.String())
	if err != nil {
		return nil, fmt.Errorf("moving: reading table %s: %w", t.Name, err)
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	return t.scan(rows)
}

// put writes rows, all or none.
func (m *mover) put(ctx context.Context, t *Table, rows []row) error {
	tx, err := m.conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("moving: writing table %s: %w", t.Name, err)
	}
	defer tx.Rollback()
	if t.Name == metaTable {
		rows, err = m.notOwn(ctx, tx, t, rows)
	}
	for err == nil && len(rows) > 0 {
		n := portion(t, rows)
		q, args := m.insert(t, rows[:n])
		_, err = tx.ExecContext(ctx, q, args...)
		rows = rows[n:]
	}
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("moving: writing table %s: %w", t.Name, err)
	}
	return nil
}

// notOwn leaves out the rows of meta that are of a database, and takes out of
// the target those that are to be written.
func (m *mover) notOwn(ctx context.Context, tx *sql.Tx, t *Table, rows []row) (out []row, err error) {
	q := &statement{numbered: m.to.layout.Numbered}
	q.WriteString("DELETE FROM " + quoted(t.Name) + " WHERE " + quoted(t.key(0)) + " = ")
	q.parameter()
	for _, r := range rows {
		if t.own(r) {
			continue
		}
		if _, err := tx.ExecContext(ctx, q.String(), m.to.bind(t, t.Key[0], r)); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// portion is how many of the rows go into one statement.
func portion(t *Table, rows []row) int {
	size := 0
	for i, r := range rows {
		for _, v := range r {
			if b, ok := v.([]byte); ok {
				size += len(b)
			}
		}
		if i > 0 && (size > insertBytes || i >= insertRows || (i+1)*len(t.Columns) > insertValues) {
			return i
		}
	}
	return len(rows)
}

func (m *mover) insert(t *Table, rows []row) (string, []any) {
	q := &statement{numbered: m.to.layout.Numbered}
	args := make([]any, 0, len(rows)*len(t.Columns))
	q.WriteString("INSERT INTO " + quoted(t.Name) + " (")
	q.list(len(t.Columns), func(i int) { q.WriteString(quoted(t.Columns[i].Name)) })
	q.WriteString(") VALUES ")
	q.list(len(rows), func(n int) {
		q.WriteString("(")
		q.list(len(t.Columns), func(i int) {
			q.parameter()
			args = append(args, m.to.bind(t, i, rows[n]))
		})
		q.WriteString(")")
	})
	return q.String(), args
}

// Empty refuses a database in which there is anything of a record.
func Empty(ctx context.Context, tables []Table, db querier, layout dialect.Layout) error {
	have, err := columns(ctx, db, layout)
	if err != nil {
		return err
	}
	for i := range tables {
		t := &tables[i]
		if have[t.Name] == nil || t.Name == metaTable {
			continue
		}
		n, err := count(ctx, db, t)
		if err != nil {
			return err
		}
		if n > 0 {
			return herald.Errorf(herald.CodeConflict, "Name an empty database; nothing was changed in this one.",
				"the target has data already: table %s has %d rows", t.Name, n)
		}
	}
	return nil
}
