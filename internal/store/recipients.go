package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// recipient gives the number of the recipient of an alias, and makes it if there
// is none.
func (t *tx) recipient(app int64, h *head, alias herald.Alias) (ord int64, created bool, err error) {
	ok, err := t.row("SELECT ord FROM recipient WHERE app = ? AND alias = ?", []any{app, string(alias)}, &ord)
	if ok || err != nil {
		return ord, false, err
	}
	if h.nextRecipient >= maxOrdinals {
		return 0, false, errNoRecipients()
	}
	ord = int64(h.nextRecipient)
	h.nextRecipient++
	h.dirty = true
	t.db.bindings.alias(app, alias)
	_, err = t.exec(putRecipient, app, ord, string(alias), millis(t.db.cfg.Now()))
	return ord, true, err
}

const putRecipient = "INSERT INTO recipient (app, ord, alias, created) VALUES (?, ?, ?, ?)"

func errNoRecipients() error {
	return herald.Errorf(herald.CodeLimitReached, "Make a new app and move to it.", "the app has had %d aliases", uint64(maxOrdinals))
}

// PutRecipient makes the recipient of an alias if there is none, and tells
// whether it did.
func (db *DB) PutRecipient(ctx context.Context, app herald.AppKey, alias herald.Alias) (created bool, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return false, err
	}
	err = db.write(ctx, func(t *tx) error {
		h, err := t.head(a)
		if err != nil {
			return err
		}
		_, created, err = t.recipient(a, h, alias)
		return err
	})
	return created, err
}

// DeleteRecipient removes the recipient of an alias, unless a device is bound to
// it. Its number is never used again.
func (db *DB) DeleteRecipient(ctx context.Context, app herald.AppKey, alias herald.Alias) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	err = db.write(ctx, func(t *tx) error {
		return t.securely(func() error { return t.dropRecipient(a, alias) })
	})
	db.kinds.forget(a, record.OwnerRecipient)
	return err
}

// dropRecipient removes the recipient of an alias with its addresses, and what was
// said with vendors about it, unless a device is bound to it.
func (t *tx) dropRecipient(app int64, alias herald.Alias) error {
	t.db.bindings.alias(app, alias)
	var ord int64
	ok, err := t.row(`SELECT ord FROM recipient WHERE app = ? AND alias = ? AND NOT EXISTS
		(SELECT 1 FROM device d WHERE d.app = recipient.app AND d.recipient = recipient.ord)`, []any{app, string(alias)}, &ord)
	if err != nil || !ok {
		return err
	}
	if err := t.eraseAddresses(app, record.OwnerRecipient, ord); err != nil {
		return err
	}
	if err := t.eraseAttempts(app, record.OwnerRecipient, ord); err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM recipient WHERE app = ? AND ord = ?", app, ord)
	return err
}

// Recipients finds the recipients of aliases; those that nobody has are absent.
func (db *DB) Recipients(ctx context.Context, app herald.AppKey, aliases []herald.Alias) (map[herald.Alias]record.Recipient, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	out := make(map[herald.Alias]record.Recipient, len(aliases))
	for part := range slices.Chunk(aliases, inSlice) {
		args := []any{a}
		for _, n := range part {
			args = append(args, string(n))
		}
		q := fmt.Sprintf("SELECT ord, alias, created FROM recipient WHERE app = ? AND alias IN (%s)", in(len(part)))
		if err := scan(ctx, &db.readers, q, args, func(r *sql.Rows) error {
			var v record.Recipient
			var created int64
			err := r.Scan(&v.Ord, &v.Alias, &created)
			v.Created = fromMillis(created)
			out[v.Alias] = v
			return wrap(err)
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// RecipientsIn gives the recipients of the devices from one ordinal to another,
// of those that have one, by the ordinal of the device.
func (db *DB) RecipientsIn(ctx context.Context, app herald.AppKey, from, to herald.Ordinal) (map[herald.Ordinal]herald.Ordinal, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	out := map[herald.Ordinal]herald.Ordinal{}
	err = scan(ctx, &db.readers, "SELECT ord, recipient FROM device WHERE app = ? AND ord >= ? AND ord <= ? AND recipient IS NOT NULL", []any{a, int64(from), int64(to)}, func(r *sql.Rows) error {
		var device, recipient int64
		err := r.Scan(&device, &recipient)
		out[herald.Ordinal(device)] = herald.Ordinal(recipient)
		return wrap(err)
	})
	return out, err
}

// RecipientNames gives the aliases of recipients by their ordinals.
func (db *DB) RecipientNames(ctx context.Context, app herald.AppKey, ords []herald.Ordinal) (map[herald.Ordinal]herald.Alias, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	out := make(map[herald.Ordinal]herald.Alias, len(ords))
	for part := range slices.Chunk(ords, inSlice) {
		args := []any{a}
		for _, o := range part {
			args = append(args, int64(o))
		}
		if err := scan(ctx, &db.readers, "SELECT ord, alias FROM recipient WHERE app = ? AND ord IN ("+in(len(part))+")", args, func(r *sql.Rows) error {
			var o herald.Ordinal
			var alias herald.Alias
			err := r.Scan(&o, &alias)
			out[o] = alias
			return wrap(err)
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}
