package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// aside begins the state of a row of direct_chunk that was set aside because it
// is damaged: what follows is the number of the delivery that came next then,
// and the state. The row stays as it is, and a new one takes its place.
const aside = "damaged:"

// directChunks walks the chunks of direct messages. One that is damaged does not
// hold up the others: a server without them could not start at all.
func (db *DB) directChunks(ctx context.Context, app herald.AppKey, a int64, each func(record.Chunk) error) error {
	head, err := db.Head(ctx, app)
	if err != nil {
		return err
	}
	var damaged []record.Chunk
	err = scan(ctx, &db.readers, "SELECT state, slice, bits, crc FROM direct_chunk WHERE app = ?", []any{a}, func(r *sql.Rows) error {
		var c record.Chunk
		var state string
		var b sql.RawBytes
		var crc int64
		if err := r.Scan(&state, &c.Index, &b, &crc); err != nil {
			return wrap(err)
		}
		if before, ok := strings.CutPrefix(state, aside); ok {
			number, state, _ := strings.Cut(before, ":")
			c.State, c.Bits = herald.DeliveryState(state), sets.New()
			var err error
			if c.Lost, err = strconv.ParseUint(number, 10, 64); err != nil {
				return fmt.Errorf("store: reading what was set aside: %w", err)
			}
			return each(c)
		}
		c.State = herald.DeliveryState(state)
		var err error
		if c.Bits, err = parseSet(b, crc, func() string { return fmt.Sprintf("direct_chunk %s, state %s, slice %d", app, c.State, c.Index) }); err == nil {
			return each(c)
		}
		if !errors.Is(err, record.ErrDamaged) {
			return err
		}
		db.cfg.Log.Error("store: states of direct messages cannot be read and are set aside. Restore the data folder from a backup to have them back; "+
			"without it their devices may get these messages once more, and their counts are not given",
			"app", app, "state", c.State, "deliveries_from", c.Index<<16, "deliveries_below", min(head.NextN, (c.Index+1)<<16), "error", err)
		c.Bits, c.Lost = sets.New(), head.NextN
		damaged = append(damaged, c)
		return each(c)
	})
	if err != nil || damaged == nil {
		return err
	}
	return db.write(ctx, func(t *tx) error {
		for _, c := range damaged {
			name := aside + strconv.FormatUint(c.Lost, 10) + ":" + string(c.State)
			if _, err := t.exec("DELETE FROM direct_chunk WHERE app = ? AND state = ? AND slice = ?", a, name, int64(c.Index)); err != nil {
				return err
			}
			if _, err := t.exec("UPDATE direct_chunk SET state = ? WHERE app = ? AND state = ? AND slice = ?", name, a, string(c.State), int64(c.Index)); err != nil {
				return err
			}
		}
		return nil
	})
}
