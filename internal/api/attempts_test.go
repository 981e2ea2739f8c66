package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// routedTo accepts a message to devices of the first app, with a step for
// vendors at once and one for text messages after 5 minutes.
func (w *world) routedTo(id herald.MessageID, facts record.Facts, devices ...api.Principal) {
	w.t.Helper()
	facts.Route = &herald.Route{Steps: []herald.RouteStep{{Channel: herald.ChannelLive}, {Channel: herald.ChannelVendor}, {Channel: herald.ChannelSMS, After: herald.Duration(5 * time.Minute)}}}
	a := record.Acceptance{
		Message: record.Message{
			Message: herald.Message{ID: id, App: w.a, Priority: herald.PriorityNormal, TTL: time.Hour, Accepted: w.now, Due: w.now},
			Body:    []byte(`{"data":1}`), State: herald.MessageSending, Target: int64(len(devices)), Facts: &facts,
			Later: []record.StepAfter{{Step: 1}, {Step: 2, After: 5 * time.Minute}},
		},
	}
	for _, d := range devices {
		a.Direct, a.Audience.RegistrationIDs = append(a.Direct, d.Ord), append(a.Audience.RegistrationIDs, d.Device)
	}
	_, err := w.db.Accept(w.t.Context(), a)
	w.must(err)
	w.settle()
}

// came writes what came of the step of a message that is due. One with a Tries
// of 0 is not kept in detail.
func (w *world) came(id herald.MessageID, list ...record.Attempt) {
	w.t.Helper()
	ctx := w.t.Context()
	steps, err := w.db.LeaseRouteSteps(ctx, w.now, time.Second, 9)
	w.must(err)
	if len(steps) != 1 || steps[0].Msg != id {
		w.t.Fatalf("due are %+v, want the step of message %s", steps, id)
	}
	var errands []record.Errand
	for i, a := range list {
		lane := record.Lane{App: w.a, Vendor: a.Vendor, Env: fmt.Sprint(i)}
		errands = append(errands, record.Errand{Lane: lane, Msg: id, Step: steps[0].Step, Owner: a.Owner, Kind: "k", At: w.now, Left: sets.New(a.Ord)})
	}
	w.must(w.db.PlanStep(ctx, steps[0], errands, true))
	for i, a := range list {
		leased, err := w.db.LeaseErrands(ctx, errands[i].Lane, w.now, time.Second, 9)
		w.must(err)
		e := leased[0]
		e.Left = sets.New()
		save := record.ErrandSave{Errand: &e, Tallies: []record.Tally{{Fate: a.Fate, Code: a.Code, Set: sets.New(a.Ord)}}}
		if a.Tries > 0 {
			a.App, a.Msg, a.Step, a.At = w.a, id, e.Step, w.now
			save.Attempts = []record.Attempt{a}
		}
		w.must(w.db.SaveErrand(ctx, save))
	}
}

// person is the ordinal of who has an alias.
func (w *world) person(alias herald.Alias) herald.Ordinal {
	w.t.Helper()
	_, err := w.s.Devices.PutAddresses(w.t.Context(), w.masterA, alias, api.RecipientAddressesRequest{Phone: "+442079460000"})
	w.must(err)
	found, err := w.db.Recipients(w.t.Context(), w.a, []herald.Alias{alias})
	w.must(err)
	return herald.Ordinal(found[alias].Ord)
}

// attemptMethods are the rows of the matrix about attempts.
func (w *world) attemptMethods(target herald.MessageID) map[string]func(context.Context, api.Principal) error {
	all := api.DeadLetterRequest{Vendor: herald.VendorAPNs}
	return map[string]func(context.Context, api.Principal) error{
		"attempts": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.Attempts(ctx, p, target)
			return err
		},
		// A key that has both scopes, whatever else it has.
		"attempts, both": func(ctx context.Context, p api.Principal) error {
			p.Scopes = append([]api.Scope{api.ScopeRead, api.ScopeDevicesRead}, p.Scopes...)
			_, err := w.s.Messages.Attempts(ctx, p, target)
			return err
		},
		"dead letters": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.DeadLetters(ctx, p, 0)
			return err
		},
		"retry dead": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.RetryDeadLetters(ctx, p, all)
			return err
		},
		"discard dead": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Messages.DiscardDeadLetters(ctx, p, all)
			return err
		},
	}
}

// untimed is an answer as JSON, without the times of the test.
func (w *world) untimed(v any) string {
	w.t.Helper()
	b, err := json.Marshal(v)
	w.must(err)
	at := func(d time.Duration) string { return w.now.Add(d).Format(time.RFC3339Nano) }
	return strings.NewReplacer(at(0), "NOW", at(5*time.Minute), "LATER").Replace(string(b))
}

func TestAttemptReport(t *testing.T) {
	w := newWorld(t)
	one, two := w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})
	ann := w.person("ann")
	w.routedTo(7, record.Facts{Debug: true}, one, two)
	before, err := w.s.Messages.Attempts(t.Context(), w.masterA, 7)
	w.must(err)
	if got := w.untimed(before); got != `{"message_id":"7","outcomes":[],"attempts":[],"pending":[{"step":1,"due_at":"NOW"},{"step":2,"due_at":"LATER"}]}` {
		t.Errorf("at first: %s", got)
	}
	problem := &record.Problem{Kind: "unregistered", Code: "30003", Text: "unreachable", Remedy: "Ask.", At: w.now}
	w.came(7,
		record.Attempt{Vendor: herald.VendorAPNs, Owner: record.OwnerDevice, Ord: one.Ord, Fate: record.FateAccepted, Reference: "r", Tries: 1, Trace: json.RawMessage(`[{"status":200}]`), State: herald.StateReceived, StateAt: w.now},
		record.Attempt{Vendor: herald.VendorAPNs, Owner: record.OwnerDevice, Ord: two.Ord, Fate: record.FateFailed, Code: "rejected/BadTopic", Text: "wrong", Remedy: "Mend it.", Tries: 2},
		record.Attempt{Vendor: herald.VendorTwilio, Owner: record.OwnerRecipient, Ord: ann, Fate: record.FateAccepted, Tries: 1, Parts: 2, Shortened: true, Problem: problem},
		record.Attempt{Vendor: herald.VendorDingTalk, Owner: record.OwnerApp, Fate: record.FateUnknown, Code: "unavailable", Tries: 1},
		record.Attempt{Vendor: herald.VendorFCM, Owner: record.OwnerDevice, Ord: one.Ord, Fate: record.FateSkipped, Code: "expired"},
	)
	r, err := w.s.Messages.Attempts(t.Context(), w.masterA, 7)
	w.must(err)
	outcome := func(vendor, owner, fate, code string) string {
		return `{"step":1,"channel":"vendor","vendor":"` + vendor + `","owner":"` + owner + `","outcome":"` + fate + `"` + code + `,"count":1,"last_at":"NOW"}`
	}
	counted := map[string]bool{}
	for _, o := range r.Outcomes {
		counted[w.untimed(o)] = true
	}
	if diff := cmp.Diff(map[string]bool{
		outcome("apns", "device", "accepted", ""): true, outcome("apns", "device", "failed", `,"code":"rejected/BadTopic"`): true, outcome("twilio", "recipient", "accepted", ""): true,
		outcome("dingtalk", "app", "unknown", `,"code":"unavailable"`): true, outcome("fcm", "device", "skipped", `,"code":"expired"`): true,
	}, counted); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	told := map[string]bool{}
	for _, a := range r.Attempts {
		told[w.untimed(a)] = true
	}
	if diff := cmp.Diff(map[string]bool{
		`{"step":1,"vendor":"apns","registration_id":"` + string(one.Device) + `","outcome":"accepted","reference":"r","tries":1,"at":"NOW","state":"received","state_at":"NOW","trace":[{"status":200}]}`:                 true,
		`{"step":1,"vendor":"apns","registration_id":"` + string(two.Device) + `","outcome":"failed","code":"rejected/BadTopic","text":"wrong","remedy":"Mend it.","tries":2,"at":"NOW"}`:                                  true,
		`{"step":1,"vendor":"twilio","alias":"ann","outcome":"accepted","tries":1,"parts":2,"shortened":true,"at":"NOW","problem":{"kind":"unregistered","code":"30003","text":"unreachable","remedy":"Ask.","at":"NOW"}}`: true,
		`{"step":1,"vendor":"dingtalk","outcome":"unknown","code":"unavailable","tries":1,"at":"NOW"}`:                                                                                                                     true,
	}, told); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	if got := w.untimed(r.Pending); got != `[{"step":2,"due_at":"LATER"}]` {
		t.Errorf("pending: %s", got)
	}
	for what, p := range map[string]api.Principal{"8": w.masterA, "7": w.masterB} {
		id, err := herald.ParseMessageID(what)
		w.must(err)
		if _, err := w.s.Messages.Attempts(t.Context(), p, id); code(err) != herald.CodeNotFound {
			t.Errorf("message %s of %s: %v", what, p.App, err)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d := []api.Principal{w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{}), w.device(w.a, api.RegisterRequest{})}
	for id := herald.MessageID(1); id <= 2; id++ {
		w.routedTo(id, record.Facts{}, d...)
		w.came(id,
			record.Attempt{Vendor: herald.VendorAPNs, Owner: record.OwnerDevice, Ord: d[0].Ord, Fate: record.FateFailed, Code: "rejected/BadTopic"},
			record.Attempt{Vendor: herald.VendorFCM, Owner: record.OwnerDevice, Ord: d[1].Ord, Fate: record.FateUnknown, Code: "unavailable"},
			record.Attempt{Vendor: herald.VendorAPNs, Owner: record.OwnerDevice, Ord: d[2].Ord, Fate: record.FateAccepted},
		)
		w.pass(time.Second)
	}
	dead := func() (out []string) {
		t.Helper()
		list, err := w.s.Messages.DeadLetters(ctx, w.masterA, 0)
		w.must(err)
		for _, l := range list.DeadLetters {
			out = append(out, fmt.Sprintf("%s %s %s", l.MessageID, l.Vendor, l.Code))
		}
		return out
	}
	if got := dead(); len(got) != 4 || got[0][0] != '2' || got[3][0] != '1' {
		t.Errorf("listed %q, want those of message 2 before those of message 1", got)
	}
	if list, err := w.s.Messages.DeadLetters(ctx, w.masterB, 0); err != nil || list.DeadLetters == nil || len(list.DeadLetters) != 0 {
		t.Errorf("another app has %+v, %v", list, err)
	}
	_, err := w.s.Messages.DeadLetters(ctx, w.masterA, 1001)
	wantInvalid(t, err, "limit")
	step := 0
	for _, q := range []api.DeadLetterRequest{{}, {Step: &step}} {
		_, err := w.s.Messages.RetryDeadLetters(ctx, w.masterA, q)
		wantInvalid(t, err, "message_id")
		_, err = w.s.Messages.DiscardDeadLetters(ctx, w.masterA, q)
		wantInvalid(t, err, "message_id")
	}
	first := 1
	for _, tc := range []struct {
		name string
		q    api.DeadLetterRequest
		do   func(context.Context, api.Principal, api.DeadLetterRequest) (api.DeadLetterDone, error)
		by   api.Principal
		want int64
		left []string
	}{
		{"by another app", api.DeadLetterRequest{Vendor: "apns"}, w.s.Messages.RetryDeadLetters, w.masterB, 0, []string{"2 apns rejected/BadTopic", "2 fcm unavailable", "1 apns rejected/BadTopic", "1 fcm unavailable"}},
		{"of another step", api.DeadLetterRequest{Vendor: "apns", Step: &step}, w.s.Messages.RetryDeadLetters, w.masterA, 0, []string{"2 apns rejected/BadTopic", "2 fcm unavailable", "1 apns rejected/BadTopic", "1 fcm unavailable"}},
		{"with another code", api.DeadLetterRequest{Vendor: "apns", Code: "unavailable"}, w.s.Messages.DiscardDeadLetters, w.masterA, 0, []string{"2 apns rejected/BadTopic", "2 fcm unavailable", "1 apns rejected/BadTopic", "1 fcm unavailable"}},
		{"by message, vendor and step", api.DeadLetterRequest{MessageID: 1, Vendor: "apns", Step: &first}, w.s.Messages.RetryDeadLetters, w.masterA, 1, []string{"2 apns rejected/BadTopic", "2 fcm unavailable", "1 fcm unavailable"}},
		{"by code", api.DeadLetterRequest{Code: "unavailable"}, w.s.Messages.DiscardDeadLetters, w.masterA, 2, []string{"2 apns rejected/BadTopic"}},
		{"by vendor", api.DeadLetterRequest{Vendor: "apns"}, w.s.Messages.RetryDeadLetters, w.masterA, 1, nil},
		{"none are left", api.DeadLetterRequest{MessageID: 2}, w.s.Messages.DiscardDeadLetters, w.masterA, 0, nil},
	} {
		done, err := tc.do(ctx, tc.by, tc.q)
		w.must(err)
		got := dead()
		if len(got) == 4 || len(got) == 3 { // of one time in any order
			if len(got) != len(tc.left) {
				t.Errorf("%s: left are %q, want %q", tc.name, got, tc.left)
			}
		} else if diff := cmp.Diff(tc.left, got); diff != "" {
			t.Errorf("%s: left (-want +got):\n%s", tc.name, diff)
		}
		if done.Count != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, done.Count, tc.want)
		}
	}
	// What is retried is due again, what was discarded counts as that.
	r, err := w.s.Messages.Attempts(ctx, w.masterA, 1)
	w.must(err)
	fates := map[record.Fate]int64{}
	for _, o := range r.Outcomes {
		fates[o.Outcome] += o.Count
	}
	if diff := cmp.Diff(map[record.Fate]int64{record.FateAccepted: 1, record.FateDiscarded: 1}, fates); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if len(r.Pending) != 2 || r.Pending[0].Step != 1 || r.Pending[0].DueAt.After(w.now) {
		t.Errorf("pending: %+v", r.Pending)
	}
}

// TestTraceOfVendors: the trace of a message on a device tells which vendors the
// app has nothing of, and what came of asking the others. Back ends alone see it.
func TestTraceOfVendors(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d, other := w.device(w.a, api.RegisterRequest{Profile: api.Profile{Platform: herald.PlatformIOS}}), w.device(w.a, api.RegisterRequest{Profile: api.Profile{Platform: herald.PlatformIOS}})
	facts := record.Facts{Vendors: herald.VendorOptions{herald.VendorAPNs: json.RawMessage(`{}`), herald.EveryVendor: json.RawMessage(`{}`), herald.VendorSMS: json.RawMessage(`{}`)}}
	w.routedTo(7, facts, d, other)
	traced := func(p, of api.Principal) string {
		t.Helper()
		trace, err := w.s.Messages.Trace(ctx, p, 7, of.Device)
		w.must(err)
		var out []string
		for _, s := range trace.Steps {
			if s.Event == "no_channel" {
				out = append(out, "none to "+s.Via)
			} else if strings.HasPrefix(s.Event, "vendor_") {
				out = append(out, s.Event+" "+s.Via+": "+s.Text)
			}
		}
		return strings.Join(out, "\n")
	}
	want := func(when, got, want string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	want("without a credential", traced(w.masterA, d), "none to all\nnone to apns\nnone to sms")
	w.credential("", "right", false)
	want("with one", traced(w.masterA, d), "none to sms")
	w.pass(time.Second)
	w.came(7,
		record.Attempt{Vendor: herald.VendorAPNs, Owner: record.OwnerDevice, Ord: d.Ord, Fate: record.FateFailed, Code: "rejected/BadTopic", Text: "the topic is not the app's", Remedy: "Mend it.", Tries: 1},
		record.Attempt{Vendor: herald.VendorFCM, Owner: record.OwnerDevice, Ord: d.Ord, Fate: record.FateUnknown, Code: "unavailable", Tries: 1},
		record.Attempt{Vendor: herald.VendorHuawei, Owner: record.OwnerDevice, Ord: d.Ord, Fate: record.FateAccepted, Shortened: true, Tries: 1,
			Problem: &record.Problem{Kind: "unregistered", Code: "5", Text: "it was removed", At: w.now.Add(time.Second)}},
		record.Attempt{Vendor: herald.VendorAPNs, Owner: record.OwnerDevice, Ord: other.Ord, Fate: record.FateAccepted, Tries: 1},
		record.Attempt{Vendor: herald.VendorFCM, Owner: record.OwnerDevice, Ord: other.Ord, Fate: record.FateSkipped, Code: "expired"},
		record.Attempt{Owner: record.OwnerDevice, Ord: other.Ord, Fate: record.FateSkipped, Code: "no_credential"},
	)
	want("afterwards", traced(w.masterA, d), "none to sms\n"+
		"vendor_failed apns: apns did not take it: the topic is not the app's (rejected/BadTopic). Mend it.\n"+
		"vendor_unknown fcm: fcm was asked and did not answer; it may have taken it: unavailable.\n"+
		"vendor_accepted huawei: huawei took it, with its text shortened to what huawei allows.\n"+
		"vendor_failed huawei: huawei said later that it did not arrive: it was removed (unregistered/5).")
	want("on another device", traced(w.masterA, other), "none to sms\nvendor_accepted apns: apns took it.\nvendor_skipped : no vendor was asked: no_credential.\nvendor_skipped fcm: fcm was not asked: expired.")
	want("for the device itself", traced(d, d), "")
	w.ledger.Report(w.a, record.Event{Msg: 7, State: herald.StateSent, Set: sets.New(other.Ord), Time: w.now, Via: string(herald.VendorAPNs)})
	w.must(w.ledger.Settled(ctx, w.a))
	trace, err := w.s.Messages.Trace(ctx, other, 7, other.Device)
	w.must(err)
	if !strings.Contains(trace.Summary, "it was handed to apns") || trace.Steps[len(trace.Steps)-1].Text != "Handed to apns." {
		t.Errorf("once it was handed over: %s", asJSON(t, trace))
	}
}
