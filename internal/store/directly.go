package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
)

// directly runs statements that write without what database/sql does around
// each of them, which for a row of three columns costs as much as the row: the
// writer has one connection for itself and one goroutine, so that there is
// nothing to lock, to retry or to share.
type directly struct {
	words func(string) string // see dialect.Speaker.SQL
	stmts map[string]driver.Stmt
	args  []driver.NamedValue // of the statement that runs
}

// exec changes rows on a connection and tells how many.
func (d *directly) exec(conn *sql.Conn, q string, args []any) (n int64, err error) {
	if err := d.bind(args); err != nil {
		return 0, err
	}
	err = conn.Raw(func(c any) error {
		s, err := d.stmt(c, q)
		if err != nil {
			return err
		}
		r, err := s.ExecContext(context.Background(), d.args)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	clear(d.args) // what they point to may be large
	return n, err
}

// bind makes values of the driver's kinds out of arguments.
func (d *directly) bind(args []any) error {
	d.args = d.args[:0]
	for i, a := range args {
		switch a.(type) {
		case nil, int64, string, []byte:
		default:
			v, err := driver.DefaultParameterConverter.ConvertValue(a)
			if err != nil {
				return fmt.Errorf("store: argument %d: %w", i+1, err)
			}
			a = v
		}
		d.args = append(d.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return nil
}

func (d *directly) stmt(conn any, q string) (driver.StmtExecContext, error) {
	s := d.stmts[q]
	if s == nil {
		c, ok := conn.(driver.ConnPrepareContext)
		if !ok {
			return nil, fmt.Errorf("store: the driver's connection is a %T", conn)
		}
		var err error
		if s, err = c.PrepareContext(context.Background(), d.words(q)); err != nil {
			return nil, err
		}
		d.stmts[q] = s
	}
	e, ok := s.(driver.StmtExecContext)
	if !ok {
		return nil, fmt.Errorf("store: the driver's statement is a %T", s)
	}
	return e, nil
}

func (d *directly) close(conn *sql.Conn) (err error) {
	if len(d.stmts) == 0 {
		return nil
	}
	return conn.Raw(func(any) error {
		for _, s := range d.stmts {
			if e := s.Close(); err == nil {
				err = e
			}
		}
		return err
	})
}
