package bench

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	_ "modernc.org/sqlite" // the driver that the store uses

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench/swarm"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// rowsCommand is one line on the standard input of a process that writes the rows of
// messages to one device each, and does nothing else.
type rowsCommand struct {
	Database string `json:"database"`
	From     int    `json:"from"` // number of the first message
	Count    int    `json:"count"`
	Devices  int    `json:"devices"`
	Payload  int    `json:"payload"`
}

type rowsAnswer struct {
	Took  time.Duration `json:"took"`
	Error string        `json:"error,omitempty"`
}

// rowsGroup is how many messages one transaction takes, as in the store.
const rowsGroup = 512

// runRows serves until the standard input ends.
func runRows(in io.Reader, out io.Writer) error {
	w := &rowWriter{}
	lines := bufio.NewScanner(in)
	encode := json.NewEncoder(out)
	for lines.Scan() {
		var c rowsCommand
		err := json.Unmarshal(lines.Bytes(), &c)
		begun := time.Now()
		if err == nil {
			err = w.write(context.Background(), c)
		}
		a := rowsAnswer{Took: time.Since(begun)}
		if err != nil {
			a.Error = err.Error()
		}
		if err := encode.Encode(a); err != nil {
			return errors.Join(err, w.close())
		}
	}
	return errors.Join(lines.Err(), w.close())
}

// rowWriter is the least that a group commit can be: the rows of a message,
// with prepared statements, many messages in one transaction, and the pragmas
// of the store. It checks nothing.
type rowWriter struct {
	db   *sql.DB
	conn *sql.Conn

	begin, commit, head, release, message, entry *sql.Stmt
}

func (w *rowWriter) open(ctx context.Context, path string) (err error) {
	if w.db != nil {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return err // the driver would make the file
	}
	w.db, err = sql.Open("sqlite", BareDSN(path))
	if err != nil {
		return err
	}
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return err
	}
	for _, p := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&w.begin, "BEGIN IMMEDIATE"},
		{&w.commit, "COMMIT"},
		{&w.head, BareHead},
		{&w.release, BareRelease},
		{&w.message, `INSERT INTO msg (app, id, state, ended, ends, pos, end_pos, eval_pos, by_alias, devices, unknown, first_n,
			priority, collapse_key, ordering_key, ttl, accepted, due, audience, body, crc, form, target, target_crc)
			VALUES (?, ?, 'sending', 0, ?, ?, 0, ?, 0, 1, 0, ?, 'normal', '', '', ?, ?, ?, ?, ?, ?, 1, ?, ?)`},
		{&w.entry, BareEntry},
	} {
		if *p.to, err = w.conn.PrepareContext(ctx, p.query); err != nil { //nolint:sqlclosecheck // they are kept, and end with the database
			return err
		}
	}
	return nil
}

func (w *rowWriter) close() error {
	if w.db == nil {
		return nil
	}
	return w.db.Close() // and with it the connection and its statements
}

// write writes messages, a group in each transaction.
func (w *rowWriter) write(ctx context.Context, c rowsCommand) error {
	if err := w.open(ctx, c.Database); err != nil {
		return err
	}
	for from := c.From; from < c.From+c.Count; from += rowsGroup {
		if err := w.group(ctx, c, from, min(from+rowsGroup, c.From+c.Count)); err != nil {
			return err
		}
	}
	return nil
}

// beyond is added to positions, so that they are not those of the seed.
const beyond = 1 << 32

func (w *rowWriter) group(ctx context.Context, c rowsCommand, from, to int) error {
	if _, err := w.begin.ExecContext(ctx); err != nil {
		return err
	}
	for i := from; i < to; i++ {
		if err := w.row(ctx, c, i); err != nil {
			return err
		}
	}
	if _, err := w.head.ExecContext(ctx, beyond+to, to, 1); err != nil {
		return err
	}
	_, err := w.commit.ExecContext(ctx)
	return err
}

// row writes what the store writes for a message to one device.
func (w *rowWriter) row(ctx context.Context, c rowsCommand, i int) error {
	now := time.Now()
	at, ord, pos := now.UnixMilli(), i%max(c.Devices, 1), beyond+i
	id := at<<22 + int64(i)
	if _, err := w.release.ExecContext(ctx, 1, pos, "message", id, at); err != nil {
		return err
	}
	if _, err := w.entry.ExecContext(ctx, 1, ord, pos, i, id); err != nil {
		return err
	}
	mark := swarm.Mark{Kind: swarm.Unicast, Stream: uint32(ord), Seq: uint32(i), Sent: now.UnixNano()}
	body := append(mark.Append([]byte(`{"data":`), c.Payload), '}')
	target, err := record.AppendSet(nil, sets.New(herald.Ordinal(ord)))
	if err != nil {
		return err
	}
	ttl := int64(broadcastTTL * 1000)
	audience := fmt.Sprintf(`{"registration_ids":["%020d"]}`, ord)
	_, err = w.message.ExecContext(ctx, 1, id, at+ttl, pos, pos, i, ttl, at, at, audience, body, checksum(body), target, checksum(target))
	return err
}

func checksum(b []byte) int64 { return int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))) }

// rowsLoop is such a process, on a copy of a database.
type rowsLoop struct {
	*child
	product *product
}

// startRows starts it on the database that a product began with.
func startRows(ctx context.Context, l *Load, p *product) (*rowsLoop, error) {
	c, err := startChild(ctx, l, ofRows)
	if err != nil {
		return nil, err
	}
	return &rowsLoop{c, p}, nil
}

// round writes messages, and gives the processor time of one in microseconds,
// and how many were written in a second.
func (r *rowsLoop) round(ctx context.Context, count int) (took, speed float64, err error) {
	p := r.product
	command := rowsCommand{Database: p.bare(), From: p.rows, Count: count, Devices: p.devices, Payload: p.load.Payload}
	used := r.cpu()
	var a rowsAnswer
	if err := r.ask(ctx, command, &a); err != nil {
		return 0, 0, err
	}
	if a.Error != "" {
		return 0, 0, fmt.Errorf("bench: writing rows: %s", a.Error)
	}
	p.rows += count
	return microseconds(r.cpu()-used) / float64(count), float64(count) / max(a.Took, 1).Seconds(), nil
}
