package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// versionsKept is how long a version that was replaced is kept: a message that
// was evaluated with it waits for 30 days at most, and is kept for 30 more.
const versionsKept = herald.CountRetention

// maxVersions bounds the versions of one segment within that time.
const maxVersions = 1000

const segmentColumns = "s.name, s.pos, s.audience, s.crc, s.created, s.updated"

func scanSegment(r interface{ Scan(...any) error }) (s record.AudienceSegment, err error) {
	var text []byte
	var crc, created, updated int64
	if err := r.Scan(&s.Name, &s.Pos, &text, &crc, &created, &updated); err != nil {
		return s, err
	}
	s.Created, s.Updated = fromMillis(created), fromMillis(updated)
	if text == nil {
		return s, nil
	}
	row := func() string { return fmt.Sprintf("segment %q, position %d", s.Name, s.Pos) }
	if err := verify(text, crc, row); err != nil {
		return s, err
	}
	s.Audience = &herald.Audience{}
	if err := json.Unmarshal(text, s.Audience); err != nil {
		return s, damaged(row(), err)
	}
	return s, nil
}

func noSegment() error {
	return notFound("segment", "GET /v1/segments lists the segments of the app.")
}

// PutAudienceSegment writes the next version of a segment, or that it is
// deleted, at the next log position, which it gives.
func (db *DB) PutAudienceSegment(ctx context.Context, app herald.AppKey, s record.AudienceSegment) (herald.Pos, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return 0, err
	}
	var text []byte
	if s.Audience != nil {
		if text, err = json.Marshal(s.Audience); err != nil {
			return 0, fmt.Errorf("store: writing a segment: %w", err)
		}
	}
	var pos herald.Pos
	err = db.write(ctx, func(t *tx) error {
		var n int64
		if _, err := t.row("SELECT COUNT(*) FROM segment WHERE app = ? AND name = ?", []any{a, s.Name}, &n); err != nil {
			return err
		}
		if n >= maxVersions {
			return herald.Errorf(herald.CodeLimitReached, "Put what changes often into a tag, and name the tag in the segment.",
				"the segment was changed %d times within %d days", maxVersions, versionsKept/(24*time.Hour))
		}
		h, err := t.head(a)
		if err != nil {
			return err
		}
		pos = t.next(h)
		if err := t.logSets(a, h, pos, nil); err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO segment (app, name, pos, audience, crc, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?)",
			a, s.Name, int64(pos), text, checksum(text), millis(s.Created), millis(s.Updated)); err != nil {
			return err
		}
		return t.forgetSegments(a, s.Updated.Add(-versionsKept))
	})
	return pos, err
}

// forgetSegments deletes the versions that were replaced before a time, and
// what tells of segments that were deleted before it.
func (t *tx) forgetSegments(app int64, before time.Time) error {
	rows, err := t.QueryContext(context.Background(), `SELECT s.name, s.pos FROM segment s WHERE s.app = ? AND s.updated < ? AND EXISTS
		(SELECT 1 FROM segment n WHERE n.app = s.app AND n.name = s.name AND n.pos > s.pos AND n.updated < ?)`, app, millis(before), millis(before))
	if err != nil {
		return err
	}
	defer rows.Close()
	type version struct {
		name string
		pos  int64
	}
	var old []version
	for rows.Next() {
		var v version
		if err := rows.Scan(&v.name, &v.pos); err != nil {
			return err
		}
		old = append(old, v)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, v := range old {
		if _, err := t.exec("DELETE FROM segment WHERE app = ? AND name = ? AND pos = ?", app, v.name, v.pos); err != nil {
			return err
		}
	}
	_, err = t.exec(`DELETE FROM segment WHERE app = ? AND updated < ? AND audience IS NULL`, app, millis(before))
	return err
}

// AudienceSegment finds a segment as it was at a log position; not_found if
// there was none.
func (db *DB) AudienceSegment(ctx context.Context, app herald.AppKey, name string, at herald.Pos) (record.AudienceSegment, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return record.AudienceSegment{}, err
	}
	s, err := scanSegment(db.readers.QueryRowContext(ctx, "SELECT "+segmentColumns+` FROM segment s
		WHERE s.app = ? AND s.name = ? AND s.pos <= ? ORDER BY s.pos DESC LIMIT 1`, a, name, int64(at)))
	if ok, err := found(err); err != nil {
		return s, wrap(err)
	} else if !ok || s.Audience == nil {
		return s, noSegment()
	}
	return s, nil
}

// AudienceSegments lists the segments that there are now and whose names come
// after one, in byte order, at most limit.
func (db *DB) AudienceSegments(ctx context.Context, app herald.AppKey, after string, limit int) ([]record.AudienceSegment, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.AudienceSegment
	err = scan(ctx, &db.readers, "SELECT "+segmentColumns+` FROM segment s WHERE s.app = ? AND s.name > ? AND s.audience IS NOT NULL
		AND s.pos = (SELECT MAX(n.pos) FROM segment n WHERE n.app = s.app AND n.name = s.name) ORDER BY s.name LIMIT ?`,
		[]any{a, after, limit}, func(r *sql.Rows) error {
			s, err := scanSegment(r)
			out = append(out, s)
			return wrap(err)
		})
	return out, err
}
