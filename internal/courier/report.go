package courier

import (
	"context"
	"slices"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Reports keeps what a vendor says later of messages that it took. What a device
// has received, displayed or clicked counts as if it had said so itself.
func (c *Courier) Reports(ctx context.Context, app herald.AppKey, vendor herald.Vendor, reports []provider.Report) error {
	if len(reports) == 0 {
		return nil
	}
	now := c.c.Now().UTC()
	list := make([]record.VendorReport, 0, len(reports))
	for _, r := range reports {
		v := record.VendorReport{Vendor: vendor, Reference: r.Reference, State: r.State, Time: r.Time}
		if v.Time.IsZero() || v.Time.After(now) {
			v.Time = now
		}
		if e := r.Err; e != nil {
			v.State, v.Problem = "", &record.Problem{Kind: string(e.Kind), Code: e.Code, Text: e.Text, Remedy: e.Remedy, At: v.Time}
		}
		if v.Reference != "" {
			list = append(list, v)
		}
	}
	// Held before it is looked for: whoever keeps an attempt meanwhile finds it.
	c.early.hold(app, list, now)
	return c.apply(ctx, app, list)
}

// apply keeps reports whose attempts are known.
func (c *Courier) apply(ctx context.Context, app herald.AppKey, list []record.VendorReport) error {
	known, err := c.c.Errands.Reported(ctx, app, list)
	if err != nil {
		return err
	}
	c.early.drop(app, known)
	var events []record.Event
	for i := range known {
		a := &known[i]
		if a.Owner == record.OwnerDevice && slices.Contains(herald.Progress[1:], a.State) {
			events = append(events, record.Event{Msg: a.Msg, State: a.State, Set: sets.New(a.Ord), Time: a.StateAt, Via: string(a.Vendor)})
		}
		if a.Problem != nil && a.Problem.Kind == string(provider.Unregistered) {
			if err := c.ended(ctx, app, a); err != nil {
				return err
			}
		}
	}
	if len(events) > 0 {
		c.c.Ledger.Report(app, events...)
	}
	return nil
}

// ended has an address that leads to nobody, as the vendor has said later, not be
// used again, unless it was registered after the message went out.
func (c *Courier) ended(ctx context.Context, app herald.AppKey, a *record.Attempt) error {
	list, err := c.c.Addresses.Addresses(ctx, app, a.Owner, a.Ord)
	if err != nil {
		return err
	}
	for _, to := range list {
		if to.Invalid.IsZero() && leadsBy(a.Vendor, to) {
			if err := c.c.Addresses.InvalidateAddress(ctx, to, a.Problem.Code, c.c.Now().UTC(), a.At); err != nil {
				return err
			}
		}
	}
	return nil
}

// leadsBy reports whether a vendor uses an address.
func leadsBy(v herald.Vendor, a record.Address) bool {
	switch v.Channel() {
	case herald.ChannelSMS:
		return a.Kind == record.KindPhone
	case herald.ChannelEmail:
		return a.Kind == record.KindEmail
	}
	return a.Kind == string(v)
}
