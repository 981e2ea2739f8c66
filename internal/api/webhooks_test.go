package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/webhook"
)

// endpoint answers every request, and checks none.
type endpoint struct{}

func (endpoint) Check(raw string) (*url.URL, error) { return url.Parse(raw) }

func (endpoint) Post(context.Context, string, http.Header, []byte) (egress.Answer, error) {
	return egress.Answer{Status: 204}, nil
}

func (w *world) webhooks(clock func() time.Time) *webhook.Sender {
	ring, err := seal.New(make([]byte, 32))
	w.must(err)
	return webhook.New(webhook.Config{Store: w.db, Egress: endpoint{}, Seal: ring, Now: clock})
}

func (w *world) webhook() api.WebhookAnswer {
	w.t.Helper()
	a, err := w.s.Webhooks.Create(w.t.Context(), w.masterA, api.WebhookRequest{URL: "https://example.com/"})
	w.must(err)
	return a
}

// webhookMethods are the rows of the matrix about webhooks.
func (w *world) webhookMethods() map[string]func(context.Context, api.Principal) error {
	one := w.webhook().ID
	return map[string]func(context.Context, api.Principal) error{
		"list webhooks": func(ctx context.Context, p api.Principal) error { _, err := w.s.Webhooks.List(ctx, p); return err },
		"webhook":       func(ctx context.Context, p api.Principal) error { _, err := w.s.Webhooks.Get(ctx, p, one); return err },
		"deliveries of one": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Webhooks.Deliveries(ctx, p, one, "", 0)
			return err
		},
		"create webhook": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Webhooks.Create(ctx, p, api.WebhookRequest{URL: "https://example.com/"})
			return err
		},
		"update webhook": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Webhooks.Update(ctx, p, one, api.WebhookUpdate{})
			return err
		},
		"rotate webhook": func(ctx context.Context, p api.Principal) error {
			_, err := w.s.Webhooks.Rotate(ctx, p, one, api.WebhookRotation{})
			return err
		},
		"test webhook": func(ctx context.Context, p api.Principal) error { _, err := w.s.Webhooks.Test(ctx, p, one); return err },
		"replay webhook": func(ctx context.Context, p api.Principal) error {
			now := time.Now()
			_, err := w.s.Webhooks.Replay(ctx, p, one, api.WebhookReplay{Since: &now})
			return err
		},
		"delete webhook": func(ctx context.Context, p api.Principal) error { return w.s.Webhooks.Delete(ctx, p, w.webhook().ID) },
	}
}

func TestWebhooks(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	note, events := "for tests", []string{"device.*"}
	a, err := w.s.Webhooks.Create(ctx, w.masterA, api.WebhookRequest{URL: "https://example.com/x", Description: &note, Events: &events})
	w.must(err)
	if a.State != "good" || a.Description != note || a.Secrets != 1 || !strings.HasPrefix(a.Secret, "whsec_") || a.LastDeliveredAt != nil {
		t.Errorf("made %+v", a)
	}
	w.device(w.a, api.RegisterRequest{})
	got, err := w.s.Webhooks.Get(ctx, w.masterA, a.ID)
	w.must(err)
	if got.Waiting != 1 {
		t.Errorf("after a registration it is %+v", got)
	}
	d, err := w.s.Webhooks.Test(ctx, w.masterA, a.ID)
	w.must(err)
	if d.State != "delivered" || d.Status != 204 || d.Events != 1 || d.Attempts != 1 {
		t.Errorf("test: %+v", d)
	}
	second, err := w.s.Webhooks.Test(ctx, w.masterA, a.ID)
	w.must(err)
	page, err := w.s.Webhooks.Deliveries(ctx, w.masterA, a.ID, "", 1)
	w.must(err)
	next, err := w.s.Webhooks.Deliveries(ctx, w.masterA, a.ID, page.NextCursor, 1)
	w.must(err)
	if len(page.Deliveries) != 1 || page.Deliveries[0].ID != second.ID || len(next.Deliveries) != 1 || next.Deliveries[0].ID != d.ID || next.NextCursor != "" {
		t.Errorf("pages %+v, %+v", page, next)
	}
	fresh, err := w.s.Webhooks.Rotate(ctx, w.masterA, a.ID, api.WebhookRotation{})
	w.must(err)
	if fresh.Secret == a.Secret || fresh.Secrets != 2 {
		t.Errorf("rotated %+v", fresh)
	}
	w.pass(24 * time.Hour)
	off := true
	v, err := w.s.Webhooks.Update(ctx, w.masterA, a.ID, api.WebhookUpdate{Disabled: &off})
	w.must(err)
	if v.State != "disabled" || v.Reason == "" || v.Secrets != 1 {
		t.Errorf("disabled %+v", v)
	}
	list, err := w.s.Webhooks.List(ctx, w.masterA)
	w.must(err)
	if len(list.Webhooks) != 1 {
		t.Errorf("listed %+v", list)
	}
	w.must(w.s.Webhooks.Delete(ctx, w.masterA, a.ID))
}

func TestWebhooksRefuse(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.webhook().ID
	long, now := int64(604801), time.Now()
	_, rotate := w.s.Webhooks.Rotate(ctx, w.masterA, id, api.WebhookRotation{Overlap: &long})
	_, page := w.s.Webhooks.Deliveries(ctx, w.masterA, id, "x", 0)
	_, size := w.s.Webhooks.Deliveries(ctx, w.masterA, id, "", -1)
	_, neither := w.s.Webhooks.Replay(ctx, w.masterA, id, api.WebhookReplay{})
	_, both := w.s.Webhooks.Replay(ctx, w.masterA, id, api.WebhookReplay{Delivery: "x", Since: &now})
	for name, err := range map[string]error{"overlap": rotate, "cursor": page, "limit": size, "neither": neither, "both": both} {
		var e *herald.Error
		if !errors.As(err, &e) || e.Code != herald.CodeInvalidRequest || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is another app's is not there.
	_, get := w.s.Webhooks.Get(ctx, w.masterB, id)
	_, update := w.s.Webhooks.Update(ctx, w.masterB, id, api.WebhookUpdate{})
	_, test := w.s.Webhooks.Test(ctx, w.masterB, id)
	_, listed := w.s.Webhooks.Deliveries(ctx, w.masterB, id, "", 0)
	_, turned := w.s.Webhooks.Rotate(ctx, w.masterB, id, api.WebhookRotation{})
	_, again := w.s.Webhooks.Replay(ctx, w.masterB, id, api.WebhookReplay{Since: &now})
	for name, err := range map[string]error{"get": get, "update": update, "test": test, "deliveries": listed, "rotate": turned, "replay": again, "delete": w.s.Webhooks.Delete(ctx, w.masterB, id)} {
		if herald.CodeOf(err) != herald.CodeNotFound {
			t.Errorf("%s of another app: %v", name, err)
		}
	}
	if list, err := w.s.Webhooks.List(ctx, w.masterB); err != nil || len(list.Webhooks) != 0 {
		t.Errorf("another app lists %+v, %v", list, err)
	}
}
