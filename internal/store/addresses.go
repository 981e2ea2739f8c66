package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// keptInvalid is how many addresses of one owner and kind are kept that are not
// valid any more, so that it can be seen what became of them.
const keptInvalid = 5

// maxReason is how long the reason of an invalid address is at most, in bytes.
const maxReason = 200

// Why addresses become invalid here. Vendors and callers have other reasons.
const (
	addressReplaced = "replaced"       // its owner registered another one of that kind
	addressMoved    = "moved"          // somebody else registered it
	addressRemoved  = "removed"        // its owner took it away
	addressOrphaned = "device removed" // without a word about itself
)

const addressColumns = "ord, kind, environment, token, crc, created, updated, invalid, reason"

// selectAddresses reads a range of the table as it lies.
const selectAddresses = "SELECT " + addressColumns + ` FROM address
	WHERE app = ? AND owner = ? AND kind = ? AND environment = ? AND ord BETWEEN ? AND ? AND invalid = 0 ORDER BY ord LIMIT ? + 0`

// ownerNumber is how an owner stands in the record.
func ownerNumber(o record.Owner) int64 { return flag(o == record.OwnerRecipient) }

// hashOf is by what a token is found, which is too long for a key.
func hashOf(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// SetAddress registers an address at its owner; not_found if there is none. The
// one of that kind that it had is replaced. Whoever else had this one has it no
// more, unless it is a chat, in which several people may be.
func (db *DB) SetAddress(ctx context.Context, a record.Address) error {
	app, err := db.apps.id(a.App)
	if err != nil {
		return err
	}
	lost := false
	err = db.write(ctx, func(t *tx) error {
		var one int64
		q, none := "SELECT 1 FROM device WHERE app = ? AND ord = ?", noDevice()
		if a.Owner == record.OwnerRecipient {
			q, none = "SELECT 1 FROM recipient WHERE app = ? AND ord = ?", noRecipient()
		}
		there, err := t.row(q, []any{app, int64(a.Ord)}, &one)
		if err == nil && !there {
			err = none
		}
		if err != nil {
			return err
		}
		lost, err = t.setAddress(app, a)
		return err
	})
	db.kinds.noted(app, a.Owner, lost || err != nil, a)
	return err
}

func noRecipient() error {
	return notFound("recipient", "Bind a device to the alias first, or register an address for it.")
}

// setAddresses is for a device that is written in the same commit. One without a
// token is taken away. It tells whether there may be none left of the kinds and
// environments of some that were there.
func (t *tx) setAddresses(app int64, ord herald.Ordinal, list []record.Address) (lost bool, err error) {
	for _, a := range list {
		a.Owner, a.Ord = record.OwnerDevice, ord
		var gone bool
		if a.Token == "" {
			gone, err = t.endAddresses(app, a.Owner, ord, a.Kind, addressRemoved, t.db.cfg.Now(), anyAddress)
		} else {
			gone, err = t.setAddress(app, a)
		}
		if err != nil {
			return true, err
		}
		lost = lost || gone
	}
	return lost, nil
}

// setAddress writes a valid address, and tells whether there may be none left of
// the environment of the one that it replaces.
func (t *tx) setAddress(app int64, a record.Address) (lost bool, err error) {
	now, owner, hash := millis(t.db.cfg.Now()), ownerNumber(a.Owner), hashOf(a.Token)
	if !a.Updated.IsZero() {
		now = millis(a.Updated)
	}
	held, err := t.addressRows(app, owner, a.Ord, a.Kind)
	if err != nil {
		return false, err
	}
	known := false
	for _, r := range held {
		if r.environment == a.Environment && bytes.Equal(r.hash, hash) {
			known = true
			continue
		}
		if r.invalid != 0 {
			continue
		}
		lost = lost || r.environment != a.Environment
		if err := t.invalidate(app, owner, a.Ord, r, addressReplaced, now); err != nil {
			return false, err
		}
	}
	if a.Kind != record.KindChat {
		if err := t.moveAddress(app, owner, a, hash, now); err != nil {
			return false, err
		}
	}
	key := []any{app, owner, a.Kind, a.Environment, int64(a.Ord), hash}
	if known {
		_, err = t.execAside(`UPDATE address SET token = ?, crc = ?, updated = ?, invalid = 0, reason = ''
			WHERE app = ? AND owner = ? AND kind = ? AND environment = ? AND ord = ? AND hash = ?`,
			append([]any{[]byte(a.Token), checksum([]byte(a.Token)), now}, key...)...)
	} else {
		_, err = t.execAside(`INSERT INTO address (app, owner, kind, environment, ord, hash, token, crc, created, updated, invalid, reason)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '')`, append(key, []byte(a.Token), checksum([]byte(a.Token)), now, now)...)
	}
	if err != nil || len(held) < keptInvalid {
		return lost, err
	}
	return lost, t.trimAddresses(app, owner, a.Ord, a.Kind)
}

// moveAddress ends an address at whoever else has it.
func (t *tx) moveAddress(app, owner int64, a record.Address, hash []byte, now int64) error {
	var at []herald.Ordinal
	if err := scan(context.Background(), t, `SELECT ord FROM address INDEXED BY address_token
		WHERE app = ? AND owner = ? AND invalid = 0 AND kind = ? AND environment = ? AND hash = ? AND ord <> ?`,
		[]any{app, owner, a.Kind, a.Environment, hash, int64(a.Ord)}, func(r *sql.Rows) error {
			var o herald.Ordinal
			err := r.Scan(&o)
			at = append(at, o)
			return err
		}); err != nil {
		return err
	}
	for _, o := range at {
		r := addressRow{kind: a.Kind, environment: a.Environment, hash: hash}
		if err := t.invalidate(app, owner, o, r, addressMoved, now); err != nil {
			return err
		}
		if err := t.trimAddresses(app, owner, o, a.Kind); err != nil {
			return err
		}
	}
	return nil
}

// addressRow is what a commit needs to know of an address.
type addressRow struct {
	kind, environment string
	hash              []byte
	updated, invalid  int64
}

// addressRows reads the addresses of an owner, of one kind or (empty) of all.
func (t *tx) addressRows(app, owner int64, ord herald.Ordinal, kind string) (out []addressRow, err error) {
	q, args := "SELECT kind, environment, hash, updated, invalid FROM address INDEXED BY address_of WHERE app = ? AND owner = ? AND ord = ?", []any{app, owner, int64(ord)}
	if kind != "" {
		q, args = q+" AND kind = ?", append(args, kind)
	}
	err = scan(context.Background(), t, q, args, func(r *sql.Rows) error {
		var v addressRow
		err := r.Scan(&v.kind, &v.environment, &v.hash, &v.updated, &v.invalid)
		out = append(out, v)
		return err
	})
	return out, err
}

func (t *tx) invalidate(app, owner int64, ord herald.Ordinal, r addressRow, reason string, at int64) error {
	_, err := t.execAside(`UPDATE address SET invalid = ?, reason = ?
		WHERE app = ? AND owner = ? AND kind = ? AND environment = ? AND ord = ? AND hash = ? AND invalid = 0`,
		max(at, 1), shortened(reason), app, owner, r.kind, r.environment, int64(ord), r.hash)
	return err
}

// shortened keeps a reason within maxReason, in whole characters.
func shortened(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}

// trimAddresses forgets all but the newest addresses of an owner and kind that
// are not valid.
func (t *tx) trimAddresses(app, owner int64, ord herald.Ordinal, kind string) error {
	held, err := t.addressRows(app, owner, ord, kind)
	if err != nil {
		return err
	}
	held = slices.DeleteFunc(held, func(r addressRow) bool { return r.invalid == 0 })
	if len(held) <= keptInvalid {
		return nil
	}
	slices.SortFunc(held, func(a, b addressRow) int {
		return cmp.Or(cmp.Compare(b.invalid, a.invalid), cmp.Compare(b.updated, a.updated))
	})
	for _, r := range held[keptInvalid:] {
		if _, err := t.execAside("DELETE FROM address WHERE app = ? AND owner = ? AND kind = ? AND environment = ? AND ord = ? AND hash = ?",
			app, owner, r.kind, r.environment, int64(ord), r.hash); err != nil {
			return err
		}
	}
	return nil
}

// endAddresses makes those of the valid addresses of an owner and kind invalid
// that are meant, and tells whether there were any.
func (t *tx) endAddresses(app int64, o record.Owner, ord herald.Ordinal, kind, reason string, at time.Time, meant func(addressRow) bool) (found bool, err error) {
	owner := ownerNumber(o)
	held, err := t.addressRows(app, owner, ord, kind)
	if err != nil {
		return false, err
	}
	for _, r := range held {
		if r.invalid != 0 || !meant(r) {
			continue
		}
		found = true
		if err := t.invalidate(app, owner, ord, r, reason, millis(at)); err != nil {
			return false, err
		}
	}
	if !found {
		return false, nil
	}
	return true, t.trimAddresses(app, owner, ord, kind)
}

func anyAddress(addressRow) bool { return true }

// DeleteAddress takes the address of a kind away from its owner; not_found if it
// has none.
func (db *DB) DeleteAddress(ctx context.Context, app herald.AppKey, owner record.Owner, ord herald.Ordinal, kind string) error {
	a, err := db.apps.id(app)
	if err != nil {
		return err
	}
	err = db.write(ctx, func(t *tx) error {
		found, err := t.endAddresses(a, owner, ord, kind, addressRemoved, t.db.cfg.Now(), anyAddress)
		if err == nil && !found {
			err = notFound("address", "Read the addresses first: there may be none of that kind any more.")
		}
		return err
	})
	db.kinds.forget(a, owner)
	return err
}

// InvalidateAddress makes an address invalid, for a reason that a vendor gave,
// if its owner still has that token and, where a time is given, has not
// registered it after that.
func (db *DB) InvalidateAddress(ctx context.Context, a record.Address, reason string, at, since time.Time) error {
	app, err := db.apps.id(a.App)
	if err != nil {
		return err
	}
	hash := hashOf(a.Token)
	err = db.write(ctx, func(t *tx) error {
		_, err := t.endAddresses(app, a.Owner, a.Ord, a.Kind, reason, at, func(r addressRow) bool {
			same := r.environment == a.Environment && bytes.Equal(r.hash, hash)
			return same && (since.IsZero() || r.updated <= millis(since))
		})
		return err
	})
	db.kinds.forget(app, a.Owner)
	return err
}

// orphanAddresses makes the addresses of a device that is removed invalid, and
// forgets the tokens, as all that the device said. Most devices have none.
func (t *tx) orphanAddresses(app int64, ord herald.Ordinal) error {
	n, err := t.execAside("UPDATE address SET token = ?, crc = 0 WHERE app = ? AND owner = 0 AND ord = ?", []byte{}, app, int64(ord))
	if err != nil || n == 0 {
		return err
	}
	_, err = t.execAside("UPDATE address SET invalid = ?, reason = ? WHERE app = ? AND owner = 0 AND ord = ? AND invalid = 0",
		max(1, millis(t.db.cfg.Now())), addressOrphaned, app, int64(ord))
	return err
}

// eraseAddresses deletes all addresses of an owner.
func (t *tx) eraseAddresses(app int64, owner record.Owner, ord int64) error {
	_, err := t.execAside("DELETE FROM address WHERE app = ? AND owner = ? AND ord = ?", app, ownerNumber(owner), ord)
	return err
}

// scanAddress reads addressColumns.
func scanAddress(app herald.AppKey, owner record.Owner, r *sql.Rows) (record.Address, error) {
	a := record.Address{App: app, Owner: owner}
	var b sql.RawBytes
	var crc, created, updated, invalid int64
	if err := r.Scan(&a.Ord, &a.Kind, &a.Environment, &b, &crc, &created, &updated, &invalid, &a.Reason); err != nil {
		return a, wrap(err)
	}
	a.Token, a.Created, a.Updated, a.Invalid = string(b), fromMillis(created), fromMillis(updated), fromMillis(invalid)
	return a, verify(b, crc, func() string { return fmt.Sprintf("address %s, %s %d, kind %s", app, owner, a.Ord, a.Kind) })
}

// Addresses lists the addresses of an owner, newest first, also those that are
// not valid any more.
func (db *DB) Addresses(ctx context.Context, app herald.AppKey, owner record.Owner, ord herald.Ordinal) ([]record.Address, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	var out []record.Address
	err = scan(ctx, &db.readers, "SELECT "+addressColumns+` FROM address INDEXED BY address_of
		WHERE app = ? AND owner = ? AND ord = ? ORDER BY updated DESC, invalid, kind, environment, hash`,
		[]any{a, ownerNumber(owner), int64(ord)}, func(r *sql.Rows) error {
			v, err := scanAddress(app, owner, r)
			if err != nil {
				return db.spareDamaged(err)
			}
			out = append(out, v)
			return nil
		})
	return out, err
}

// AddressesIn lists the valid addresses of a kind and environment whose owners
// have ordinals from one to another, ascending, at most limit. Fewer are all of
// them.
func (db *DB) AddressesIn(ctx context.Context, app herald.AppKey, owner record.Owner, kind, environment string, from, to herald.Ordinal, limit int) ([]record.Address, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	out := []record.Address(nil)
	for next := int64(from); next <= int64(to) && len(out) < limit; {
		rows, wanted := 0, limit-len(out)
		if err := scan(ctx, &db.readers, selectAddresses,
			[]any{a, ownerNumber(owner), kind, environment, next, int64(to), wanted}, func(r *sql.Rows) error {
				v, err := scanAddress(app, owner, r)
				rows, next = rows+1, int64(v.Ord)+1
				if err != nil {
					return db.spareDamaged(err)
				}
				out = append(out, v)
				return nil
			}); err != nil {
			return nil, err
		}
		if rows < wanted { // else some may be damaged
			break
		}
	}
	return out, nil
}
