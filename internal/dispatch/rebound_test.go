package dispatch

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// TestReboundLongBeforeItsTurn: of a message by alias that is released in steps,
// who has lost the alias before his step gets nothing, also when the change is
// not in memory any more. It ends on him at once: he is connected, and stays so.
func TestReboundLongBeforeItsTurn(t *testing.T) {
	forget := map[string]func(*bench){
		"at once": func(*bench) {},
		"after a restart": func(b *bench) {
			b.restart()
			b.follow()
		},
		"long after": func(b *bench) {
			b.pass(15 * time.Minute)
			b.must(b.registry.Flush(b.t.Context()))
		},
	}
	for name, forget := range forget {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			o := b.devices(4)
			b.follow()
			b.online(o...)
			head, err := b.db.Head(t.Context(), b.app)
			b.must(err)
			target := to(o...)
			target.Pos = head.Pos
			m := b.spread(target, herald.Spread{Over: 4}, func(m *herald.Message) {
				m.Audience, m.TTL = herald.Audience{Aliases: []herald.Alias{"anna"}}, 24*time.Hour
			})
			b.tick()
			alias := herald.Alias("ben")
			_, err = b.registry.Update(t.Context(), b.app, b.row(3).ID, record.DevicePatch{Alias: &alias})
			b.must(err)
			forget(b)
			b.online(o...)
			for range 3 {
				b.pass(time.Second)
				b.tick()
			}
			want := map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateSent, o[1]: herald.StateSent, o[2]: herald.StateSent, o[3]: herald.StateRebound}
			b.wantStates(m.ID, want)
			if got := b.handovers(m.ID); got[o[3]] != 0 || got[o[2]] == 0 {
				t.Errorf("handed over: %v", got)
			}
		})
	}
}

// row is a device as the record has it.
func (b *bench) row(i int) record.Device {
	b.t.Helper()
	rows, err := b.db.Devices(b.t.Context(), b.app, record.DeviceFilter{}, 0, i+1)
	b.must(err)
	return rows[i]
}
