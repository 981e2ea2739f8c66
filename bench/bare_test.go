//go:build unix

package bench_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"hash/crc32"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/bench"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// audienceOf is an audience with the bytes that a message to it has in the
// record.
type audienceOf struct {
	herald.Audience
	json, target []byte
}

func newAudienceOf(b *testing.B, a herald.Audience) audienceOf {
	b.Helper()
	out := audienceOf{Audience: a}
	image := sets.Range(commitDevices)
	if !a.All {
		image = sets.New(herald.Ordinal(commitDevices / 2))
	}
	image.Optimize()
	var err error
	out.json, err = json.Marshal(a)
	must(b, err)
	out.target, err = record.AppendSet(nil, image)
	must(b, err)
	return out
}

// bareLoop is the least that a group commit can be: callers hand rows to one
// goroutine, which writes what has queued up with prepared statements in one
// transaction. It checks nothing, and takes all numbers from a counter.
type bareLoop struct {
	conn      *sql.Conn
	broadcast bool
	rows      chan *bareRow
	begin     *sql.Stmt
	commit    *sql.Stmt
	head      *sql.Stmt
	release   *sql.Stmt
	message   *sql.Stmt
	to        *sql.Stmt // entry or group_msg
	body      []byte
}

type bareRow struct {
	i    int
	to   *audienceOf
	done chan error
}

// bareGroup is how many rows one transaction takes at most, as in the store.
const bareGroup = 512

func newBareLoop(b *testing.B, path string, broadcast bool) *bareLoop {
	b.Helper()
	ctx := context.Background()
	db, err := sql.Open("sqlite", bench.BareDSN(path))
	must(b, err)
	l := &bareLoop{broadcast: broadcast, rows: make(chan *bareRow, bareGroup),
		body: []byte(`{"notification":{"title":"Your order has shipped","body":"It should reach you tomorrow."}}`)}
	l.conn, err = db.Conn(ctx)
	must(b, err)
	to := bench.BareEntry
	if broadcast {
		to = "INSERT INTO group_msg (app, pos, msg) VALUES (?, ?, ?)"
	}
	for _, p := range []struct {
		to **sql.Stmt
		q  string
	}{
		{&l.begin, "BEGIN IMMEDIATE"},
		{&l.commit, "COMMIT"},
		{&l.head, bench.BareHead},
		{&l.release, bench.BareRelease},
		{&l.message, `INSERT INTO msg (app, id, state, ended, ends, pos, end_pos, eval_pos, by_alias, devices, unknown, first_n,
			priority, collapse_key, ordering_key, ttl, accepted, due, audience, body, crc, form, target, target_crc)
			VALUES (?, ?, ?, 0, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&l.to, to},
	} {
		*p.to, err = l.conn.PrepareContext(ctx, p.q)
		must(b, err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		l.loop()
	}()
	b.Cleanup(func() {
		close(l.rows)
		<-stopped
		must(b, l.conn.Close())
		must(b, db.Close())
	})
	return l
}

// put hands a row over and waits until it is durable.
func (l *bareLoop) put(i int, to *audienceOf) error {
	r := &bareRow{i, to, make(chan error, 1)}
	l.rows <- r
	return <-r.done
}

func (l *bareLoop) loop() {
	group := make([]*bareRow, 0, bareGroup)
	for r := range l.rows {
		group = append(group[:0], r)
		for more := true; more && len(group) < bareGroup; {
			select {
			case r, more = <-l.rows:
				if more {
					group = append(group, r)
				}
			default:
				more = false
			}
		}
		err := l.write(group)
		for _, r := range group {
			r.done <- err
		}
	}
}

func (l *bareLoop) write(group []*bareRow) error {
	ctx := context.Background()
	if _, err := l.begin.ExecContext(ctx); err != nil {
		return err
	}
	now := time.Now()
	last := 0
	for _, r := range group {
		last = max(last, r.i)
		if err := l.row(ctx, r, now); err != nil {
			return err
		}
	}
	// Beyond those of the devices, which were seeded with a position each.
	if _, err := l.head.ExecContext(ctx, 10*commitDevices+last, last, 1); err != nil {
		return err
	}
	_, err := l.commit.ExecContext(ctx)
	return err
}

func (l *bareLoop) row(ctx context.Context, r *bareRow, now time.Time) error {
	pos, at := 10*commitDevices+r.i, now.UnixMilli()
	id := at<<22 + int64(r.i)
	if _, err := l.release.ExecContext(ctx, 1, pos, "message", id, at); err != nil {
		return err
	}
	form, devices := 1, 1
	var err error
	if l.broadcast {
		form, devices = 2, commitDevices
		_, err = l.to.ExecContext(ctx, 1, pos, id)
	} else {
		_, err = l.to.ExecContext(ctx, 1, r.i*7919%commitDevices, pos, r.i, id)
	}
	if err != nil {
		return err
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	_, err = l.message.ExecContext(ctx, 1, id, "sending", at+86_400_000, pos, pos, 0, devices, 0, r.i, "normal", "", "", 86_400_000,
		at, at, string(r.to.json), l.body,
		int64(crc32.Checksum(l.body, table)), form, r.to.target, int64(crc32.Checksum(r.to.target, table)))
	return err
}
