package dispatch

import (
	"testing"
	"time"
	_ "time/tzdata" // zones, whatever the machine has

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
)

// in registers devices of time zones; "" names none.
func (b *bench) in(zones ...string) (out []herald.Ordinal) {
	b.t.Helper()
	for _, z := range zones {
		d, _, _, err := b.registry.Register(b.t.Context(), registry.RegisterRequest{App: b.app, Platform: herald.PlatformOther, TimeZone: z})
		b.must(err)
		out = append(out, d.Ord)
	}
	return out
}

func (b *bench) settings(change func(*record.Settings)) {
	b.t.Helper()
	_, err := b.registry.UpdateApp(b.t.Context(), b.app, func(a *record.App) { change(&a.Settings) })
	b.must(err)
}

func high(m *herald.Message) { m.Priority = herald.PriorityHigh }

// at is how the hour of a test is written: begin is 12:00 UTC.
func (b *bench) at(hour int) {
	b.t.Helper()
	b.pass(begin.Add(time.Duration(hour-12) * time.Hour).Sub(b.clock()))
	b.tick()
}

func (b *bench) wantReleased(m *record.Message, what string, all []herald.Ordinal, want ...herald.Ordinal) {
	b.t.Helper()
	got := b.released(m, all...)
	if len(got) != len(want) {
		b.t.Errorf("%s: released to %v, want %v", what, got, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			b.t.Errorf("%s: released to %v, want %v", what, got, want)
			return
		}
	}
}

// A local time is reached zone by zone. At 12:00 UTC it is 21:00 in Tokyo,
// 13:00 in Berlin and 7:00 in New York.
func TestSendAtLocal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target func(...herald.Ordinal) Target
	}{{"direct", to}, {"group", toGroup}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.settings(func(s *record.Settings) { s.TimeZone = "Europe/Berlin" })
			b.follow()
			all := b.in("America/New_York", "Asia/Tokyo", "", "Europe/Paris", "Africa/Algiers", "Pacific/Honolulu")
			newYork, tokyo, honolulu := all[0], all[1], all[5]
			b.target = tt.target(all...)
			local := begin.Add(3 * time.Hour) // 15:00 on the clocks
			m := b.when(tt.target(all...), record.When{Local: local.Format(herald.LocalTime)}, due(local.Add(herald.LastZone)), ttl(time.Hour))
			b.reach()
			b.at(12)
			b.wantReleased(m, "12:00", all, tokyo)
			b.at(13)
			b.wantReleased(m, "13:00", all, tokyo)
			b.at(14)
			b.wantReleased(m, "14:00", all, tokyo, all[2], all[3], all[4])
			b.restart()
			b.follow()
			b.at(19)
			b.wantReleased(m, "19:00", all, tokyo, all[2], all[3], all[4])
			b.at(20)
			b.wantReleased(m, "20:00", all, newYork, tokyo, all[2], all[3], all[4])
			b.at(25)
			b.wantReleased(m, "1:00", all, all...)
			if p := b.plan(m.ID); p.Open() || len(p.Parts) != 4 {
				t.Errorf("the plan is %+v", p)
			}
			b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{honolulu: herald.StatePending})
			b.at(29) // the TTL counts from when the last zone of the world has it
			b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{honolulu: herald.StateExpired, tokyo: herald.StateExpired})
		})
	}
}

// A local time that no clock shows yet is evaluated when the first one does.
func TestSendAtLocalLater(t *testing.T) {
	b := newBench(t)
	b.follow()
	all := b.in("Asia/Tokyo", "")
	b.target = toGroup(all...)
	local := begin.Add(48 * time.Hour)
	m := b.when(toGroup(all[0]), record.When{Local: local.Format(herald.LocalTime)}, due(local.Add(herald.LastZone)))
	if got := b.message(m.ID); got.State != herald.MessageScheduled || got.Target != -1 {
		t.Fatalf("the message is %+v", got)
	}
	b.at(12 + 33)
	if got := b.message(m.ID); got.State != herald.MessageScheduled {
		t.Errorf("it is %s before it is due anywhere", got.State)
	}
	b.at(12 + 34)
	m = b.message(m.ID)
	if m.State != herald.MessageSending || m.Target != 2 || !m.Planned() {
		t.Errorf("when it is due it is %+v", m)
	}
	b.wantReleased(m, "before", all)
	b.at(12 + 39)
	b.wantReleased(m, "in Tokyo", all, all[0])
	b.at(12 + 48)
	b.wantReleased(m, "in UTC", all, all...)
}

func TestQuietHours(t *testing.T) {
	for _, tt := range []struct {
		name   string
		target func(...herald.Ordinal) Target
	}{{"direct", to}, {"group", toGroup}} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.settings(func(s *record.Settings) { s.QuietHours = &herald.QuietHours{From: "20:30", To: "08:00"} })
			b.follow()
			all := b.in("Asia/Tokyo", "America/New_York", "", "Asia/Seoul")
			newYork, utc := all[1], all[2]
			m := b.accept(tt.target(all...), ttl(24*time.Hour))
			b.tick()
			b.wantReleased(m, "21:00 in Tokyo, 7:00 in New York", all, utc)
			b.at(13)
			b.wantReleased(m, "8:00 in New York", all, newYork, utc)
			b.at(22)
			b.wantReleased(m, "7:00 in Tokyo", all, newYork, utc)
			b.at(23)
			b.wantReleased(m, "8:00 in Tokyo", all, all...)

			// It is 23:00 in UTC: what is urgent, or says so, goes.
			urgent := b.accept(tt.target(utc), high)
			loud := b.when(tt.target(utc), record.When{Quiet: herald.QuietIgnore})
			kept := b.when(tt.target(utc), record.When{Quiet: herald.QuietRespect}, high, ttl(24*time.Hour))
			brief := b.accept(tt.target(utc), ttl(time.Hour))
			day := b.accept(tt.target(all[0]))
			b.tick()
			b.wantReleased(urgent, "urgent", all, utc)
			b.wantReleased(loud, "ignoring", all, utc)
			b.wantReleased(kept, "respecting", all)
			b.wantReleased(day, "in Tokyo", all, all[0])
			for _, m := range []*record.Message{urgent, loud, day} {
				if b.message(m.ID).Planned() {
					t.Errorf("message %s has a plan", m.ID)
				}
			}
			b.at(24)
			b.wantStates(brief.ID, map[herald.Ordinal]herald.DeliveryState{utc: herald.StateExpired})
			b.at(12 + 20)
			b.wantReleased(kept, "at 8:00", all, utc)
		})
	}
}

// A slow push does not come to who is in quiet hours, and goes on with the
// others meanwhile.
func TestQuietSlowPush(t *testing.T) {
	b := newBench(t)
	b.settings(func(s *record.Settings) { s.QuietHours = &herald.QuietHours{From: "20:30", To: "08:00"} })
	b.follow()
	all := b.in("Asia/Tokyo", "", "Asia/Tokyo", "")
	m := b.spread(toGroup(all...), herald.Spread{Over: 4}, ttl(24*time.Hour))
	b.tick()
	b.wantReleased(m, "first", all, all[1])
	b.pass(time.Second)
	b.tick()
	b.wantReleased(m, "second", all, all[1], all[3])
	b.pass(time.Minute)
	b.tick()
	b.wantReleased(m, "later", all, all[1], all[3])
	b.at(23)
	b.wantReleased(m, "8:00 in Tokyo", all, all[0], all[1], all[3])
	b.pass(time.Second)
	b.tick()
	b.wantReleased(m, "and on", all, all...)
}

// Messages that waited for the same moment are released in the order in which
// they were accepted.
func TestQuietOrder(t *testing.T) {
	b := newBench(t)
	b.settings(func(s *record.Settings) {
		s.QuietHours, s.TimeZone = &herald.QuietHours{From: "11:00", To: "13:00"}, "UTC"
	})
	b.follow()
	o := b.in("")[0]
	var want []herald.MessageID
	for range 300 {
		want = append(want, b.accept(to(o), ttl(24*time.Hour)).ID)
	}
	b.at(13)
	list, err := b.db.Entries(t.Context(), b.app, o, 0, 1000)
	b.must(err)
	if len(list) != len(want) {
		t.Fatalf("%d are released", len(list))
	}
	for i, e := range list { // newest first
		if e.Msg != want[len(want)-1-i] {
			t.Fatalf("place %d has message %s", i, e.Msg)
		}
	}
}
