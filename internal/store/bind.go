package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// BindDevices changes the aliases of devices in one commit, in the order of the
// list, at one log position. With whole, nothing is changed if one of them finds
// its alias full. Names are looked up beside the commits, as it takes as long as
// to write them, and again within it if they have changed meanwhile.
func (db *DB) BindDevices(ctx context.Context, app herald.AppKey, list []record.Binding, whole bool) (out record.Bound, err error) {
	a, err := db.apps.id(app)
	if err != nil {
		return out, err
	}
	found, err := db.bindNames(ctx, a, list)
	if err != nil {
		return out, err
	}
	defer found.forget()
	return db.bindFound(ctx, a, list, found, whole)
}

// bindFound makes bindings whose names were looked up.
func (db *DB) bindFound(ctx context.Context, a int64, list []record.Binding, found *bindNames, whole bool) (out record.Bound, err error) {
	err = db.write(ctx, func(t *tx) error {
		h, err := t.head(a)
		if err != nil {
			return err
		}
		names, err := found.now(t, a)
		if err != nil {
			return err
		}
		p := newBindPlan(list, h.nextRecipient, names)
		if err := p.tally(t, a); err != nil {
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
		db.bindings.names(a, names)
		return p.write(t, a, h, out.Pos)
	})
	return out, err
}

// unbound stands for the recipient of a device that has no alias.
const unbound = -1

// bindPlan is what some bindings come to, before anything is written.
type bindPlan struct {
	list    []record.Binding
	next    uint64                 // the next number of a recipient
	devices []*bindDevice          // of the list; nil for those that nobody knows
	numbers map[herald.Alias]int64 // of the recipients of the aliases that are named
	count   map[int64]int64        // devices of those that may get more
	fresh   []freshRecipient       // that are to be made, by number
	out     record.Bound
}

// bindDevice is a device whose alias is to be changed.
type bindDevice struct {
	ord       int64
	recipient int64
	changed   bool
}

type freshRecipient struct {
	ord   int64
	alias herald.Alias
}

// newBindPlan makes a plan with the devices of a list, of which each is there
// once.
func newBindPlan(list []record.Binding, next uint64, names *bindNames) *bindPlan {
	p := &bindPlan{
		list: list, next: next, devices: make([]*bindDevice, len(list)), numbers: make(map[herald.Alias]int64, len(names.aliases)+1),
		out: record.Bound{Changed: sets.New(), Outcomes: make([]record.BindOutcome, len(list))},
	}
	maps.Copy(p.numbers, names.numbers)
	all := make([]bindDevice, len(names.devices))
	for i, d := range names.devices {
		all[i] = bindDevice{ord: d.ord, recipient: d.recipient}
	}
	for i, k := range names.of {
		if d := &all[k]; d.ord >= 0 {
			p.devices[i] = d
		}
	}
	return p
}

// tally counts the devices of recipients that are there already and may get
// more.
func (p *bindPlan) tally(t *tx, app int64) error {
	p.count = make(map[int64]int64, 2*len(p.list)) // make counts also what they leave
	var numbers []int64
	for i, b := range p.list {
		to, known := p.numbers[b.Alias]
		if d := p.devices[i]; d == nil || !known || to == unbound || b.From == "" && to == d.recipient {
			continue
		}
		if _, twice := p.count[to]; !twice {
			p.count[to] = 0
			numbers = append(numbers, to)
		}
	}
	if numbers == nil {
		return nil
	}
	slices.Sort(numbers)
	return each(context.Background(), t, "SELECT n.value, COUNT(d.ord) FROM json_each(?) n LEFT JOIN device d ON d.app = ? AND d.recipient = n.value GROUP BY n.value",
		app, numbers, func(scan func(...any) error) error {
			var number, devices int64
			err := scan(&number, &devices)
			p.count[number] = devices
			return err
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
			p.fresh = append(p.fresh, freshRecipient{to, b.Alias})
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

// write writes what was decided, each kind of row in the order of its keys.
func (p *bindPlan) write(t *tx, app int64, h *head, pos herald.Pos) error {
	now := millis(t.db.cfg.Now())
	made := rows{t: t, columns: 4, into: "recipient (app, ord, alias, created)"}
	for _, f := range p.fresh {
		if err := made.add(app, f.ord, string(f.alias), now); err != nil {
			return err
		}
	}
	if err := made.flush(); err != nil {
		return err
	}
	h.nextRecipient = p.next
	// Those that the devices had before are not known here.
	if err := t.logSets(app, h, pos, nil, ""); err != nil {
		return err
	}
	moved, err := p.move(t, app, pos)
	if err != nil {
		return err
	}
	return p.tell(t, app, moved)
}

// tell tells webhooks, if there are any, of the devices that have another alias.
func (p *bindPlan) tell(t *tx, app int64, moved []*bindDevice) error {
	if hooks, err := t.webhooked(app); err != nil || hooks == nil {
		return err
	}
	aliases := make(map[int64]herald.Alias, len(p.numbers))
	for alias, number := range p.numbers {
		aliases[number] = alias
	}
	told := make([]record.WebhookDevice, len(moved))
	for i, d := range moved {
		told[i] = boundNow(herald.Ordinal(d.ord), aliases[d.recipient])
	}
	return t.tellDevices(app, told...)
}

// AliasEntries lists the direct messages that were sent by alias before a log
// position and released to some devices, by device, unless they have ended or
// their TTL has. Those that are held are before the others, without a position.
func (db *DB) AliasEntries(ctx context.Context, app herald.AppKey, ords *sets.Set, before herald.Pos, now time.Time) ([]record.AliasEntry, error) {
	a, err := db.apps.id(app)
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(ords.Ordinals())
	if err != nil {
		return nil, fmt.Errorf("store: reading entries: %w", err)
	}
	var out []record.AliasEntry
	for _, from := range []struct{ table, pos string }{{"entry_held", "0"}, {"entry", "e.pos"}} {
		err := scan(ctx, &db.readers, `SELECT e.ord, `+from.pos+`, e.n, e.msg FROM json_each(?) n CROSS JOIN `+from.table+` e ON e.app = ? AND e.ord = n.value
			CROSS JOIN msg m INDEXED BY msg_by_alias ON m.app = e.app AND m.id = e.msg
			WHERE m.by_alias = 1 AND m.ended = 0 AND m.eval_pos < ? AND m.ends > ? ORDER BY 1, 2, 3`, []any{string(list), a, int64(before), millis(now)}, func(r *sql.Rows) error {
			var e record.AliasEntry
			err := r.Scan(&e.Ord, &e.Pos, &e.N, &e.Msg)
			out = append(out, e)
			return wrap(err)
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
