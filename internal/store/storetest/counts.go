package storetest

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// testCounts: what became of a message can be asked for after it was purged.
func testCounts(t *testing.T, f *fixture) {
	early, late, open := f.message(1, 2), f.group(dense(2)), f.message(1)
	for _, m := range []record.Acceptance{early, late, open} {
		f.accept(m)
	}
	for i, m := range []record.Acceptance{early, late} {
		_, err := f.EndMessage(f.ctx, appA, m.ID, herald.MessageExpired, start.Add(time.Duration(i)*time.Minute))
		f.must(err)
	}
	list, err := f.Purgeable(f.ctx, start, 10)
	if f.must(err); len(list) != 0 {
		t.Errorf("%d messages are listed before their time", len(list))
	}
	list, err = f.Purgeable(f.ctx, start.Add(time.Hour), 1)
	f.must(err)
	same(t, "what is purged first", list, []*record.Message{f.find(early.ID)})
	_, err = f.Counted(f.ctx, appA, early.ID)
	refused(t, err, herald.CodeNotFound)
	c := f.find(early.ID).Count(herald.Counts{Target: 2, Sent: 1, States: map[herald.DeliveryState]int64{herald.StateSent: 1, herald.StatePending: 1}})
	f.must(f.KeepCounts(f.ctx, c, start.Add(2*time.Hour)))
	c.Counts.Received = 1
	f.must(f.KeepCounts(f.ctx, c, start.Add(3*time.Hour))) // again, after a crash
	_, err = f.Purge(f.ctx, start, start.Add(time.Hour), 10)
	f.must(err)
	f.restart()
	got, err := f.Counted(f.ctx, appA, early.ID)
	f.must(err)
	same(t, "what is kept", *got, c)
	_, err = f.Counted(f.ctx, appB, early.ID)
	refused(t, err, herald.CodeNotFound)
	_, err = f.Counted(f.ctx, none, early.ID)
	refused(t, err, herald.CodeNotFound)
	c.Message.App = none
	refused(t, f.KeepCounts(f.ctx, c, start), herald.CodeNotFound)
	_, err = f.Purge(f.ctx, start.Add(3*time.Hour-time.Millisecond), start, 10)
	f.must(err)
	_, err = f.Counted(f.ctx, appA, early.ID)
	f.must(err)
	_, err = f.Purge(f.ctx, start.Add(3*time.Hour), start, 10)
	f.must(err)
	_, err = f.Counted(f.ctx, appA, early.ID)
	refused(t, err, herald.CodeNotFound)
	// Delivery numbers that nobody has any more.
	n, err := f.FirstDelivery(f.ctx, appA)
	if f.must(err); n != f.find(open.ID).FirstN {
		t.Errorf("the first number is %d, want %d", n, f.find(open.ID).FirstN)
	}
	_, err = f.EndMessage(f.ctx, appA, open.ID, herald.MessageExpired, start)
	f.must(err)
	_, err = f.Purge(f.ctx, start, start.Add(time.Hour), 10)
	f.must(err)
	after, err := f.FirstDelivery(f.ctx, appA)
	if f.must(err); after != n+1 {
		t.Errorf("with no message the first number is %d, want %d", after, n+1)
	}
	_, err = f.FirstDelivery(f.ctx, none)
	refused(t, err, herald.CodeNotFound)
}
