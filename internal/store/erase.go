package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/dialect"
)

// scannedForErase is how many messages an erasure looks at in one query.
const scannedForErase = 500

// answeredWithin is how long before its message was accepted the time of an
// idempotent answer may count from.
const answeredWithin = time.Minute

// erasing is an erasure under way.
type erasing struct {
	record.Erasure
	app     int64
	emptied []herald.MessageID // whose content went
	blurred []hit              // whose audience names what is erased
	traces  []trace
}

// hit is a message that holds something of what is erased.
type hit struct {
	id       herald.MessageID
	audience []byte // as it is from now on
	collapse string
	accepted time.Time
}

// trace is where the history of a delivery is kept.
type trace struct {
	msg   herald.MessageID
	seg   int64 // msg of receipt_seg: 0 for direct messages
	index uint64
}

// Erase forgets a device: contents that were for it alone, its names in
// audiences, answers to idempotent calls that made those messages and, when it
// is gone, its history, its entries, and an alias that nobody bears any more. It
// gives the messages that it changed. It may be repeated, and is done in slices
// that hold up nobody: all messages of the app are looked at, because nothing
// leads from a device to those that have ended.
func (db *DB) Erase(ctx context.Context, r record.Erasure) ([]herald.MessageID, error) {
	a, err := db.apps.id(r.App)
	if err != nil {
		return nil, err
	}
	var changed []herald.MessageID
	for before := int64(0); ; {
		e := &erasing{Erasure: r, app: a}
		var empty []hit
		last, seen, err := db.findErased(ctx, e, before, &empty)
		if err != nil {
			return changed, err
		}
		if err := db.eraseHits(ctx, e, empty); err != nil {
			return changed, err
		}
		changed = append(append(changed, e.emptied...), ids(e.blurred)...)
		if before = last; seen < scannedForErase {
			break
		}
	}
	if err := db.eraseSchedules(ctx, a, &r); err != nil || !r.Gone {
		return changed, err
	}
	if err := db.eraseTopics(ctx, a, r.ID); err != nil {
		return changed, err
	}
	err = db.write(ctx, func(t *tx) error {
		return t.securely(func() error {
			for _, table := range []string{"entry", "entry_held"} {
				if _, err := t.exec("DELETE FROM "+table+" WHERE app = ? AND ord = ?", a, int64(r.Ord)); err != nil {
					return err
				}
			}
			if err := t.eraseAttempts(a, record.OwnerDevice, int64(r.Ord)); err != nil {
				return err
			}
			if err := t.eraseWebhookLog(a, r.Ord); err != nil {
				return err
			}
			if err := t.eraseAudit(a, r); err != nil {
				return err
			}
			if err := t.eraseRetained(a, r.ID); err != nil {
				return err
			}
			if err := t.eraseAddresses(a, record.OwnerDevice, int64(r.Ord)); err != nil {
				return err
			}
			if _, err := t.exec("DELETE FROM erasing WHERE app = ? AND id = ?", a, string(r.ID)); err != nil || r.Alias == "" {
				return err
			}
			return t.dropRecipient(a, r.Alias)
		})
	})
	db.kinds.forget(a, record.OwnerDevice)
	db.kinds.forget(a, record.OwnerRecipient)
	return changed, err
}

func ids(list []hit) (out []herald.MessageID) {
	for _, h := range list {
		out = append(out, h.id)
	}
	return out
}

// findErased looks at some messages, newest first, for what is to be erased.
func (db *DB) findErased(ctx context.Context, e *erasing, before int64, empty *[]hit) (last int64, seen int, err error) {
	where, args := "app = ?", []any{formDirect, formDirect, e.app}
	if before != 0 {
		where += " AND id < ?"
		args = append(args, before)
	}
	type shared struct {
		hit
		others []herald.Ordinal
	}
	var several []shared
	var groups []herald.MessageID
	err = scan(ctx, &db.readers, "SELECT id, form, "+directTarget+", first_n, audience, collapse_key, accepted FROM msg m WHERE "+where+" ORDER BY id DESC LIMIT ?",
		append(args, scannedForErase), func(rows *sql.Rows) error {
			var h hit
			var form int
			var target, audience []byte
			var crc, firstN, accepted int64
			if err := rows.Scan(&h.id, &form, &target, &crc, &firstN, &audience, &h.collapse, &accepted); err != nil {
				return wrap(err)
			}
			seen, last, h.accepted = seen+1, int64(h.id), fromMillis(accepted)
			who, named, err := e.redact(&h, audience)
			if err != nil {
				return db.spareDamaged(err)
			}
			m := &record.Message{}
			if form == formDirect {
				m.ID, m.App = h.id, e.App
				if err := readTarget(m, form, target, crc); err != nil {
					return db.spareDamaged(err)
				}
			}
			at, direct := slices.BinarySearch(m.Direct, e.Ord)
			switch {
			case direct:
				e.traces = append(e.traces, trace{h.id, 0, (uint64(firstN) + uint64(at)) >> 10})
				if len(m.Direct) == 1 {
					*empty = append(*empty, h)
					return nil
				}
				several = append(several, shared{h, m.Direct})
			case form == formGroup || form == formChunks:
				groups = append(groups, h.id)
			case named && len(m.Direct) == 0 && e.Alone(&who):
				*empty = append(*empty, h) // not due yet, or nobody was found
				return nil
			}
			if named {
				e.blurred = append(e.blurred, h)
			}
			return nil
		})
	if err != nil {
		return last, seen, err
	}
	if err := db.groupTraces(ctx, e, groups); err != nil {
		return last, seen, err
	}
	// One that was for several devices is for nobody if the others are gone.
	for _, s := range several {
		alive, err := db.alive(ctx, e, s.others)
		if err != nil {
			return last, seen, err
		}
		if !alive {
			*empty = append(*empty, s.hit)
		}
	}
	return last, seen, nil
}

// redact takes what is erased out of an audience, and tells whether it was named.
// Most audiences name nobody, and are not read: those of tags, or all.
func (e *erasing) redact(h *hit, audience []byte) (who herald.Audience, named bool, err error) {
	if !bytes.Contains(audience, []byte(`"registration_ids"`)) && !bytes.Contains(audience, []byte(`"aliases"`)) {
		return who, false, nil
	}
	if err := parseAudience(audience, &who); err != nil {
		return who, false, damaged(fmt.Sprintf("msg %s %d (audience)", e.App, h.id), err)
	}
	if !e.Redact(&who) {
		return who, false, nil
	}
	if h.audience, err = json.Marshal(who); err != nil {
		return who, true, fmt.Errorf("store: writing an audience: %w", err)
	}
	return who, true, nil
}

// groupTraces notes where group messages have a history in the slab of a device
// that is gone.
func (db *DB) groupTraces(ctx context.Context, e *erasing, groups []herald.MessageID) error {
	if !e.Gone {
		return nil
	}
	slab := uint64(e.Ord) >> 16
	for part := range slices.Chunk(groups, inSlice) {
		err := scan(ctx, &db.readers, "SELECT DISTINCT msg FROM receipt_seg WHERE app = ? AND slab = ? AND msg IN ("+in(padded(len(part)))+")", idArgs(part, e.app, int64(slab)), func(r *sql.Rows) error {
			var id herald.MessageID
			err := r.Scan(&id)
			e.traces = append(e.traces, trace{id, int64(id), slab})
			return wrap(err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// alive reports whether there is a device among ordinals, other than the one
// that is erased.
func (db *DB) alive(ctx context.Context, e *erasing, ords []herald.Ordinal) (bool, error) {
	for part := range slices.Chunk(ords, inSlice) {
		args := []any{e.app, int64(e.Ord)}
		for _, o := range part {
			args = append(args, int64(o))
		}
		var n int64
		err := db.readers.QueryRowContext(ctx, "SELECT COUNT(*) FROM device WHERE app = ? AND ord <> ? AND ord IN ("+in(len(part))+")", args...).Scan(&n)
		if err != nil || n > 0 {
			return n > 0, wrap(err)
		}
	}
	return false, nil
}

// eraseHits changes the messages that were found.
func (db *DB) eraseHits(ctx context.Context, e *erasing, empty []hit) error {
	nobody, err := json.Marshal(herald.Audience{RegistrationIDs: []herald.RegistrationID{record.ErasedID}})
	if err != nil {
		return fmt.Errorf("store: writing an audience: %w", err)
	}
	for _, h := range empty {
		keys, err := db.answersOf(ctx, e.app, h)
		if err != nil {
			return err
		}
		if err := db.write(ctx, func(t *tx) error {
			return t.securely(func() error { return t.empty(e.app, h, keys, nobody) })
		}); err != nil {
			return err
		}
		e.emptied = append(e.emptied, h.id)
	}
	for _, h := range e.blurred {
		if err := db.write(ctx, func(t *tx) error {
			return t.securely(func() error {
				_, err := t.exec("UPDATE msg SET audience = ? WHERE app = ? AND id = ?", string(h.audience), e.app, int64(h.id))
				return err
			})
		}); err != nil {
			return err
		}
	}
	if !e.Gone {
		return nil
	}
	for _, at := range e.traces {
		if err := db.eraseTrace(ctx, e, at); err != nil {
			return err
		}
	}
	return nil
}

// empty takes out of a message what it says, to whom, and which call made it.
func (t *tx) empty(app int64, h hit, keys []string, nobody []byte) error {
	const body = "{}"
	if _, err := t.exec("UPDATE msg SET body = ?, crc = ?, audience = ?, collapse_key = '', ordering_key = '', facts = NULL, facts_crc = 0 WHERE app = ? AND id = ?",
		[]byte(body), checksum([]byte(body)), string(nobody), app, int64(h.id)); err != nil {
		return err
	}
	if err := t.stillPlanned(app, h.id); err != nil {
		return err
	}
	if h.collapse != "" {
		if _, err := t.exec("DELETE FROM collapse WHERE app = ? AND collapse_key = ? AND msg = ?", app, h.collapse, int64(h.id)); err != nil {
			return err
		}
	}
	for _, k := range keys {
		if _, err := t.exec("DELETE FROM idempotency WHERE app = ? AND idem_key = ?", app, k); err != nil {
			return err
		}
	}
	return nil
}

// answersOf finds the idempotency keys of the calls that made a message. Nothing
// leads there but the time.
func (db *DB) answersOf(ctx context.Context, app int64, h hit) (keys []string, err error) {
	until := h.accepted.Add(herald.IdempotencyTTL)
	named := `"id":"` + h.id.String() + `"`
	err = scan(ctx, &db.readers, "SELECT app, idem_key, answer FROM idempotency WHERE expires BETWEEN ? AND ?",
		[]any{millis(until.Add(-answeredWithin)), millis(until.Add(answeredWithin))}, func(r *sql.Rows) error {
			var of int64
			var key, answer string
			if err := r.Scan(&of, &key, &answer); err != nil {
				return wrap(err)
			}
			if of == app && strings.Contains(answer, named) {
				keys = append(keys, key)
			}
			return nil
		})
	return keys, err
}

// eraseTrace takes a device out of the history of a message. The counts do not
// change: they are those of the sets.
func (db *DB) eraseTrace(ctx context.Context, e *erasing, at trace) error {
	list, err := db.Segments(ctx, e.App, herald.MessageID(at.seg), at.index)
	if err := db.spareDamaged(err); err != nil {
		return err
	}
	for _, s := range list {
		found := false
		if err := record.WalkEvents(s.Batch, func(v *record.Event, ords []uint32) {
			found = found || v.Msg == at.msg && (v.Set.Contains(e.Ord) || slices.Contains(ords, uint32(e.Ord)))
		}); err == nil && !found {
			continue // as almost all
		}
		events, err := record.ParseEvents(s.Batch)
		if err != nil {
			return damaged(fmt.Sprintf("receipt_seg %s, message %d, part %d, from %d", e.App, s.Msg, s.Index, s.From), err)
		}
		left := slices.DeleteFunc(events, func(v record.Event) bool {
			return v.Msg == at.msg && v.Set.Remove(e.Ord) && v.Set.Empty()
		})
		b, err := record.AppendEvents(nil, left)
		if err != nil {
			return fmt.Errorf("store: writing receipts: %w", err)
		}
		if err := db.write(ctx, func(t *tx) error {
			return t.securely(func() error {
				_, err := t.exec("UPDATE receipt_seg SET batch = ?, crc = ? WHERE app = ? AND msg = ? AND slab = ? AND from_n = ?",
					b, checksum(b), e.app, at.seg, int64(at.index), int64(s.From))
				return err
			})
		}); err != nil {
			return err
		}
	}
	return nil
}

// securely runs changes after which the database overwrites what they free, if
// it can: SQLite, also on pages that come free as a whole. Otherwise it does
// that only within pages, which costs no writes.
func (t *tx) securely(change func() error) error {
	if err := t.w.say(dialect.ScrubOn); err != nil {
		return err
	}
	err := change()
	if back := t.w.say(dialect.ScrubOff); err == nil {
		err = back
	}
	return err
}
