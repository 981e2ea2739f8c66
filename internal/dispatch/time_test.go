package dispatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// A scheduled message is released when it is due: not before, and once.
func TestScheduled(t *testing.T) {
	b := newBench(t)
	o := b.devices(3)
	b.follow()
	b.target = Target{Direct: o[:2], Devices: 2, Unknown: 1, Pos: 3}
	m := b.accept(to(o[2]), due(begin.Add(time.Hour)), ttl(time.Minute))
	if m.State != herald.MessageScheduled || m.Target != -1 || m.Pos != 0 {
		t.Fatalf("accepted as %+v", m)
	}
	b.pass(time.Hour - time.Millisecond)
	b.must(b.d.releaseDue(t.Context()))
	b.must(b.d.expire(t.Context()))
	if got := b.message(m.ID).State; got != herald.MessageScheduled {
		t.Fatalf("a millisecond early it is %s", got)
	}
	b.pass(time.Millisecond)
	b.must(b.d.releaseDue(t.Context()))
	b.must(b.d.releaseDue(t.Context()))
	b.reach()
	got := b.message(m.ID)
	if got.State != herald.MessageSending || got.Target != 2 || got.Unknown != 1 || got.EvalPos != 3 || !slices.Equal(got.Direct, o[:2]) {
		t.Fatalf("released as %+v", got)
	}
	if n := len(b.outlet.handed()); n != 1 {
		t.Errorf("%d handovers", n)
	}
	// The TTL counts from when it was due.
	b.pass(time.Minute - time.Millisecond)
	b.must(b.d.expire(t.Context()))
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StatePending})
	b.pass(time.Millisecond)
	b.must(b.d.expire(t.Context()))
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateExpired, o[1]: herald.StateExpired})
}

// Why a due message cannot be released is logged once, and again when the reason
// is another one; what may pass by itself is logged at each attempt.
func TestScheduledRefused(t *testing.T) {
	b := newBench(t)
	o := b.devices(1)
	b.target = to(o...)
	var logged bytes.Buffer
	b.d.c.Log = slog.New(slog.NewTextHandler(&logged, nil))
	b.follow()
	m := b.accept(Target{}, due(begin.Add(time.Hour)), ttl(time.Hour))
	b.pass(time.Hour)
	for _, step := range []struct {
		refusal error
		lines   int
	}{
		{herald.Invalid("audience.segments", "Save it again.", "there is no segment vip"), 1},
		{herald.Invalid("audience.segments", "Save it again.", "there is no segment vip"), 1},
		{herald.Invalid("audience.files", "Upload it again.", "there is no file x"), 2},
		{errors.New("the disk is slow"), 3},
		{errors.New("the disk is slow"), 4},
		{herald.Invalid("audience.files", "Upload it again.", "there is no file x"), 5},
	} {
		b.refusal = step.refusal
		b.must(b.d.releaseDue(t.Context()))
		b.pass(leaseFor)
		if n := strings.Count(logged.String(), "\n"); n != step.lines {
			t.Fatalf("after %v there are %d lines, want %d:\n%s", step.refusal, n, step.lines, &logged)
		}
	}
	for _, part := range []string{"message=" + m.ID.String(), "there is no segment vip", `remedy="Save it again."`} {
		if !strings.Contains(logged.String(), part) {
			t.Errorf("the log does not say %q:\n%s", part, &logged)
		}
	}
	b.refusal = nil
	b.must(b.d.releaseDue(t.Context()))
	b.reach()
	if got := b.message(m.ID).State; got != herald.MessageSending {
		t.Errorf("with nothing in its way it is %s", got)
	}
}

// A process that dies with a lease in its hand leaves it to the next.
func TestScheduledAfterACrash(t *testing.T) {
	b := newBench(t)
	o := b.devices(1)
	b.target = to(o...)
	m := b.accept(Target{}, due(begin.Add(time.Hour)))
	b.pass(time.Hour)
	jobs, err := b.db.LeaseJobs(t.Context(), b.clock(), leaseFor, 10)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("jobs %v, %v", jobs, err)
	}
	b.follow()
	b.must(b.d.releaseDue(t.Context()))
	if got := b.message(m.ID).State; got != herald.MessageScheduled {
		t.Fatalf("it was released under the lease of another: %s", got)
	}
	b.restart()
	b.follow()
	b.must(b.d.releaseDue(t.Context()))
	b.reach()
	// The late owner is refused, and that is no error.
	b.must(b.d.releaseJob(t.Context(), jobs[0]))
	b.reach()
	if n := len(b.outlet.handed()); n != 1 {
		t.Errorf("%d handovers", n)
	}
	list, err := b.db.Releases(t.Context(), b.app, 0, 10)
	if err != nil || len(list) != 1 {
		t.Errorf("releases %v, %v", list, err)
	}
}

func TestScheduledWithdrawn(t *testing.T) {
	b := newBench(t)
	b.follow()
	m := b.accept(Target{}, due(begin.Add(time.Hour)))
	got, err := b.d.Withdraw(t.Context(), b.app, m.ID)
	if err != nil || got.State != herald.MessageWithdrawn {
		t.Fatalf("%+v, %v", got, err)
	}
	b.pass(2 * time.Hour)
	b.must(b.d.releaseDue(t.Context()))
	b.reach()
	if n := len(b.outlet.handed()); n != 0 || b.message(m.ID).State != herald.MessageWithdrawn {
		t.Errorf("%d handovers, state %s", n, b.message(m.ID).State)
	}
}

// A message whose time and TTL passed while the server was away is released,
// so that who it was for is counted, and reaches nobody.
func TestOverdueWithItsTTL(t *testing.T) {
	b := newBench(t)
	o := b.devices(1)
	b.online(o...)
	b.target = to(o...)
	m := b.accept(Target{}, due(begin.Add(time.Minute)), ttl(time.Minute))
	b.restart()
	b.online(o...)
	b.pass(time.Hour)
	b.follow()
	b.must(b.d.releaseDue(t.Context()))
	b.reach()
	b.must(b.d.expire(t.Context()))
	if n := len(b.outlet.handed()); n != 0 {
		t.Errorf("%d handovers after the TTL", n)
	}
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateExpired})
}

// Expiry splits deliveries, also of more messages than one page.
func TestExpire(t *testing.T) {
	b := newBench(t)
	o := b.devices(2)
	b.follow()
	var ids []herald.MessageID
	for range duePage + 1 {
		ids = append(ids, b.accept(to(o[0])).ID)
	}
	b.online(o[1])
	last := b.accept(to(o...)).ID
	b.reach()
	b.pass(time.Hour - time.Millisecond)
	b.must(b.d.expire(t.Context()))
	b.wantStates(last, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StatePending, o[1]: herald.StateSent})
	b.pass(time.Millisecond)
	b.must(b.d.expire(t.Context()))
	for _, id := range ids {
		b.wantStates(id, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateExpired})
	}
	b.wantStates(last, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateExpired, o[1]: herald.StateUnconfirmed})
	if b.message(last).State != herald.MessageExpired {
		t.Errorf("the message is %s", b.message(last).State)
	}
	if _, err := b.d.Withdraw(t.Context(), b.app, last); herald.CodeOf(err) != herald.CodeConflict {
		t.Errorf("withdrawing what has expired: %v", err)
	}
	b.pass(herald.TraceRetention + time.Hour)
	before, err := b.ledger.Counts(t.Context(), b.message(last))
	b.must(err)
	b.must(b.d.purge(t.Context(), b.clock()))
	if _, err := b.db.Message(t.Context(), b.app, last); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("after its retention: %v", err)
	}
	// Its counts stay, for ninety days from its end.
	kept, err := b.db.Counted(t.Context(), b.app, last)
	b.must(err)
	if fmt.Sprint(kept.Counts) != fmt.Sprint(before) || kept.State != herald.MessageExpired || kept.Message.Audience.All || kept.Message.ID != last {
		t.Errorf("kept %+v, want the counts %+v", kept, before)
	}
	b.pass(herald.CountRetention - herald.TraceRetention - 2*time.Hour)
	b.must(b.d.purge(t.Context(), b.clock()))
	_, err = b.db.Counted(t.Context(), b.app, last)
	b.must(err)
	b.pass(2 * time.Hour)
	b.must(b.d.purge(t.Context(), b.clock()))
	if _, err := b.db.Counted(t.Context(), b.app, last); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("counts after their retention: %v", err)
	}
}

// A crash between the end of a message and the ends of its deliveries is made
// good when somebody looks.
func TestSettle(t *testing.T) {
	b := newBench(t)
	o := b.devices(2)
	b.follow()
	m := b.accept(to(o...))
	open := b.accept(to(o...))
	b.reach()
	_, err := b.db.EndMessage(t.Context(), b.app, m.ID, herald.MessageExpired, b.clock())
	b.must(err)
	b.must(b.d.Settle(t.Context(), b.message(m.ID)))
	b.must(b.d.Settle(t.Context(), b.message(open.ID)))
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateExpired, o[1]: herald.StateExpired})
	b.wantStates(open.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StatePending})
}

// The last releases are done again at every start, however long ago they were,
// and change nothing.
func TestReleasesAgain(t *testing.T) {
	b := newBench(t)
	o := b.devices(4)
	b.online(o[0])
	b.follow()
	var list []*record.Message
	for _, tg := range []Target{to(o...), toGroup(o...)} {
		for _, end := range []string{"", "withdrawn", "replaced", "expired"} {
			m := b.accept(tg, key(end))
			list = append(list, m)
			b.reach()
			b.report(m.ID, herald.StateClicked, o[1])
			b.report(m.ID, herald.StateDeviceGone, o[2])
			switch end {
			case "withdrawn":
				_, err := b.d.Withdraw(t.Context(), b.app, m.ID)
				b.must(err)
			case "replaced":
				list = append(list, b.accept(tg, key(end)))
			case "expired":
				b.must(b.d.end(t.Context(), m, herald.MessageExpired))
			}
			b.reach()
		}
	}
	look := func() string {
		out := ""
		for _, m := range list {
			c, err := b.ledger.Counts(t.Context(), b.message(m.ID))
			b.must(err)
			out += fmt.Sprintln(m.ID, b.message(m.ID).State, c)
			for _, ord := range o {
				steps, err := b.ledger.History(t.Context(), b.message(m.ID), ord)
				b.must(err)
				for _, e := range steps {
					out += fmt.Sprintln("  ", ord, e.State, e.Time)
				}
			}
		}
		return out
	}
	want := look()
	b.restart() // the open messages have not ended: their TTL is not looked at here
	b.follow()
	b.reach()
	if got := look(); got != want {
		t.Errorf("after a restart:\n%s\nbefore:\n%s", got, want)
	}
	b.pass(herald.LateReceipts + time.Hour)
	b.restart()
	b.follow()
	b.reach()
	if got := look(); got != want {
		t.Errorf("a week later:\n%s\nbefore:\n%s", got, want)
	}
}

// A device that was removed while its message was on the way ends as gone.
func TestRemovedBetweenEvaluationAndRelease(t *testing.T) {
	b := newBench(t)
	o := b.devices(2)
	first, err := b.db.Devices(t.Context(), b.app, record.DeviceFilter{}, 0, 1)
	b.must(err)
	head, err := b.db.Head(t.Context(), b.app)
	b.must(err)
	_, err = b.registry.Remove(t.Context(), b.app, first[0].ID)
	b.must(err)
	tg := to(o...)
	tg.Pos = head.Pos
	b.must(b.d.Follow(t.Context(), b.app))
	m := b.accept(tg)
	b.reach()
	b.wantStates(m.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateDeviceGone, o[1]: herald.StatePending})
}

// A device whose alias changed while a message by alias was on the way is
// connected, and stays so: the message ends on it all the same.
func TestReboundBetweenEvaluationAndRelease(t *testing.T) {
	for _, form := range []string{"direct", "group"} {
		t.Run(form, func(t *testing.T) {
			b := newBench(t)
			o := b.devices(2)
			rows, err := b.db.Devices(t.Context(), b.app, record.DeviceFilter{}, 0, 1)
			b.must(err)
			head, err := b.db.Head(t.Context(), b.app)
			b.must(err)
			alias := herald.Alias("ben")
			_, err = b.registry.Update(t.Context(), b.app, rows[0].ID, record.DevicePatch{Alias: &alias})
			b.must(err)
			tg := to(o...)
			if form == "group" {
				tg = toGroup(o...)
			}
			tg.Pos = head.Pos
			b.must(b.d.Follow(t.Context(), b.app))
			byAlias := func(m *herald.Message) { m.Audience = herald.Audience{Aliases: []herald.Alias{"anna"}} }
			before, other := b.accept(tg, byAlias), b.accept(tg)
			now, err := b.db.Head(t.Context(), b.app)
			b.must(err)
			tg.Pos = now.Pos
			after := b.accept(tg, byAlias)
			b.reach()
			b.wantStates(before.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StateRebound, o[1]: herald.StatePending})
			b.wantStates(other.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StatePending, o[1]: herald.StatePending})
			b.wantStates(after.ID, map[herald.Ordinal]herald.DeliveryState{o[0]: herald.StatePending, o[1]: herald.StatePending})
		})
	}
}

// New IDs are above those of the record, whatever the clock says.
func TestIDsGrowWhenTheClockGoesBack(t *testing.T) {
	b := newBench(t)
	o := b.devices(1)
	old := b.accept(to(o...))
	b.pass(-24 * time.Hour)
	b.restart()
	if m := b.accept(to(o...)); m.ID <= old.ID {
		t.Errorf("%s is not above %s", m.ID, old.ID)
	}
}

// The clock of the dispatcher releases and expires by itself, and Close ends
// everything that Start began.
func TestStartAndClose(t *testing.T) {
	b := newBench(t)
	o := b.devices(1)
	b.target = to(o...)
	m := b.accept(Target{}, due(begin.Add(time.Minute)))
	b.must(b.d.Start(t.Context()))
	b.pass(time.Minute)
	select {
	case <-b.outlet.inside:
	case <-time.After(time.Minute):
		t.Fatal("nobody released the message")
	}
	b.d.Close()
	if _, err := b.d.Withdraw(t.Context(), b.app, m.ID); herald.CodeOf(err) != herald.CodeDraining {
		t.Errorf("Withdraw after Close: %v", err)
	}
	b.must(b.d.Follow(t.Context(), b.app)) // known already: no second follower
	b.d.Close()
}

// idle is a record in which nothing is due; it counts the questions.
type idle struct {
	Store
	asked, purged int
}

func (s *idle) MaxScheduleID(context.Context) (herald.ScheduleID, error) { return 0, nil }
func (s *idle) PurgeSchedules(context.Context, time.Time, int) (bool, error) {
	return false, nil
}
func (s *idle) MaxMessageID(context.Context) (herald.MessageID, error) { return 0, nil }
func (s *idle) NextJob(context.Context) (time.Time, error)             { s.asked++; return time.Time{}, nil }
func (s *idle) Expired(context.Context, time.Time, int) ([]*record.Message, error) {
	return nil, errIdle
}
func (s *idle) Purgeable(context.Context, time.Time, int) ([]*record.Message, error) { return nil, nil }
func (s *idle) Purge(context.Context, time.Time, time.Time, int) (bool, error) {
	s.purged++
	return false, nil
}

var errIdle = herald.Errorf(herald.CodeStorageUnavailable, "Repeat later.", "away")

// Errors of the record do not end the clock; it ticks twice a second and
// purges every hour.
func TestClockTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &idle{}
		d, err := New(t.Context(), Config{Store: s})
		if err != nil {
			t.Fatal(err)
		}
		d.wg.Go(d.keepTime)
		<-time.NewTimer(2*time.Hour + time.Millisecond).C // of the bubble
		synctest.Wait()
		d.Close()
		if s.asked != 4*3600+1 || s.purged != 3 {
			t.Errorf("asked %d times, purged %d times", s.asked, s.purged)
		}
	})
}
