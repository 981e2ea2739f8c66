package audience

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// ListFormat is how a list of names is written.
type ListFormat struct {
	// CSV: cells as in RFC 4180; else one value on a line.
	CSV bool
	// Kind of the values; "" leaves it to the header line.
	Kind record.FileKind
}

// Line is a line of a list that is not empty.
type Line struct {
	Number int64 // in the file, from 1; the header is a line of it
	Kind   record.FileKind
	Value  string // of the form of its kind
}

// maxCell is how much of a cell is kept: more than any valid value, so that
// what is longer is seen to be invalid.
const maxCell = 4 * herald.MaxNameBytes

// ReadList reads a list and gives its lines to each, one at a time; it never
// holds more than one. It gives the kind of the values. The first line may be
// a header that names the column: registration_id or alias, or the same in the
// plural. Without one the format has to say the kind, and the value is the first
// cell of a line.
//
// The error is that of the reader or of each, or an [*herald.Error] if the kind
// is not known or a line has no valid value; it says which line.
func ReadList(r io.Reader, f ListFormat, each func(Line) error) (record.FileKind, error) {
	in := &cells{r: bufio.NewReaderSize(r, 64<<10), csv: f.CSV, line: 1}
	if mark, err := in.r.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.r.Discard(3) // a byte order mark, as spreadsheets write it
	}
	column, kind := 0, f.Kind
	for first := true; ; {
		number := in.line
		row, err := in.next()
		if errors.Is(err, io.EOF) {
			return kind, nil
		}
		if err != nil {
			return kind, err
		}
		if len(row) == 1 && strings.TrimSpace(row[0]) == "" {
			continue
		}
		if first {
			first = false
			var header bool
			if column, kind, header, err = readHeader(row, f.Kind); err != nil {
				return kind, err
			}
			if header {
				continue
			}
		}
		l := Line{Number: number, Kind: kind}
		if column < len(row) {
			l.Value = strings.TrimSpace(row[column])
		}
		if err := checkLine(l); err != nil {
			return kind, err
		}
		if err := each(l); err != nil {
			return kind, err
		}
	}
}

func checkLine(l Line) error {
	what, valid := "an alias", herald.ValidName("alias", l.Value) == nil
	if l.Kind == record.FileOfIDs {
		what, valid = "a registration ID", herald.RegistrationID(l.Value).Valid()
	}
	if valid {
		return nil
	}
	return herald.Invalid("file", "Correct or take out the line, and upload the list again; nothing of it was kept. It has to be UTF-8, with one value on a line or in the column of its name.",
		"line %d: %.40q is not %s", l.Number, l.Value, what)
}

// headers are the names of columns.
var headers = map[string]record.FileKind{
	"registration_id": record.FileOfIDs, string(record.FileOfIDs): record.FileOfIDs,
	"alias": record.FileOfAliases, string(record.FileOfAliases): record.FileOfAliases,
}

// readHeader looks at the first line: which column has the values, and whether
// the line is a header at all.
func readHeader(row []string, want record.FileKind) (column int, kind record.FileKind, header bool, err error) {
	at := map[record.FileKind]int{}
	for i := len(row) - 1; i >= 0; i-- {
		if k, ok := headers[strings.ToLower(strings.TrimSpace(row[i]))]; ok {
			at[k] = i
		}
	}
	if want != "" {
		i, ok := at[want]
		return i, want, ok, nil
	}
	if len(at) == 0 {
		return 0, "", false, herald.Invalid("of", "Add of=registration_ids or of=aliases to the address, or begin the file with a line that names the column.", "it is not said what the lines are")
	}
	if len(at) > 1 {
		return 0, "", false, herald.Invalid("of", "Add of=registration_ids or of=aliases to the address.", "the file has a column of registration IDs and one of aliases")
	}
	for k, i := range at {
		kind, column = k, i
	}
	return column, kind, true, nil
}

// cells reads lines of cells. Of RFC 4180 it knows quoted cells, with line
// breaks and doubled quotes in them; a quote within a cell that is not quoted
// stands for itself.
type cells struct {
	r    *bufio.Reader
	csv  bool
	line int64 // of the next byte
	row  []string
	cell []byte
}

// next gives the cells of the next line; they are good until it is called
// again. The last line needs no line break.
func (c *cells) next() ([]string, error) {
	c.row, c.cell = c.row[:0], c.cell[:0]
	quoted, fresh, some := false, true, false
	for {
		b, err := c.r.ReadByte()
		if errors.Is(err, io.EOF) && some {
			return c.end(), nil
		}
		if err != nil {
			return nil, err
		}
		some = true
		if b == '\n' {
			c.line++
		}
		switch {
		case quoted && b == '"':
			if after, err := c.r.Peek(1); err == nil && after[0] == '"' {
				_, _ = c.r.Discard(1)
				c.keep('"')
			} else {
				quoted = false
			}
		case quoted:
			c.keep(b)
		case b == '\n':
			return c.end(), nil
		case c.csv && b == '"' && fresh:
			quoted, fresh = true, false
		case c.csv && b == ',':
			c.close()
			fresh = true
			continue
		default:
			c.keep(b)
			fresh = false
		}
	}
}

func (c *cells) keep(b byte) {
	if len(c.cell) < maxCell {
		c.cell = append(c.cell, b)
	}
}

// maxColumns is how many cells of a line are kept.
const maxColumns = 256

func (c *cells) close() {
	if len(c.row) < maxColumns {
		c.row = append(c.row, string(c.cell))
	}
	c.cell = c.cell[:0]
}

func (c *cells) end() []string {
	if n := len(c.cell); n > 0 && c.cell[n-1] == '\r' {
		c.cell = c.cell[:n-1]
	}
	c.close()
	return c.row
}
