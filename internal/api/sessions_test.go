package api_test

import (
	"context"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/topiclog"
)

// persistent keeps sessions that outlive their connections.
func (w *world) persistent(now func() time.Time) *topiclog.Log {
	w.log = topiclog.New(topiclog.Config{Store: w.db, Now: now})
	w.t.Cleanup(w.log.Close)
	return w.log
}

// session opens a session of a device, with a subscription.
func (w *world) session(client string, ord herald.Ordinal) {
	w.t.Helper()
	_, _, err := w.log.Open(w.t.Context(), record.TopicSession{App: w.a, Client: client, Ord: ord, Expiry: 60, Version: 5})
	w.must(err)
	done := make(chan error, 1)
	w.log.Change(w.a, client, record.TopicSessionChange{Subscribe: []record.TopicSub{{Filter: "a/#", QoS: 1}}}, func(err error) { done <- err })
	w.must(<-done)
}

func (w *world) away(client string) {
	w.t.Helper()
	w.must(w.log.Away(w.t.Context(), w.a, client, w.now))
}

func (w *world) sessionMethods() map[string]func(context.Context, api.Principal) error {
	w.session("here", 1)
	return map[string]func(context.Context, api.Principal) error{
		"list sessions": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Sessions.List(ctx, p, api.SessionQuery{})
			return err
		},
		"session": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Sessions.Get(ctx, p, "here")
			return err
		},
		"end session": func(ctx context.Context, p api.Principal) error {
			w.session("away", 1)
			w.away("away")
			return w.s.Sessions.End(ctx, p, "away")
		},
	}
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	d := w.device(w.a, api.RegisterRequest{}).Device
	row, err := w.registry.Device(ctx, w.a, d)
	w.must(err)
	w.session("one", row.Ord)
	w.session("two", row.Ord)
	w.session("three", row.Ord+1000)
	w.away("two")
	page, err := w.s.Sessions.List(ctx, w.masterA, api.SessionQuery{Device: d})
	w.must(err)
	if len(page.Sessions) != 2 || !page.Sessions[0].Connected || page.Sessions[1].Connected || page.Sessions[1].RegistrationID != d ||
		page.Sessions[1].EndsAt.IsZero() || page.Sessions[0].MQTTVersion != "5.0" || page.NextCursor != "" {
		t.Errorf("the sessions of a device are %+v", page)
	}
	page, err = w.s.Sessions.List(ctx, w.masterA, api.SessionQuery{Limit: 1, Cursor: "one"})
	w.must(err)
	if len(page.Sessions) != 1 || page.Sessions[0].ClientID != "three" || page.NextCursor != "three" {
		t.Errorf("a page is %+v", page)
	}
	done := make(chan error, 1)
	w.log.Append(w.a, &record.TopicEntry{Topic: "a/b", QoS: 1, Payload: []byte("x")}, func(err error) { done <- err })
	w.must(<-done)
	v, err := w.s.Sessions.Get(ctx, w.masterA, "two")
	w.must(err)
	if v.Waiting == nil || *v.Waiting != 1 || len(v.Subscriptions) != 1 || v.Subscriptions[0] != (api.SessionSubscription{Filter: "a/#", QoS: 1}) {
		t.Errorf("a session is %+v", v)
	}
	for err, want := range map[error]herald.Code{
		w.s.Sessions.End(ctx, w.masterA, "one"):  herald.CodeConflict,
		w.s.Sessions.End(ctx, w.masterA, "two"):  "",
		w.s.Sessions.End(ctx, w.masterA, "four"): herald.CodeNotFound,
	} {
		if herald.CodeOf(err) != want {
			t.Errorf("got %v, want code %q", err, want)
		}
	}
	_, err = w.s.Sessions.Get(ctx, w.masterA, "two")
	if herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("after its end: %v", err)
	}
	_, err = w.s.Sessions.List(ctx, w.masterA, api.SessionQuery{Device: "00000000000000000000"})
	if herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("of a device that is not there: %v", err)
	}
}
