package offline_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bench is a backlog on a real record, with a clock that stands still. Messages
// are released as dispatch does it, without a live connection.
type bench struct {
	t        *testing.T
	app      herald.AppKey
	db       *sqlite.DB
	registry *registry.Registry
	ledger   *receipt.Ledger
	backlog  *offline.Backlog
	ids      herald.IDs
	now      time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, now: begin}
	clock := func() time.Time { return b.now }
	var err error
	b.db, err = sqlite.Open(t.Context(), sqlite.Config{
		Path: filepath.Join(t.TempDir(), "herald.db"),
		OnSets: func(app herald.AppKey, e record.SetLogEntry) {
			if b.registry != nil {
				b.registry.OnSets(app, e)
			}
		},
	})
	b.must(err)
	b.registry = registry.New(registry.Config{Store: b.db, ServerKey: make([]byte, 32)})
	row, _, err := b.registry.CreateApp(t.Context(), "test")
	b.must(err)
	b.app = row.Key
	b.ledger = receipt.New(receipt.Config{Store: b.db, Messages: b.db, DeadAt: b.registry.DeadAt, Now: clock})
	b.must(b.ledger.Load(t.Context(), b.app))
	b.backlog = offline.New(offline.Config{Store: b.db, Ledger: b.ledger, Registry: b.registry, Now: clock})
	t.Cleanup(func() {
		b.must(b.ledger.Close(context.Background()))
		b.must(b.db.Close())
	})
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) device(alias herald.Alias) offline.Device {
	b.t.Helper()
	q := registry.RegisterRequest{App: b.app, Platform: herald.PlatformOther}
	if alias != "" {
		q.Alias = &alias
	}
	d, _, _, err := b.registry.Register(b.t.Context(), q)
	b.must(err)
	return offline.Device{App: b.app, Ord: d.Ord, ID: d.ID}
}

func (b *bench) head() herald.Pos {
	b.t.Helper()
	h, err := b.db.Head(b.t.Context(), b.app)
	b.must(err)
	return h.Pos
}

// send releases a message to devices, evaluated now.
func (b *bench) send(change func(*record.Message), to ...offline.Device) *record.Message {
	b.t.Helper()
	m := &record.Message{
		Message: herald.Message{ID: b.ids.Next(b.now), App: b.app, Audience: herald.Audience{All: true}, Priority: herald.PriorityNormal,
			TTL: time.Hour, Accepted: b.now, Due: b.now},
		Body: []byte(`{"data":1}`), State: herald.MessageSending, Target: int64(len(to)), EvalPos: b.head(),
	}
	for _, d := range to {
		m.Direct = append(m.Direct, d.Ord)
	}
	if change != nil {
		change(m)
	}
	done, err := b.db.Accept(b.t.Context(), record.Acceptance{Message: *m})
	b.must(err)
	m.Pos, m.FirstN = done.Pos, done.FirstN
	b.ledger.Track(m)
	b.ledger.Advance(b.app, m.Pos)
	return m
}

// sendMany releases direct messages to one device, as fast as commits can be
// shared, and gives them in log order.
func (b *bench) sendMany(n int, d offline.Device) []*record.Message {
	b.t.Helper()
	out := make([]*record.Message, n)
	pos := b.head()
	var wg sync.WaitGroup
	for part := range 64 {
		wg.Go(func() {
			for i := part; i < n; i += 64 {
				m := &record.Message{
					Message: herald.Message{ID: b.ids.Next(b.now), App: b.app, Audience: herald.Audience{All: true},
						Priority: herald.PriorityNormal, TTL: time.Hour, Accepted: b.now, Due: b.now},
					Body: []byte(`{"data":1}`), State: herald.MessageSending, Target: 1, EvalPos: pos, Direct: []herald.Ordinal{d.Ord},
				}
				done, err := b.db.Accept(context.Background(), record.Acceptance{Message: *m})
				if err != nil {
					b.t.Error(err)
				}
				m.Pos, m.FirstN = done.Pos, done.FirstN
				out[i] = m
			}
		})
	}
	wg.Wait()
	slices.SortFunc(out, func(a, b *record.Message) int { return int(a.Pos) - int(b.Pos) })
	for _, m := range out {
		b.ledger.Track(m)
		b.ledger.Advance(b.app, m.Pos)
	}
	return out
}

func asGroup(m *record.Message) { m.Group, m.Direct = record.WholeImage(sets.New(m.Direct...)), nil }

func byAlias(m *record.Message) { m.ByAlias = true }

func ttl(d time.Duration) func(*record.Message) { return func(m *record.Message) { m.TTL = d } }

func (b *bench) report(m *record.Message, s herald.DeliveryState, d offline.Device) {
	b.t.Helper()
	b.must(b.ledger.Apply(b.t.Context(), b.app, record.Event{Msg: m.ID, State: s, Set: sets.New(d.Ord), Time: b.now, Via: "test"}))
}

func (b *bench) withdraw(m *record.Message) *record.Message {
	b.t.Helper()
	pos, err := b.db.EndMessage(b.t.Context(), b.app, m.ID, herald.MessageWithdrawn, b.now)
	b.must(err)
	ended, err := b.db.Message(b.t.Context(), b.app, m.ID)
	b.must(err)
	b.ledger.Ended(ended)
	b.ledger.Advance(b.app, pos)
	b.must(b.ledger.End(b.t.Context(), b.app, ended, herald.StateWithdrawn))
	return ended
}

func (b *bench) state(m *record.Message, d offline.Device) herald.DeliveryState {
	b.t.Helper()
	b.must(b.ledger.Settled(b.t.Context(), b.app))
	s, err := b.ledger.State(b.t.Context(), m, d.Ord)
	b.must(err)
	return s
}

func (b *bench) want(m *record.Message, d offline.Device, want herald.DeliveryState) {
	b.t.Helper()
	if got := b.state(m, d); got != want {
		b.t.Errorf("message %s: %s, want %s", m.ID, got, want)
	}
}

// page reads one page and gives it as "kind id" in order.
func (b *bench) page(d offline.Device, after herald.Pos, limit int) (out []string, upto herald.Pos, more bool) {
	b.t.Helper()
	list, upto, more, err := b.backlog.Waiting(b.t.Context(), d, after, limit)
	b.must(err)
	if !slices.IsSortedFunc(list, func(a, b offline.Waiting) int { return int(a.Pos) - int(b.Pos) }) {
		b.t.Error("the page is not in log order")
	}
	for _, w := range list {
		out = append(out, fmt.Sprintf("%s %s", w.Kind, w.Msg.ID))
	}
	return out, upto, more
}

func (b *bench) wantPage(d offline.Device, want ...string) {
	b.t.Helper()
	got, upto, more := b.page(d, 0, 100)
	if !slices.Equal(got, want) || more || upto != b.ledger.Released(b.app) {
		b.t.Errorf("waiting %v (up to %d, more %v), want %v", got, upto, more, want)
	}
}

func message(m *record.Message) string { return "message " + m.ID.String() }
func notice(m *record.Message) string  { return "withdraw " + m.ID.String() }

// Direct messages, group messages and notices come in one order, page by page.
func TestPages(t *testing.T) {
	b := newBench(t)
	d, other := b.device(""), b.device("")
	var want []string
	gone := b.send(nil, d)
	b.report(gone, herald.StateReceived, d)
	for i := range 10 {
		change := asGroup
		if i%2 == 0 {
			change = nil
		}
		want = append(want, message(b.send(change, d, other)))
		b.send(change, other)
	}
	want = append(want, notice(b.withdraw(gone)))
	if _, err := b.db.Head(t.Context(), b.app); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 3, 11, 50} {
		var got []string
		var after herald.Pos
		for pages := 0; ; pages++ {
			page, upto, more := b.page(d, after, limit)
			if len(page) > limit {
				t.Fatalf("a page of %d, limit %d", len(page), limit)
			}
			got = append(got, page...)
			if !more {
				if upto != b.ledger.Released(b.app) {
					t.Errorf("limit %d: complete up to %d", limit, upto)
				}
				break
			}
			if upto <= after || pages > 20 {
				t.Fatalf("limit %d: no progress at %d", limit, after)
			}
			after = upto
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
}

// What is released and not tracked yet is not shown: it would be acknowledged
// by a cursor before it is counted.
func TestOnlyUpToTheHead(t *testing.T) {
	b := newBench(t)
	d := b.device("")
	first := b.send(nil, d)
	m := &record.Message{
		Message: herald.Message{ID: b.ids.Next(b.now), App: b.app, Priority: herald.PriorityNormal, TTL: time.Hour, Accepted: b.now, Due: b.now,
			Audience: herald.Audience{All: true}},
		Body: []byte(`{}`), State: herald.MessageSending, Target: 1, Direct: []herald.Ordinal{d.Ord},
	}
	_, err := b.db.Accept(t.Context(), record.Acceptance{Message: *m})
	b.must(err)
	b.wantPage(d, message(first))
}

// Of more than 1,000 direct messages the oldest end, and the newest come.
func TestOverflow(t *testing.T) {
	b := newBench(t)
	d := b.device("")
	group := b.send(asGroup, d) // group messages are not limited by this
	all := b.sendMany(herald.MaxPending+5, d)
	got, upto, more := b.page(d, 0, 2)
	if !slices.Equal(got, []string{message(group), message(all[5])}) || !more || upto != all[5].Pos {
		t.Errorf("the first page is %v", got)
	}
	for i, m := range all[:7] {
		want := herald.StateOverflow
		if i >= 5 {
			want = herald.StatePending
		}
		b.want(m, d, want)
	}
	got, _, _ = b.page(d, 0, 5000)
	if len(got) != herald.MaxPending+1 {
		t.Errorf("%d wait", len(got))
	}
}

// What waits is found behind any number of messages that were received and
// have not ended.
func TestWaitsBehindManyReceived(t *testing.T) {
	b := newBench(t)
	d := b.device("")
	old := b.send(nil, d)
	var events []record.Event
	for _, m := range b.sendMany(2*herald.MaxPending+1, d) {
		events = append(events, record.Event{Msg: m.ID, State: herald.StateReceived, Set: sets.New(d.Ord), Time: b.now})
	}
	b.must(b.ledger.Apply(t.Context(), b.app, events...))
	b.wantPage(d, message(old))
}

func TestExpiredWhileAway(t *testing.T) {
	b := newBench(t)
	d := b.device("")
	short, group, long := b.send(ttl(time.Minute), d), b.send(func(m *record.Message) { asGroup(m); m.TTL = time.Minute }, d), b.send(nil, d)
	b.report(group, herald.StateSent, d)
	b.now = b.now.Add(time.Minute - time.Millisecond)
	b.wantPage(d, message(short), message(group), message(long))
	b.now = b.now.Add(time.Millisecond)
	b.wantPage(d, message(long))
	b.want(short, d, herald.StateExpired)
	b.want(group, d, herald.StateUnconfirmed) // it was sent once
}

// The next user of a shared device never sees what waits for the last one.
func TestRebound(t *testing.T) {
	for _, way := range []string{"at the next connection", "when the alias changes"} {
		t.Run(way, func(t *testing.T) {
			b := newBench(t)
			d := b.device("anna")
			direct, plain := b.send(byAlias, d), b.send(nil, d)
			group := b.send(func(m *record.Message) { asGroup(m); byAlias(m) }, d)
			racing := b.head()
			ben := herald.Alias("ben")
			now, err := b.registry.Update(t.Context(), b.app, d.ID, record.DevicePatch{Alias: &ben})
			b.must(err)
			// Evaluated before the change, released after it.
			late := b.send(func(m *record.Message) { byAlias(m); m.EvalPos = racing }, d)
			his := b.send(byAlias, d)
			if way == "when the alias changes" {
				b.must(b.backlog.Rebound(t.Context(), b.app, sets.New(d.Ord), now.BoundPos))
				b.want(direct, d, herald.StateRebound)
			}
			b.wantPage(d, message(plain), message(his))
			for _, m := range []*record.Message{direct, group, late} {
				b.want(m, d, herald.StateRebound)
			}
			b.want(plain, d, herald.StatePending)
			b.want(his, d, herald.StatePending)
			// There and back loses it all the same.
			anna := herald.Alias("anna")
			_, err = b.registry.Update(t.Context(), b.app, d.ID, record.DevicePatch{Alias: &anna})
			b.must(err)
			b.wantPage(d, message(plain))
		})
	}
}

// A cursor acknowledges what was sent at or before it, and nothing else.
func TestResume(t *testing.T) {
	b := newBench(t)
	d, other := b.device(""), b.device("")
	sent, unsent := b.send(nil, d, other), b.send(nil, d)
	group := b.send(asGroup, d, other)
	behind := b.send(nil, d)
	for _, m := range []*record.Message{sent, group, behind} {
		// As live does: it does not wait until this is written.
		b.ledger.Report(b.app, record.Event{Msg: m.ID, State: herald.StateSent, Set: sets.New(d.Ord), Time: b.now, Via: "test"})
	}
	b.must(b.backlog.Resume(t.Context(), d, group.Pos, 0))
	b.want(sent, d, herald.StateReceived)
	b.want(group, d, herald.StateReceived)
	b.want(unsent, d, herald.StatePending)
	b.want(behind, d, herald.StateSent)
	b.want(sent, other, herald.StatePending)
	b.wantPage(d, message(unsent), message(behind))
	steps, err := b.ledger.History(t.Context(), sent, d.Ord)
	if err != nil || len(steps) != 2 || steps[1].Via != "cursor" {
		t.Errorf("history %+v, %v", steps, err)
	}
	// An old cursor takes nothing back, one of the future does no harm.
	b.must(b.backlog.Resume(t.Context(), d, 1, 0))
	b.want(sent, d, herald.StateReceived)
	b.must(b.backlog.Resume(t.Context(), d, 1<<62, 0))
	b.want(behind, d, herald.StateReceived)
	b.want(unsent, d, herald.StatePending)
	// What a connection has queued counts as sent, written or not.
	b.must(b.backlog.Resume(t.Context(), d, behind.Pos, unsent.Pos))
	b.want(unsent, d, herald.StateReceived)
}

// What was sent on a connection that broke, and must end now, is skipped by the
// next one. A cursor of what came after it does not acknowledge it, also if its
// end was not written because the server crashed.
func TestResumeBehindWhatHasEnded(t *testing.T) {
	for _, kind := range []struct {
		name   string
		change func(*record.Message)
	}{{"direct", nil}, {"group", asGroup}} {
		t.Run(kind.name, func(t *testing.T) {
			b := newBench(t)
			d := b.device("anna")
			short := b.send(func(m *record.Message) {
				if ttl(time.Minute)(m); kind.change != nil {
					kind.change(m)
				}
			}, d)
			hers := b.send(func(m *record.Message) {
				if byAlias(m); kind.change != nil {
					kind.change(m)
				}
			}, d)
			behind := b.send(kind.change, d)
			for _, m := range []*record.Message{short, hers, behind} {
				b.report(m, herald.StateSent, d)
			}
			b.now = b.now.Add(time.Minute)
			ben := herald.Alias("ben")
			_, err := b.registry.Update(t.Context(), b.app, d.ID, record.DevicePatch{Alias: &ben})
			b.must(err)
			b.must(b.backlog.Resume(t.Context(), d, behind.Pos, behind.Pos))
			b.want(behind, d, herald.StateReceived)
			b.wantPage(d)
			b.want(short, d, herald.StateUnconfirmed)
			b.want(hers, d, herald.StateRebound)
		})
	}
}

// A notice waits for who was sent the message until the device knows.
func TestNoticeUntilTold(t *testing.T) {
	b := newBench(t)
	d, never := b.device(""), b.device("")
	m, group := b.send(nil, d, never), b.send(asGroup, d, never)
	b.report(m, herald.StateSent, d)
	b.report(group, herald.StateReceived, d)
	m, group = b.withdraw(m), b.withdraw(group)
	b.wantPage(never)
	b.wantPage(d, notice(m), notice(group))
	b.must(b.backlog.Resume(t.Context(), d, m.EndPos, 0))
	b.wantPage(d, notice(group))
	b.want(m, d, herald.StateUnconfirmed) // knowing that it is gone is not having had it
	b.now = b.now.Add(herald.LateReceipts + time.Second)
	b.wantPage(d)
}

// What waits for a device that is removed ends; what was accepted after its
// removal never counted it.
func TestGone(t *testing.T) {
	b := newBench(t)
	d, other := b.device(""), b.device("")
	waiting, group, had := b.send(nil, d, other), b.send(asGroup, d, other), b.send(nil, d)
	b.report(group, herald.StateSent, d)
	b.report(had, herald.StateReceived, d)
	row, err := b.registry.Remove(t.Context(), b.app, d.ID)
	b.must(err)
	after := b.send(func(m *record.Message) { asGroup(m); m.Target = 1 }, d, other)
	b.must(b.backlog.Gone(t.Context(), d, row.BoundPos))
	b.want(waiting, d, herald.StateDeviceGone)
	b.want(group, d, herald.StateDeviceGone)
	b.want(had, d, herald.StateReceived)
	b.want(waiting, other, herald.StatePending)
	b.want(after, d, "")
	c, err := b.ledger.Counts(t.Context(), after)
	if err != nil || c.Target != 1 || c.States[herald.StatePending] != 1 || len(c.States) != 1 {
		t.Errorf("counts %+v, %v", c, err)
	}
	b.must(b.backlog.Gone(t.Context(), d, row.BoundPos)) // again changes nothing
}

func TestUnknownApp(t *testing.T) {
	b := newBench(t)
	d := offline.Device{App: "cccccccccccccccccccccccc"}
	if _, _, _, err := b.backlog.Waiting(t.Context(), d, 0, 10); err == nil {
		t.Error("something waits in an app that does not exist")
	}
	if err := b.backlog.Rebound(t.Context(), d.App, sets.New(d.Ord), 1); err == nil {
		t.Error("Rebound in an app that does not exist")
	}
}
