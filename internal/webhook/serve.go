package webhook

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
)

// serve sends to one webhook until nothing is left or an attempt fails.
func (s *Sender) serve(ctx context.Context, k key) error {
	w, err := s.c.Store.LeaseWebhook(ctx, k.app, k.id, s.c.Owner, s.c.Now(), lease)
	if err != nil {
		return err
	}
	leased := s.c.Now()
	var f *feed
	defer func() {
		if f != nil {
			f.stop()
		}
	}()
	for ctx.Err() == nil && !w.Disabled {
		if s.c.Now().Sub(leased) > lease/2 {
			return nil // the next look takes a new lease
		}
		d, events, err := s.open(ctx, &w)
		if err != nil {
			return err
		}
		if d.Seq == 0 {
			if f == nil || f.at != w.Sent {
				if f != nil {
					f.stop()
				}
				f = s.newFeed(ctx, w.App, w.Sent, w.Events)
			}
			if d, events, err = s.plan(ctx, &w, f); err != nil || d.Seq == 0 {
				return err
			}
		}
		good, err := s.deliver(ctx, &w, d, events)
		if err != nil || !good {
			return err
		}
		if len(events) < maxBatch && f != nil {
			return nil // what comes now makes the batch of the next second
		}
	}
	return nil
}

// open finds a delivery that was planned and not made yet, with its events.
func (s *Sender) open(ctx context.Context, w *record.Webhook) (record.WebhookDelivery, []herald.WebhookEvent, error) {
	d, err := s.c.Store.OpenDelivery(ctx, w.App, w.ID)
	if herald.CodeOf(err) == herald.CodeNotFound {
		return record.WebhookDelivery{}, nil, nil
	}
	if err != nil {
		return d, nil, err
	}
	f := s.newFeed(ctx, w.App, d.From, w.Events)
	defer f.stop()
	list, err := f.batch(&d.To)
	if err != nil {
		return d, nil, err
	}
	events, err := s.named(ctx, w.App, list)
	return d, events, err
}

// plan writes down what the next request will be. If there is nothing to tell
// the webhook only moves on, and the delivery has no number.
func (s *Sender) plan(ctx context.Context, w *record.Webhook, f *feed) (record.WebhookDelivery, []herald.WebhookEvent, error) {
	from := f.at
	list, err := f.batch(nil)
	if err != nil || f.at == from {
		return record.WebhookDelivery{}, nil, err
	}
	d := record.WebhookDelivery{App: w.App, Hook: w.ID, From: from, To: f.at, Events: len(list), At: s.c.Now().UTC(), Open: true, ID: newID("evt_")}
	if len(list) == 0 {
		d.ID = ""
		err := s.c.Store.MarkDelivery(ctx, d, w.Fence, func(w *record.Webhook) { w.Sent = d.To })
		w.Sent = d.To
		return record.WebhookDelivery{}, nil, err
	}
	events, err := s.named(ctx, w.App, list)
	if err != nil {
		return record.WebhookDelivery{}, nil, err
	}
	d, err = s.c.Store.AddDelivery(ctx, d, w.Fence)
	return d, events, err
}

// newID makes the name of a webhook or a delivery.
func newID(prefix string) string { return prefix + strings.ToLower(crand.Text()) }

// deliver makes an attempt, and writes down what came of it.
func (s *Sender) deliver(ctx context.Context, w *record.Webhook, d record.WebhookDelivery, events []herald.WebhookEvent) (good bool, err error) {
	if len(events) == 0 {
		d.Open, d.Error = false, "its events left the log, or the webhook is not told of them any more"
		d.Tried = s.c.Now().UTC()
		return true, s.mark(ctx, w, d, func(w *record.Webhook) { moved(w, d) })
	}
	a, err := s.attempt(ctx, w, &d, events)
	if ctx.Err() != nil && d.Status == 0 {
		return false, ctx.Err() // nobody's failure; it will be repeated
	}
	if err != nil {
		return false, err
	}
	now := s.c.Now().UTC()
	good = d.Status >= 200 && d.Status < 300
	s.c.Observe(good, len(events), d.Took)
	if good {
		d.Open = false
		return true, s.mark(ctx, w, d, func(w *record.Webhook) {
			moved(w, d)
			w.Failing, w.Failures, w.RetryAt, w.LastGood = time.Time{}, 0, time.Time{}, now
		})
	}
	wait := pause(w.Failures+1, a.RetryAfter, rand.Float64()) //nolint:gosec // jitter, no secret
	return false, s.mark(ctx, w, d, func(w *record.Webhook) {
		w.Failures++
		if w.Failing.IsZero() {
			w.Failing = now
		}
		w.RetryAt = now.Add(wait)
		switch {
		case d.Status == http.StatusGone:
			w.Disabled, w.Reason = true, "the endpoint answered 410 Gone"
		case now.Sub(w.Failing) >= GivesUp:
			w.Disabled, w.Reason = true, fmt.Sprintf("every attempt since %s failed; the last one: %s", w.Failing.Format(time.RFC3339), d.Error)
		}
	})
}

// moved lets a webhook go on behind a delivery, unless it stands elsewhere: the
// delivery was a replay, or the webhook was sent back.
func moved(w *record.Webhook, d record.WebhookDelivery) {
	if w.Sent == d.From {
		w.Sent = d.To
	}
}

// mark writes down what came of an attempt even if the server is stopping.
func (s *Sender) mark(ctx context.Context, w *record.Webhook, d record.WebhookDelivery, change func(*record.Webhook)) error {
	err := s.c.Store.MarkDelivery(context.WithoutCancel(ctx), d, w.Fence, change)
	if err == nil {
		change(w)
	}
	return err
}

// attempt makes one request and notes its outcome. The error is of the server,
// not of the endpoint.
func (s *Sender) attempt(ctx context.Context, w *record.Webhook, d *record.WebhookDelivery, events []herald.WebhookEvent) (egress.Answer, error) {
	d.Attempts++
	keys, err := s.seal.keys(w, s.c.Now())
	if err != nil {
		// It is shown where the owner looks, and can be mended there.
		d.Tried, d.Took, d.Status, d.Excerpt, d.Error = s.c.Now().UTC(), 0, 0, "", err.Error()
		return egress.Answer{}, nil
	}
	body, err := json.Marshal(herald.WebhookBody{Type: "events", Timestamp: d.At, Data: herald.WebhookData{AppKey: w.App, WebhookID: w.ID, Events: events}})
	if err != nil {
		return egress.Answer{}, fmt.Errorf("webhook: writing a request: %w", err)
	}
	call, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// An answer that is on its way is waited for a little, and spares a repetition.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })()
	now := s.c.Now()
	a, err := s.c.Egress.Post(call, w.URL, headers(d.ID, now, body, keys...), body)
	d.Tried, d.Took = now.UTC(), s.c.Now().Sub(now)
	d.Status, d.Excerpt, d.Error = a.Status, excerpt(a.Body), ""
	switch {
	case err != nil:
		d.Error = excerpt([]byte(err.Error()))
	case a.Status >= 300 && a.Status < 400:
		d.Error = fmt.Sprintf("answered %d; redirects are not followed: change the address of the webhook", a.Status)
	case a.Status < 200 || a.Status >= 300:
		d.Error = fmt.Sprintf("answered %d %s", a.Status, http.StatusText(a.Status))
	}
	return a, nil
}

// excerpt is as much of a text as is kept.
func excerpt(b []byte) string {
	const most = 512
	s := strings.ToValidUTF8(string(b[:min(len(b), most)]), "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == utf8.RuneError {
			return '\uFFFD'
		}
		return r
	}, s)
}

// pause is how long to wait after so many failures: twice as long each time, at
// most an hour, less up to a half by chance; and as long as the endpoint asks.
func pause(failures int, asked time.Duration, chance float64) time.Duration {
	wait := longestTry
	if failures < 12 {
		wait = min(wait, firstWait<<(failures-1))
	}
	wait -= time.Duration(float64(wait) / 2 * chance)
	return max(wait, min(asked, longestAsk))
}
