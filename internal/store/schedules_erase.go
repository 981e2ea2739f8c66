package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// eraseSchedules deletes the schedules of an app whose messages are for what is
// erased alone, and takes its names out of the others; with them the answers to
// the calls that made them, which show what they send.
func (db *DB) eraseSchedules(ctx context.Context, app int64, r *record.Erasure) error {
	for after := herald.ScheduleID(0); ; {
		list, _, err := db.Schedules(ctx, r.App, record.ScheduleFilter{After: after, Limit: scannedForErase})
		if err != nil {
			return err
		}
		for i := range list {
			after = list[i].ID
			for s, again := list[i], true; again; {
				if again, err = db.eraseSchedule(ctx, app, r, &s); again && err == nil {
					s, err = db.Schedule(ctx, r.App, after)
				}
				if err != nil {
					break
				}
			}
			if err != nil && herald.CodeOf(err) != herald.CodeNotFound {
				return err
			}
		}
		if len(list) < scannedForErase {
			return nil
		}
	}
}

// eraseSchedule is eraseSchedules for one; again says that it was changed
// meanwhile, and has to be read once more.
func (db *DB) eraseSchedule(ctx context.Context, app int64, r *record.Erasure, s *record.Schedule) (again bool, err error) {
	members := map[string]json.RawMessage{}
	var who herald.Audience
	if err := json.Unmarshal(s.Message, &members); err != nil {
		return false, damaged("schedule "+s.ID.String()+" (message)", err)
	}
	if err := json.Unmarshal(members["audience"], &who); err != nil {
		return false, damaged("schedule "+s.ID.String()+" (audience)", err)
	}
	if !r.Redact(&who) {
		return false, nil
	}
	if members["audience"], err = json.Marshal(who); err == nil {
		s.Message, err = json.Marshal(members)
	}
	if err != nil {
		return false, fmt.Errorf("store: writing the message of a schedule: %w", err)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return false, fmt.Errorf("store: writing a schedule: %w", err)
	}
	keys, err := db.answersOf(ctx, app, hit{id: s.ID, accepted: s.Created})
	if err != nil {
		return false, err
	}
	err = db.write(ctx, func(t *tx) error {
		return t.securely(func() error {
			for _, k := range keys {
				if _, err := t.exec("DELETE FROM idempotency WHERE app = ? AND idem_key = ?", app, k); err != nil {
					return err
				}
			}
			if r.Alone(&who) {
				return t.deleteSchedule(app, s.ID)
			}
			n, err := t.exec("UPDATE schedule SET version = version + 1, data = ?, crc = ? WHERE app = ? AND id = ? AND version = ?", b, checksum(b), app, int64(s.ID), s.Version)
			again = n == 0
			return err
		})
	})
	return again, err
}
