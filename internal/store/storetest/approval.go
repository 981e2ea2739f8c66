package storetest

import (
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// awaiting accepts a message that is to be approved.
func (f *fixture) awaiting() record.Acceptance {
	f.t.Helper()
	a := f.message()
	a.State, a.Target, a.CollapseKey = herald.MessageAwaiting, -1, "k"
	a.Facts = &record.Facts{Approval: &record.Approval{Above: 5, Estimate: 7}, Sender: &record.Sender{Kind: "key", ID: "k1", Name: "n"}}
	if out := f.accept(a); out.Pos != 0 {
		f.t.Errorf("it was released at %d", out.Pos)
	}
	return a
}

func (f *fixture) wantState(id herald.MessageID, want herald.MessageState) *record.Message {
	f.t.Helper()
	m, err := f.Message(f.ctx, appA, id)
	f.must(err)
	if m.State != want {
		f.t.Errorf("the message is %s, want %s", m.State, want)
	}
	return m
}

func testApproved(t *testing.T, f *fixture) {
	a := f.awaiting()
	f.restart()
	m := f.wantState(a.ID, herald.MessageAwaiting)
	same(t, "facts", m.Facts, a.Facts)
	list, err := f.Messages(f.ctx, appA, record.MessageFilter{State: herald.MessageAwaiting})
	f.must(err)
	if len(list) != 1 || list[0].ID != a.ID {
		t.Errorf("listed %v", list)
	}
	if at, err := f.NextJob(f.ctx); err != nil || !at.IsZero() {
		t.Errorf("there is a job at %v, %v", at, err)
	}
	f.sleep(48 * time.Hour) // its TTL is an hour, and counts from the approval
	if list, err := f.Expired(f.ctx, f.clock(), 10); err != nil || len(list) != 0 {
		t.Errorf("expired: %v, %v", list, err)
	}
	now := f.clock()
	facts := *m.Facts
	facts.Approval = &record.Approval{Above: 5, Estimate: 7, By: &record.Sender{Kind: "master"}, At: now}
	d := record.Decision{Approved: true, At: now, Due: now, Expires: now.Add(m.TTL), Facts: &facts}
	f.must(f.Decide(f.ctx, appA, a.ID, d))
	refused(t, f.Decide(f.ctx, appA, a.ID, d), herald.CodeConflict)
	refused(t, f.Decide(f.ctx, appA, 7, d), herald.CodeNotFound)
	refused(t, f.Decide(f.ctx, appB, a.ID, d), herald.CodeNotFound)
	refused(t, f.Decide(f.ctx, none, a.ID, d), herald.CodeNotFound)
	f.restart()
	m = f.wantState(a.ID, herald.MessageScheduled)
	same(t, "facts", m.Facts, &facts)
	if !m.Due.Equal(now) || !m.Expires().Equal(now.Add(m.TTL)) {
		t.Errorf("due %v, expires %v", m.Due, m.Expires())
	}
	jobs, err := f.LeaseJobs(f.ctx, now, time.Minute, 10)
	f.must(err)
	if len(jobs) != 1 || jobs[0].Msg != a.ID {
		t.Fatalf("jobs %+v", jobs)
	}
	released := *m
	released.Target = 0
	out, err := f.ReleaseDue(f.ctx, jobs[0], released)
	f.must(err)
	if out.Pos != 1 {
		t.Errorf("released at %d", out.Pos)
	}
	f.wantState(a.ID, herald.MessageSending)
	f.sleep(2 * time.Hour)
	if list, err := f.Expired(f.ctx, f.clock(), 10); err != nil || len(list) != 1 {
		t.Errorf("expired: %v, %v", list, err)
	}
}

func testRejected(t *testing.T, f *fixture) {
	a, b, c := f.awaiting(), f.awaiting(), f.awaiting()
	now := f.clock()
	facts := *a.Facts
	facts.Approval = &record.Approval{Above: 5, Estimate: 7, By: &record.Sender{Kind: "master"}, At: now, Reason: "错了"}
	d := record.Decision{At: now, Facts: &facts}
	f.must(f.Decide(f.ctx, appA, a.ID, d))
	refused(t, f.Decide(f.ctx, appA, a.ID, d), herald.CodeConflict)
	m := f.wantState(a.ID, herald.MessageRejected)
	same(t, "facts", m.Facts, &facts)
	if !m.Ended.Equal(now) {
		t.Errorf("ended %v", m.Ended)
	}
	// It can be withdrawn, too, or wait for too long.
	_, err := f.EndMessage(f.ctx, appA, b.ID, herald.MessageWithdrawn, now)
	f.must(err)
	refused(t, f.Decide(f.ctx, appA, b.ID, d), herald.CodeConflict)
	f.sleep(herald.ApprovalTTL)
	list, err := f.Expired(f.ctx, f.clock(), 10)
	f.must(err)
	if len(list) != 1 || list[0].ID != c.ID || list[0].State != herald.MessageAwaiting {
		t.Errorf("expired: %v", list)
	}
	ids, err := f.ByCollapseKey(f.ctx, appA, "k")
	f.must(err)
	same(t, "what has a collapse key", ids, []herald.MessageID{c.ID})
}
