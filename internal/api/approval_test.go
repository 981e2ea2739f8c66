package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func (w *world) approval(above int64) {
	w.t.Helper()
	_, err := w.s.Apps.Update(w.t.Context(), w.masterA, api.AppUpdate{Approval: &api.ApprovalRule{Required: true, Above: above}})
	w.must(err)
}

// key makes a key of the first app that may send.
func (w *world) key(name string) api.Principal {
	w.t.Helper()
	k, err := w.s.Apps.CreateKey(w.t.Context(), w.masterA, api.KeyRequest{Name: name, Scopes: []string{"messages:send"}})
	w.must(err)
	p, err := w.s.Apps.Bearer(w.t.Context(), k.Key, netip.Addr{})
	w.must(err)
	return p
}

// approvalMethods are the rows of the matrix about approval. Each call has a
// message of its own, of a sender who is none of the callers.
func (w *world) approvalMethods() map[string]func(context.Context, api.Principal) error {
	sender := w.key("sender")
	held := func() herald.MessageID {
		w.approval(0)
		a, err := w.send(sender, `{"audience":"all","data":1}`)
		w.must(err)
		_, err = w.s.Apps.Update(w.t.Context(), w.masterA, api.AppUpdate{Approval: &api.ApprovalRule{}})
		w.must(err)
		return a.ID
	}
	return map[string]func(context.Context, api.Principal) error{
		"approve": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Approve(ctx, p, held())
			return err
		},
		"reject": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Reject(ctx, p, held(), api.RejectRequest{})
			return err
		},
	}
}

func TestApproval(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.device(w.a, api.RegisterRequest{Alias: "ann"})
	}
	d := w.device(w.a, api.RegisterRequest{Alias: "ben"})
	w.approval(2)
	first, second := w.key("first"), w.key("second")

	// What is for few goes as ever.
	if few := w.sent(first, `{"audience":{"aliases":["ben"]},"data":1}`); few.Awaiting || *few.Target != 1 {
		t.Errorf("%+v", few)
	}
	held, err := w.sendKey(first, `{"audience":"all","data":1,"ttl":60}`, "k")
	w.must(err)
	if !held.Awaiting || held.Target != nil || *held.Estimate != 4 || !held.Stored {
		t.Fatalf("%+v", held)
	}
	if again, err := w.sendKey(first, `{"audience":"all","data":1,"ttl":60}`, "k"); err != nil || again.ID != held.ID || !again.Awaiting {
		t.Errorf("again %+v, %v", again, err)
	}
	l, err := w.s.Messages.List(t.Context(), w.masterA, herald.MessageAwaiting, "", 0)
	w.must(err)
	if len(l.Messages) != 1 || l.Messages[0].ID != held.ID || l.Messages[0].Approval.SentBy.Name != "first" || l.Messages[0].Counts != nil {
		t.Fatalf("listed %s", asJSON(t, l))
	}
	trace, err := w.s.Messages.Trace(t.Context(), w.masterA, held.ID, d.Device)
	w.must(err)
	if !strings.Contains(trace.Summary, "until another key approves it") || trace.Steps[1].Event != "awaiting_approval" {
		t.Errorf("trace %s", asJSON(t, trace))
	}
	if _, err := w.s.Messages.Approve(t.Context(), first, held.ID); code(err) != herald.CodeForbidden {
		t.Errorf("by its sender: %v", err)
	}
	w.pass(time.Hour) // far beyond its TTL, which counts from the approval
	v, err := w.s.Messages.Approve(t.Context(), second, held.ID)
	w.must(err)
	if v.State != herald.MessageScheduled || v.Approval.DecidedBy.Name != "second" || !v.ExpiresAt.Equal(w.now.Add(time.Minute)) {
		t.Errorf("approved %s", asJSON(t, v))
	}
	if states := w.states(w.masterA, held.ID, herald.MessageSending); states[herald.StatePending] != 4 {
		t.Errorf("states %v", states)
	}
	if _, err := w.s.Messages.Approve(t.Context(), second, held.ID); code(err) != herald.CodeConflict {
		t.Errorf("approved again: %v", err)
	}
	if trace, err = w.s.Messages.Trace(t.Context(), w.masterA, held.ID, d.Device); err != nil || trace.State != herald.StatePending {
		t.Errorf("trace %s, %v", asJSON(t, trace), err)
	}
	if _, err := w.s.Messages.Approve(t.Context(), second, 7); code(err) != herald.CodeNotFound {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestReject(t *testing.T) {
	w := newWorld(t)
	d := w.device(w.a, api.RegisterRequest{})
	w.approval(0)
	first := w.key("first")
	send := func(members string) herald.MessageID {
		t.Helper()
		a, err := w.send(first, `{"audience":"all","data":1`+members+`}`)
		w.must(err)
		if !a.Awaiting {
			t.Fatal("it does not wait")
		}
		return a.ID
	}
	rejected, withdrawn, forgotten := send(""), send(""), send("")
	v, err := w.s.Messages.Reject(t.Context(), w.masterA, rejected, api.RejectRequest{Reason: "too late"})
	w.must(err)
	if v.State != herald.MessageRejected || v.Approval.Reason != "too late" || v.Approval.DecidedBy.Kind != "master" || v.EndedAt == nil {
		t.Errorf("rejected %s", asJSON(t, v))
	}
	for what, err := range map[string]error{
		"approve": errorOf(w.s.Messages.Approve(t.Context(), w.masterA, rejected)),
		"reject":  errorOf(w.s.Messages.Reject(t.Context(), w.masterA, rejected, api.RejectRequest{})),
	} {
		if code(err) != herald.CodeConflict {
			t.Errorf("%s what was rejected: %v", what, err)
		}
	}
	if _, err := w.s.Messages.Reject(t.Context(), w.masterA, withdrawn, api.RejectRequest{Reason: long(501)}); code(err) != herald.CodeInvalidRequest {
		t.Errorf("a long reason: %v", err)
	}
	_, err = w.s.Messages.Withdraw(t.Context(), first, withdrawn)
	w.must(err)
	own := send("")
	_, err = w.s.Messages.Reject(t.Context(), first, own, api.RejectRequest{})
	w.must(err)
	// A scheduled one goes at its time, if it was approved before.
	at := w.now.Add(time.Hour)
	later := send(fmt.Sprintf(`,"send_at":"%s"`, at.Format(time.RFC3339Nano)))
	if v, err = w.s.Messages.Approve(t.Context(), w.masterA, later); err != nil || v.SendAt == nil || !v.SendAt.Equal(at) {
		t.Errorf("approved %s, %v", asJSON(t, v), err)
	}
	_, err = w.send(first, `{"audience":"all","data":1,"ttl":0}`)
	var e *herald.Error
	if !errors.As(err, &e) || e.Field != "ttl" {
		t.Errorf("with TTL 0: %v", err)
	}
	w.pass(herald.ApprovalTTL)
	if _, err := w.s.Messages.Approve(t.Context(), w.masterA, forgotten); code(err) != herald.CodeConflict {
		t.Errorf("after 7 days: %v", err)
	}
	w.states(w.masterA, forgotten, herald.MessageExpired)
	for id, want := range map[herald.MessageID]string{rejected: "rejected it", withdrawn: "withdrawn", forgotten: "nobody has approved"} {
		if trace, err := w.s.Messages.Trace(t.Context(), w.masterA, id, d.Device); err != nil || !strings.Contains(trace.Summary, want) {
			t.Errorf("trace %s, %v", asJSON(t, trace), err)
		}
	}
	if _, err := w.s.Apps.Update(t.Context(), w.masterA, api.AppUpdate{Approval: &api.ApprovalRule{Above: -1}}); code(err) != herald.CodeInvalidRequest {
		t.Errorf("below nobody: %v", err)
	}
}

// Messages of a batch and of a group wait like others, and the group's other
// apps do not.
func TestApprovalOfMany(t *testing.T) {
	w := newWorld(t)
	w.device(w.a, api.RegisterRequest{})
	w.approval(0)
	item, _ := w.s.Messages.DecodeItem([]byte(`{"audience":"all","data":1}`))
	out := w.s.Messages.SendBatch(t.Context(), w.masterA, []api.BatchItem{item})
	if out[0].Err != nil || !out[0].Answer.Awaiting {
		t.Errorf("%+v", out)
	}
	if _, err := w.s.Messages.Approve(t.Context(), w.masterA, out[0].Answer.ID); code(err) != herald.CodeForbidden {
		t.Errorf("by its sender: %v", err)
	}
	sent, err := w.toGroup(w.grouped(w.a, w.b), `{"audience":"all","data":1}`, "")
	w.must(err)
	if !sent.Apps[0].Answer.Awaiting || sent.Apps[1].Answer.Awaiting {
		t.Errorf("%+v", sent)
	}
	v, err := w.s.Messages.Approve(t.Context(), w.masterA, sent.Apps[0].Answer.ID)
	w.must(err)
	if v.Approval.SentBy.Kind != "group" {
		t.Errorf("%s", asJSON(t, v))
	}
}
