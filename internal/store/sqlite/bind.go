package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// BindDevices changes the aliases of devices in one commit, in the order of the
// list, at one log position. With whole, nothing is changed if one of them finds
// its alias full.
func (db *DB) BindDevices(ctx context.Context, app herald.AppKey, list []record.Binding, whole bool) (out record.Bound, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return out, err
	}
	ids, aliases := make([]string, len(list)), []string{}
	seen := map[herald.Alias]bool{"": true}
	for i, b := range list {
		ids[i] = string(b.ID)
		for _, name := range [2]herald.Alias{b.Alias, b.From} {
			if !seen[name] {
				seen[name] = true
				aliases = append(aliases, string(name))
			}
		}
	}
	err = db.write(ctx, func(t *tx) error {
		h, err := t.head(a)
		if err != nil {
			return err
		}
		p := &bindPlan{list: list, next: h.nextRecipient, out: record.Bound{Changed: sets.New(), Outcomes: make([]record.BindOutcome, len(list))}}
		if err := p.read(t, a, ids, aliases); err != nil {
			return err
		}
		if err := p.make(whole); err != nil {
			return err
		}
		out = p.out
		if p.out.Changed.Empty() {
			return nil
		}
		out.Pos = t.next(h)
		return p.write(t, a, h, out.Pos)
	})
	return out, err
}

// unbound stands for the recipient of a device that has no alias.
const unbound = -1

// bindPlan is what some bindings come to, before anything is written.
type bindPlan struct {
	list    []record.Binding
	next    uint64 // the next number of a recipient
	devices []*bindDevice
	numbers map[herald.Alias]int64 // of the recipients of the aliases that are named
	count   map[int64]int64        // devices of those recipients
	fresh   []herald.Alias         // whose recipients are to be made, by number
	out     record.Bound
}

// bindDevice is a device whose alias is to be changed.
type bindDevice struct {
	ord       int64
	recipient int64
	changed   bool
}

// read finds devices and recipients. Names go in as JSON arrays; see Resolve.
func (p *bindPlan) read(t *tx, app int64, ids, aliases []string) error {
	p.devices = make([]*bindDevice, len(ids))
	byOrd := map[int64]*bindDevice{}
	if err := t.each("SELECT j.key, d.ord, COALESCE(d.recipient, -1) FROM json_each(?) j CROSS JOIN device d ON d.app = ? AND d.id = j.value",
		ids, app, func(scan func(...any) error) error {
			var key int64
			d := &bindDevice{}
			if err := scan(&key, &d.ord, &d.recipient); err != nil {
				return err
			}
			if again := byOrd[d.ord]; again != nil {
				d = again
			}
			byOrd[d.ord], p.devices[key] = d, d
			return nil
		}); err != nil {
		return err
	}
	p.numbers, p.count = map[herald.Alias]int64{"": unbound}, map[int64]int64{}
	return t.each(`SELECT j.key, r.ord, (SELECT COUNT(*) FROM device d WHERE d.app = r.app AND d.recipient = r.ord)
		FROM json_each(?) j CROSS JOIN recipient r ON r.app = ? AND r.alias = j.value`,
		aliases, app, func(scan func(...any) error) error {
			var key, number, devices int64
			if err := scan(&key, &number, &devices); err != nil {
				return err
			}
			p.numbers[herald.Alias(aliases[key])], p.count[number] = number, devices
			return nil
		})
}

// make decides what becomes of each binding.
func (p *bindPlan) make(whole bool) error {
	for i, b := range p.list {
		d := p.devices[i]
		if d == nil {
			p.out.Outcomes[i] = record.BindUnknown
			continue
		}
		to, known := p.numbers[b.Alias]
		from, was := p.numbers[b.From]
		if known && to == d.recipient || b.From != "" && (!was || from != d.recipient) {
			p.out.Outcomes[i] = record.BindUnchanged
			continue
		}
		if b.Alias != "" && p.count[to] >= herald.MaxDevicesByAlias && known {
			if whole {
				return herald.Errorf(herald.CodeLimitReached, "Unbind a device from the alias first, or use a tag.",
					"the alias is bound to %d devices already", p.count[to])
			}
			p.out.Outcomes[i] = record.BindFull
			continue
		}
		if !known {
			if p.next >= maxOrdinals {
				return errNoRecipients()
			}
			to = int64(p.next)
			p.numbers[b.Alias] = to
			p.fresh = append(p.fresh, b.Alias)
			p.next++
		}
		p.count[d.recipient]--
		p.count[to]++
		d.recipient, d.changed = to, true
		p.out.Changed.Add(herald.Ordinal(d.ord))
		p.out.Outcomes[i] = record.BindDone
	}
	return nil
}

// write writes what was decided, device by device in the order of their rows.
func (p *bindPlan) write(t *tx, app int64, h *head, pos herald.Pos) error {
	now := millis(t.db.cfg.Now())
	for i, alias := range p.fresh {
		if _, err := t.exec(putRecipient, app, int64(h.nextRecipient)+int64(i), string(alias), now); err != nil {
			return err
		}
	}
	h.nextRecipient = p.next
	// Those that the devices had before are not known here.
	if err := t.logSets(app, h, pos, nil, ""); err != nil {
		return err
	}
	slices.SortFunc(p.devices, func(x, y *bindDevice) int { return cmp.Compare(x.order(), y.order()) })
	for _, d := range p.devices {
		if d == nil || !d.changed {
			continue
		}
		d.changed = false // one that is named twice stands here twice
		recipient := sql.NullInt64{Int64: d.recipient, Valid: d.recipient != unbound}
		if _, err := t.exec("UPDATE device SET recipient = ?, bound_pos = ? WHERE app = ? AND ord = ?", recipient, int64(pos), app, d.ord); err != nil {
			return err
		}
	}
	return nil
}

// order puts those that nobody knows first.
func (d *bindDevice) order() int64 {
	if d == nil {
		return -1
	}
	return d.ord
}

// each reads rows about names of an app inside a commit.
func (t *tx) each(q string, names []string, app int64, row func(scan func(...any) error) error) error {
	list, err := json.Marshal(names)
	if err != nil {
		return fmt.Errorf("sqlite: reading names: %w", err)
	}
	s, err := t.stmt(q)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), string(list), app)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// AliasEntries lists the direct messages that were sent by alias before a log
// position and released to some devices, by device, unless they have ended or
// their TTL has.
func (db *DB) AliasEntries(ctx context.Context, app herald.AppKey, ords *sets.Set, before herald.Pos, now time.Time) ([]record.AliasEntry, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(ords.Ordinals())
	if err != nil {
		return nil, fmt.Errorf("sqlite: reading entries: %w", err)
	}
	var out []record.AliasEntry
	err = scan(ctx, &db.readers, `SELECT e.ord, e.pos, e.n, e.msg FROM json_each(?) j CROSS JOIN entry e ON e.app = ? AND e.ord = j.value
		CROSS JOIN msg m INDEXED BY msg_by_alias ON m.app = e.app AND m.id = e.msg
		WHERE m.by_alias = 1 AND m.ended = 0 AND m.eval_pos < ? AND m.ends > ?`, []any{string(list), a, int64(before), millis(now)}, func(r *sql.Rows) error {
		var e record.AliasEntry
		err := r.Scan(&e.Ord, &e.Pos, &e.N, &e.Msg)
		out = append(out, e)
		return wrap(err)
	})
	return out, err
}
