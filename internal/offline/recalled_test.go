package offline_test

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
)

// A message that was withdrawn is skipped by a connection from the moment at
// which its end is in the record, although its deliveries have not ended yet.
// The cursor of a message behind it does not say that the device has it, on
// that connection, on the next, or after a crash before the deliveries ended.
func TestCursorBehindARecalledMessage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*record.Message)
		sent   bool // before it was withdrawn
		want   herald.DeliveryState
	}{
		{"direct", nil, false, herald.StateWithdrawn},
		{"direct, sent", nil, true, herald.StateUnconfirmed},
		{"group", asGroup, false, herald.StateWithdrawn},
		{"group, sent", asGroup, true, herald.StateUnconfirmed},
	} {
		for _, crash := range []bool{false, true} {
			name := tt.name
			if crash {
				name += ", crash"
			}
			t.Run(name, func(t *testing.T) {
				b := newBench(t)
				d := b.device("")
				back := b.send(tt.change, d)
				later := b.send(tt.change, d)
				if tt.sent {
					b.report(back, herald.StateSent, d)
				}
				pos, err := b.db.EndMessage(t.Context(), b.app, back.ID, herald.MessageWithdrawn, b.now)
				b.must(err)
				ended, err := b.db.Message(t.Context(), b.app, back.ID)
				b.must(err)
				if crash {
					b.reload()
				} else {
					b.ledger.Ended(ended)
				}
				b.ledger.Advance(b.app, pos)
				b.report(later, herald.StateSent, d)
				b.must(b.backlog.Resume(t.Context(), d, later.Pos, later.Pos))
				b.want(later, d, herald.StateReceived)
				b.must(b.ledger.End(t.Context(), b.app, ended, herald.StateWithdrawn))
				b.want(back, d, tt.want)
				b.must(b.backlog.Resume(t.Context(), d, pos, pos))
				b.want(back, d, tt.want)
			})
		}
	}
}

// reload begins anew with what is in the record, as after a crash.
func (b *bench) reload() {
	b.t.Helper()
	b.must(b.ledger.Close(b.t.Context()))
	clock := func() time.Time { return b.now }
	b.ledger = receipt.New(receipt.Config{Store: b.db, Messages: b.db, DeadAt: b.registry.DeadAt, Now: clock})
	b.must(b.ledger.Load(b.t.Context(), b.app))
	b.backlog = offline.New(offline.Config{Store: b.db, Ledger: b.ledger, Registry: b.registry, Now: clock})
}
