package store

import (
	"context"
	"database/sql"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// MessagesFor lists, newest first, the messages before an ID (0 for the newest)
// that were released and may be for a device: the direct ones that it is in
// the target of, and all group messages. It looks at no more than so many, and
// gives the ID of the last one that it has looked at; 0 if there are no more.
//
// Nothing leads from a device to the messages that have ended (entries lead
// only to what waits), so that this is a scan, in pages that bound it.
func (db *DB) MessagesFor(ctx context.Context, app herald.AppKey, ord herald.Ordinal, before herald.MessageID, look int) (list []*record.Message, last herald.MessageID, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, 0, err
	}
	where, args := "m.app = ?", []any{a}
	if before != 0 {
		where += " AND m.id < ?"
		args = append(args, int64(before))
	}
	seen := 0
	err = scan(ctx, &db.readers, "SELECT "+msgColumns+targetColumns+" FROM msg m WHERE "+where+" ORDER BY m.id DESC LIMIT ?", append(args, look),
		func(r *sql.Rows) error {
			row, err := db.scanMessage(r.Scan, true)
			seen, last = seen+1, row.m.ID
			if err != nil {
				return wrap(db.spareDamaged(err))
			}
			switch {
			case row.m.Pos == 0:
			case row.form == formGroup || row.form == formChunks:
				row.m.Group = record.ImageApart()
				list = append(list, row.m)
			default:
				if err := readTarget(row.m, row.form, row.target, row.targetCRC); err != nil {
					return db.spareDamaged(err)
				}
				if _, ok := slices.BinarySearch(row.m.Direct, ord); ok {
					list = append(list, row.m)
				}
			}
			return nil
		})
	if seen < look {
		last = 0
	}
	return list, last, err
}
