package audience

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Pair is a line of a list of devices with their aliases.
type Pair struct {
	Number int64 // in the file, from 1; the header is a line of it
	ID     herald.RegistrationID
	Alias  herald.Alias // "" for none
	Wrong  string       // why the line is not valid; "" if it is
}

// ReadPairs reads a CSV file (RFC 4180) with a registration ID and an alias on
// each line, and gives its lines to each, one at a time; it never holds more
// than one. The first line may be a header that names the columns
// registration_id and alias; without one they are the first two. A line without
// a cell for the alias is not valid: a list of the wrong form must not unbind
// its devices.
//
// The error is that of the reader or of each, or an [*herald.Error] if the header
// lacks a column.
func ReadPairs(r io.Reader, each func(Pair) error) error {
	in := &cells{r: bufio.NewReaderSize(r, 64<<10), csv: true, line: 1}
	if mark, err := in.r.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.r.Discard(3) // a byte order mark, as spreadsheets write it
	}
	id, alias := 0, 1
	for first := true; ; {
		number := in.line
		row, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(row) == 1 && strings.TrimSpace(row[0]) == "" {
			continue
		}
		if first {
			first = false
			i, a := column(row, record.FileOfIDs), column(row, record.FileOfAliases)
			switch {
			case i >= 0 && a >= 0:
				id, alias = i, a
				continue
			case i >= 0:
				return herald.Invalid("file", "Begin the file with a line registration_id,alias.", "the header has no column alias")
			}
		}
		if err := each(pairOf(number, row, id, alias)); err != nil {
			return err
		}
	}
}

// column finds the column of a header that has values of a kind; -1 if none has.
func column(row []string, kind record.FileKind) int {
	return slices.IndexFunc(row, func(cell string) bool { return headers[strings.ToLower(strings.TrimSpace(cell))] == kind })
}

func pairOf(number int64, row []string, id, alias int) Pair {
	p := Pair{Number: number}
	if id < len(row) {
		p.ID = herald.RegistrationID(strings.TrimSpace(row[id]))
	}
	if !p.ID.Valid() {
		p.Wrong = fmt.Sprintf("%.40q is not a registration ID", string(p.ID))
		return p
	}
	if alias >= len(row) {
		p.Wrong = "there is no column with an alias; leave the cell empty to unbind the device"
		return p
	}
	if p.Alias = herald.Alias(strings.TrimSpace(row[alias])); p.Alias != "" && herald.ValidName("alias", string(p.Alias)) != nil {
		p.Wrong = fmt.Sprintf("%.40q is not an alias", string(p.Alias))
	}
	return p
}
