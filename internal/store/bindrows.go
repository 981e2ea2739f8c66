package store

import (
	"cmp"
	"database/sql"
	"slices"
	"strconv"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/store/dialect"
)

// Devices that lie close together get their recipients by one statement, whose
// running costs as much as the change of a row.
const (
	stretchGap   = 8   // ordinals from one device to the next at most
	stretchWidth = 512 // ordinals in all
	stretchLeast = 3   // devices; fewer are written one by one
	// numberWidth is how many digits a recipient takes: it is below 2³².
	numberWidth = 10
)

// moveStretch finds the recipient of each device in a table, by the place of
// its ordinal. A stroke says that the device is none of those that change. It is
// SQLite's, whose texts, numbers and bytes are one another.
const moveStretch = `UPDATE device SET recipient = CAST(substr(?1, (ord - ?4) * 10 + 1, 10) AS INTEGER), bound_pos = ?2
	WHERE app = ?3 AND ord BETWEEN ?4 AND ?5 AND substr(?1, (ord - ?4) * 10 + 1, 1) <> x'2d'`

const moveOne = "UPDATE device SET recipient = ?, bound_pos = ? WHERE app = ? AND ord = ?"

// move gives the devices of the plan their recipients, in the order of their
// rows, and lists them.
func (p *bindPlan) move(t *tx, app int64, pos herald.Pos) ([]*bindDevice, error) {
	moved := make([]*bindDevice, 0, len(p.devices))
	for _, d := range p.devices {
		if d != nil && d.changed {
			d.changed = false // one that is named twice stands here twice
			moved = append(moved, d)
		}
	}
	slices.SortFunc(moved, func(x, y *bindDevice) int { return cmp.Compare(x.ord, y.ord) })
	mark, err := p.boundMark(t, app, pos)
	if err != nil {
		return nil, err
	}
	_, remote := t.db.driver.(dialect.Remote)
	for rest := moved; len(rest) > 0; {
		if n := stretch(rest); n >= stretchLeast && !remote {
			if _, err := t.exec(moveStretch, numberTable(rest[:n]), mark, app, rest[0].ord, rest[n-1].ord); err != nil {
				return nil, err
			}
			rest = rest[n:]
			continue
		}
		recipient := sql.NullInt64{Int64: rest[0].recipient, Valid: rest[0].recipient != unbound}
		if _, err := t.exec(moveOne, recipient, mark, app, rest[0].ord); err != nil {
			return nil, err
		}
		rest = rest[1:]
	}
	return moved, nil
}

// stretch tells how many devices at the start of a list, ascending, one
// statement can move. Those that lose their alias are none of them.
func stretch(list []*bindDevice) (n int) {
	for n < len(list) && list[n].recipient != unbound {
		if n > 0 && (list[n].ord-list[n-1].ord > stretchGap || list[n].ord-list[0].ord >= stretchWidth) {
			break
		}
		n++
	}
	return n
}

// numberTable is the table of moveStretch.
func numberTable(list []*bindDevice) []byte {
	first, last := list[0].ord, list[len(list)-1].ord
	out := make([]byte, 0, (last-first+1)*numberWidth)
	var digits [numberWidth]byte
	at := first
	for _, d := range list {
		for ; at < d.ord; at++ {
			out = append(out, "-         "...)
		}
		number := strconv.AppendInt(digits[:0], d.recipient, 10)
		for range numberWidth - len(number) {
			out = append(out, '0')
		}
		out = append(out, number...)
		at++
	}
	return out
}
