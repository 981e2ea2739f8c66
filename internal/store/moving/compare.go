package moving

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
)

// Sum is what a table holds.
type Sum struct {
	Table  string `json:"table"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
	// Damaged are the names of the first rows whose checksum is wrong.
	Damaged []string `json:"damaged,omitempty"`
}

// Damaged gives the names of rows whose checksum is wrong.
func Damaged(list []Sum) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Damaged...)
	}
	return out
}

// maxDamaged is how many damaged rows are named.
const maxDamaged = 10

// compareAll compares the tables. One that is not the same was begun when the
// source was another; it is copied anew, once.
func (m *mover) compareAll(ctx context.Context, tables []Table) ([]Sum, error) {
	var out []Sum
	for i := range tables {
		t, before := &tables[i], m.done
		s, err := m.compare(ctx, t)
		if d := new(difference); errors.As(err, &d) {
			m.done = before
			if err = m.again(ctx, t); err == nil {
				err = m.settle(ctx)
			}
			if err == nil {
				s, err = m.compare(ctx, t)
			}
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	m.report(Comparing, m.all, m.all)
	return out, nil
}

// difference is a row that is not the same on both sides.
type difference struct{ text string }

func (d *difference) Error() string { return d.text }

// compare reads a table on both sides, and refuses what is not the same.
func (m *mover) compare(ctx context.Context, t *Table) (Sum, error) {
	a, b := &cursor{side: m.from, t: t}, &cursor{side: m.to, t: t}
	s := newSummer(t)
	var one, two []byte
	for {
		ra, err := a.next(ctx)
		if err != nil {
			return Sum{}, err
		}
		rb, err := b.next(ctx)
		if err != nil {
			return Sum{}, err
		}
		switch {
		case ra == nil && rb == nil:
			return s.sum(), nil
		case ra == nil:
			return Sum{}, &difference{"moving: the source has no row " + t.name(rb) + ", and the target has"}
		case rb == nil:
			return Sum{}, &difference{"moving: the target has no row " + t.name(ra)}
		}
		one, two = t.encode(one[:0], ra), t.encode(two[:0], rb)
		if !bytes.Equal(one, two) {
			return Sum{}, &difference{"moving: row " + t.name(ra) + " is not the same on both sides"}
		}
		s.add(ra, one)
		if m.done++; m.done%pageRows == 0 {
			m.report(Comparing, min(m.done, m.all), m.all)
		}
	}
}

// Sums reads all tables of a database.
func Sums(ctx context.Context, tables []Table, from Source, report Report) ([]Sum, error) {
	var out []Sum
	var all, done int64
	for i := range tables {
		n, err := count(ctx, from.DB, &tables[i])
		if err != nil {
			return nil, err
		}
		all += n
	}
	for i := range tables {
		t := &tables[i]
		c, s := &cursor{side: side{from.DB, from.Layout}, t: t}, newSummer(t)
		var b []byte
		for {
			r, err := c.next(ctx)
			if err != nil {
				return nil, err
			}
			if r == nil {
				break
			}
			b = t.encode(b[:0], r)
			s.add(r, b)
			if done++; report != nil && done%pageRows == 0 {
				report(Reading, min(done, all), all)
			}
		}
		out = append(out, s.sum())
	}
	if report != nil {
		report(Reading, all, all)
	}
	return out, nil
}

// summer puts together what a table holds.
type summer struct {
	t    *Table
	out  Sum
	hash hash.Hash
}

func newSummer(t *Table) *summer {
	return &summer{t: t, out: Sum{Table: t.Name}, hash: sha256.New()}
}

func (s *summer) add(r row, encoded []byte) {
	s.out.Rows++
	s.hash.Write(encoded)
	if s.t.damaged(r) && len(s.out.Damaged) < maxDamaged {
		s.out.Damaged = append(s.out.Damaged, s.t.name(r))
	}
}

func (s *summer) sum() Sum {
	s.out.SHA256 = hex.EncodeToString(s.hash.Sum(nil))
	return s.out
}

// cursor walks over the rows of a table that belong to the record, in the order
// of the key.
type cursor struct {
	side
	t    *Table
	rows []row
	last row
	end  bool
}

func (c *cursor) next(ctx context.Context) (row, error) {
	for {
		if len(c.rows) == 0 && !c.end {
			var err error
			if c.rows, err = c.page(ctx, c.t, c.last); err != nil {
				return nil, err
			}
			c.end = len(c.rows) < pageRows
		}
		if len(c.rows) == 0 {
			return nil, nil
		}
		c.last, c.rows = c.rows[0], c.rows[1:]
		if !c.t.own(c.last) {
			return c.last, nil
		}
	}
}
