package api

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// exported is how many rows a stream hands over at a time.
const exported = 1000

// deliveryStates lists every state of a delivery.
var deliveryStates = slices.Concat([]herald.DeliveryState{herald.StatePending}, herald.Progress[:], herald.Ends[:])

// delivering is a list of the deliveries of a message that has begun.
type delivering struct {
	s       *Messages
	m       *record.Message
	reading *receipt.Reading // nil for a message whose target is not known yet
	filter  receipt.DeliveryFilter
	index   *sets.Index
	online  *sets.Set
}

// deliveries checks a call for the deliveries of a message. It needs the right
// to read devices as well: the list names them.
func (s *Messages) deliveries(ctx context.Context, p Principal, id herald.MessageID, q DeliveryQuery) (*delivering, error) {
	for _, scope := range []Scope{ScopeRead, ScopeDevicesRead} {
		if err := p.may(scope); err != nil {
			return nil, err
		}
	}
	if q.State != "" && !slices.Contains(deliveryStates, q.State) {
		return nil, herald.Invalid("state", "Use a state of a delivery, such as pending, sent, received or expired.", "%.20q is not a state of a delivery", string(q.State))
	}
	if q.Platform != "" && q.Platform != unknown && !q.Platform.Valid() {
		return nil, herald.Invalid("platform", "Use a platform, or unknown.", "%.20q is not a platform", string(q.Platform))
	}
	d := &delivering{s: s, filter: receipt.DeliveryFilter{State: q.State}}
	if q.Cursor != "" {
		n, err := strconv.ParseUint(q.Cursor, 10, 32)
		if err != nil {
			return nil, herald.Invalid("cursor", "Use the next_cursor of the page before.", "is not a cursor")
		}
		d.filter.From = herald.Ordinal(n)
	}
	app, err := s.c.Registry.App(p.App)
	if err != nil {
		return nil, err
	}
	d.index, d.online = app.Index, s.c.Presence.Online(p.App)
	if q.Platform != "" {
		d.filter.Among = onPlatform(app.Index, q.Platform)
	}
	if d.m, err = s.find(ctx, p.App, id); err != nil {
		return nil, err
	}
	if !d.m.Unreleased() && d.m.Target >= 0 {
		d.reading, err = s.c.Ledger.Read(ctx, d.m)
	}
	return d, err
}

// onPlatform gives the devices on a platform, or on none that is known.
func onPlatform(x *sets.Index, p herald.Platform) *sets.Set {
	if p != unknown {
		if s := x.Snapshot([]string{record.PlatformSet(p)}).Set(record.PlatformSet(p)); s != nil {
			return s
		}
		return sets.New()
	}
	var next uint64
	x.View(func(v sets.View) { next = v.Next() })
	out := sets.Range(next)
	_, groups := platformSets(x)
	for _, g := range groups {
		out.AndNot(g)
	}
	return out
}

// Deliveries lists the devices of a message with what became of it on each.
func (s *Messages) Deliveries(ctx context.Context, p Principal, id herald.MessageID, q DeliveryQuery) (DeliveryPage, error) {
	limit, err := pageSize(q.Limit)
	if err != nil {
		return DeliveryPage{}, err
	}
	d, err := s.deliveries(ctx, p, id, q)
	if err != nil {
		return DeliveryPage{}, err
	}
	var list []receipt.Delivery
	for _, part := range d.parts() {
		f := d.filter
		f.Limit = limit + 1 - len(list)
		more, err := d.reading.Deliveries(ctx, part, f)
		if err != nil {
			return DeliveryPage{}, err
		}
		if list = append(list, more...); len(list) > limit {
			break
		}
	}
	page := DeliveryPage{}
	if len(list) > limit {
		page.NextCursor = strconv.FormatUint(uint64(list[limit].Ord), 10)
		list = list[:limit]
	}
	if page.Deliveries, err = d.views(ctx, list); err != nil {
		return DeliveryPage{}, err
	}
	return page, d.stillThere(ctx)
}

// EachDelivery lists what Deliveries does, without pages. What is wrong with
// the call is answered at once; what fails later ends the list with an error.
// The list holds no lock and no connection to the record between its parts.
func (s *Messages) EachDelivery(ctx context.Context, p Principal, id herald.MessageID, q DeliveryQuery) (iter.Seq2[[]DeliveryView, error], error) {
	d, err := s.deliveries(ctx, p, id, q)
	if err != nil {
		return nil, err
	}
	return func(yield func([]DeliveryView, error) bool) {
		for _, part := range d.parts() {
			list, err := d.reading.Deliveries(ctx, part, d.filter)
			if err != nil {
				yield(nil, err)
				return
			}
			for some := range slices.Chunk(list, exported) {
				if views, err := d.views(ctx, some); !yield(views, err) || err != nil {
					return
				}
			}
		}
		if err := d.stillThere(ctx); err != nil {
			yield(nil, err)
		}
	}, nil
}

// parts lists the parts of the message that are still to be read.
func (d *delivering) parts() []sets.Slab {
	if d.reading == nil {
		return nil
	}
	all := d.reading.Parts()
	i, _ := slices.BinarySearch(all, d.reading.PartOf(d.filter.From))
	return all[i:]
}

// stillThere makes sure that the message was not purged while it was read, or
// a list without its end would look whole.
func (d *delivering) stillThere(ctx context.Context) error {
	_, err := d.s.find(ctx, d.m.App, d.m.ID)
	return err
}

// views adds to deliveries what is known of their devices.
func (d *delivering) views(ctx context.Context, list []receipt.Delivery) ([]DeliveryView, error) {
	rows, err := d.devices(ctx, list)
	if err != nil {
		return nil, err
	}
	out := make([]DeliveryView, 0, len(list))
	for _, x := range list {
		v := DeliveryView{
			State: x.State, Via: x.Via, SentAt: moment(x.Sent), ReceivedAt: moment(x.Received),
			DisplayedAt: moment(x.Displayed), ClickedAt: moment(x.Clicked), EndedAt: moment(x.Ended),
		}
		row, known := rows[x.Ord]
		v.RegistrationID, v.Alias, v.Platform = row.ID, row.Alias, row.Platform
		if !known {
			v.Platform = platformOf(d.index, x.Ord)
		}
		if v.Platform == "" {
			v.Platform = unknown
		}
		v.Reason = reason(x, d.m, d.online.Contains(x.Ord), row.Seen)
		out = append(out, v)
	}
	return out, nil
}

// devices finds the rows of devices: where they lie close together in one
// range, else one by one.
func (d *delivering) devices(ctx context.Context, list []receipt.Delivery) (map[herald.Ordinal]record.Device, error) {
	if len(list) == 0 {
		return nil, nil
	}
	first, span := list[0].Ord, int(list[len(list)-1].Ord-list[0].Ord)+1
	f := record.DeviceFilter{}
	if span > 2*len(list) {
		f.Within = make([]herald.Ordinal, len(list))
		for i, x := range list {
			f.Within[i] = x.Ord
		}
	}
	rows, err := d.s.c.Registry.Devices(ctx, d.m.App, f, first, span)
	out := make(map[herald.Ordinal]record.Device, len(list))
	for _, row := range rows {
		out[row.Ord] = row
	}
	return out, err
}

// platformOf gives the platform that the sets know of a device, which may have
// been removed.
func platformOf(x *sets.Index, o herald.Ordinal) (out herald.Platform) {
	x.View(func(v sets.View) {
		for _, p := range herald.Platforms {
			if v.Has(record.PlatformSet(p), o) {
				out = p
			}
		}
	})
	return out
}

// reason says in words why a delivery stands where it does.
func reason(x receipt.Delivery, m *record.Message, online bool, seen time.Time) string {
	if x.Detail != "" && (x.State == herald.StateReplaced || x.State == herald.StateUnconfirmed || x.State == herald.StateRejected) {
		return stepText(record.Event{State: x.State, Detail: x.Detail})
	}
	return summary(x.State, m, online, seen)
}

// moment gives a time that may be missing, as the record keeps it: it is the same
// after a restart.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}
