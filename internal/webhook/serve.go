package webhook

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/wire/signed"
)

// request is a delivery with its events.
type request struct {
	record.WebhookDelivery
	events []herald.WebhookEvent
	asked  bool  // an attempt was made
	bad    bool  // which was not answered well
	err    error // of the server; there was no attempt that counts
}

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
		if s.c.Now().Sub(leased) > lease/3 {
			return nil // the next look takes a new lease
		}
		list, all, err := s.open(ctx, &w)
		if err != nil {
			return err
		}
		more := true
		if len(list) == 0 {
			if f == nil || f.at != w.Sent {
				if f != nil {
					f.stop()
				}
				f = s.newFeed(ctx, w.App, w.Sent, w.Events)
			}
			all = true
			if list, more, err = s.plan(ctx, &w, f); err != nil || len(list) == 0 {
				return err
			}
		}
		good, err := s.deliver(ctx, &w, list, all)
		if err != nil || !good {
			return err
		}
		if !more {
			return nil // what comes now makes the batch of the next second
		}
	}
	return nil
}

// open finds deliveries that were planned together and not made yet, with their
// events; all tells that no others of them are left. A webhook that fails is
// tried with one.
func (s *Sender) open(ctx context.Context, w *record.Webhook) (list []request, all bool, err error) {
	open, err := s.c.Store.OpenDeliveries(ctx, w.App, w.ID, MaxInFlight+1)
	if err != nil || len(open) == 0 {
		return nil, true, err
	}
	first := &open[0]
	together := 1
	for together < len(open) && first.Shards > 0 && !first.Replay && sameWindow(&open[together], first) {
		together++
	}
	take := min(together, s.c.InFlight)
	if w.Failures > 0 {
		take = 1
	}
	for _, d := range open[:take] {
		f := s.newFeed(ctx, w.App, d.From, w.Events)
		events, err := f.upto(d.To, d.Shard, d.Shards)
		f.stop()
		if err != nil {
			return nil, false, err
		}
		r := request{WebhookDelivery: d}
		if r.events, err = s.named(ctx, w.App, events); err != nil {
			return nil, false, err
		}
		list = append(list, r)
	}
	return list, take == together, nil
}

// sameWindow reports whether two deliveries were planned together.
func sameWindow(a, b *record.WebhookDelivery) bool {
	return a.From == b.From && a.To == b.To && a.Shards == b.Shards && !a.Replay
}

// plan writes down what the next requests will be. If there is nothing to tell
// the webhook only moves on, and there are none. more tells that the log goes on.
func (s *Sender) plan(ctx context.Context, w *record.Webhook, f *feed) (list []request, more bool, err error) {
	from := f.at
	items, more, err := f.window(s.c.InFlight)
	if err != nil || f.at == from {
		return nil, false, err
	}
	if len(items) == 0 {
		to := f.at
		err := s.mark(ctx, w, nil, func(w *record.Webhook) { w.Sent = to })
		return nil, false, err
	}
	events, err := s.named(ctx, w.App, items)
	if err != nil {
		return nil, false, err
	}
	for i := range items {
		items[i].WebhookEvent = events[i]
	}
	shards := split(items, s.c.InFlight)
	var plan []record.WebhookDelivery
	for i, shard := range shards {
		if len(shard) == 0 {
			continue
		}
		r := request{}
		for _, it := range shard {
			r.events = append(r.events, it.WebhookEvent)
		}
		list = append(list, r)
		d := record.WebhookDelivery{App: w.App, Hook: w.ID, From: from, To: f.at, Events: len(shard), At: s.c.Now().UTC(), Open: true, ID: newID("evt_")}
		if len(shards) > 1 {
			d.Shard, d.Shards = i, len(shards)-1
		}
		plan = append(plan, d)
	}
	if plan, err = s.c.Store.AddDeliveries(ctx, plan, w.Fence); err != nil {
		return nil, false, err
	}
	for i := range plan {
		list[i].WebhookDelivery = plan[i]
	}
	return list, more, nil
}

// newID makes the name of a webhook or a delivery.
func newID(prefix string) string { return prefix + strings.ToLower(crand.Text()) }

// deliver makes an attempt of each of some requests that were planned together,
// and writes down what came of them in one commit. all tells that they are what
// is left of the plan.
func (s *Sender) deliver(ctx context.Context, w *record.Webhook, list []request, all bool) (good bool, err error) {
	last := len(list)
	if d := &list[last-1]; d.Shards > 0 && d.Shard == d.Shards {
		last-- // about no device: after those that are
	}
	asked := s.attempts(ctx, w, list[:last])
	made := list[:last]
	if last < len(list) && !slices.ContainsFunc(made, request.failed) {
		asked = max(asked, s.attempts(ctx, w, list[last:]))
		made = list
	}
	var marks []record.WebhookDelivery
	var bad *request // what failed, if something did
	some := false    // was answered well
	for i := range made {
		r := &made[i]
		switch {
		case r.err != nil:
			err = r.err
			continue
		case r.bad:
			if bad == nil || r.Status == http.StatusGone {
				bad = r
			}
		default:
			r.Open, some = false, some || r.asked
		}
		marks = append(marks, r.WebhookDelivery)
	}
	if len(marks) == 0 {
		return false, err
	}
	good = bad == nil && err == nil && len(made) == len(list)
	now, before := s.c.Now().UTC(), w.Failures
	if some {
		before = 0
	}
	wait := pause(before+1, asked, rand.Float64()) //nolint:gosec // jitter, no secret
	return good, errors.Join(err, s.mark(ctx, w, marks, func(w *record.Webhook) {
		if good && all {
			moved(w, &list[0].WebhookDelivery)
		}
		if some {
			w.Failing, w.Failures, w.RetryAt, w.LastGood = time.Time{}, 0, time.Time{}, now
		}
		if bad != nil {
			failed(w, bad, now, wait)
		}
	}))
}

func (r request) failed() bool { return r.bad || r.err != nil }

// failed notes a failure in a webhook.
func failed(w *record.Webhook, r *request, now time.Time, wait time.Duration) {
	w.Failures++
	if w.Failing.IsZero() {
		w.Failing = now
	}
	w.RetryAt = now.Add(wait)
	switch {
	case r.Status == http.StatusGone:
		w.Disabled, w.Reason = true, "the endpoint answered 410 Gone"
	case now.Sub(w.Failing) >= GivesUp:
		w.Disabled, w.Reason = true, fmt.Sprintf("every attempt since %s failed; the last one: %s", w.Failing.Format(time.RFC3339), r.Error)
	}
}

// attempts makes an attempt of each of some requests, at most InFlight at once,
// and notes in them what came of it. asked is how long the endpoint wants to be
// left alone.
func (s *Sender) attempts(ctx context.Context, w *record.Webhook, list []request) (asked time.Duration) {
	answers := make([]egress.Answer, len(list))
	room := make(chan struct{}, s.c.InFlight)
	var wg sync.WaitGroup
	for i := range list {
		room <- struct{}{}
		wg.Go(func() {
			answers[i] = s.try(ctx, w, &list[i])
			<-room
		})
	}
	wg.Wait()
	for _, a := range answers {
		asked = max(asked, a.RetryAfter)
	}
	return asked
}

// try makes an attempt of a request, if it has events, and notes in it what
// came of it.
func (s *Sender) try(ctx context.Context, w *record.Webhook, r *request) egress.Answer {
	if len(r.events) == 0 {
		r.Error = "its events left the log, or the webhook is not told of them any more"
		r.Tried = s.c.Now().UTC()
		return egress.Answer{}
	}
	if r.err = ctx.Err(); r.err != nil {
		return egress.Answer{}
	}
	a, err := s.attempt(ctx, w, &r.WebhookDelivery, r.events)
	if r.err = err; ctx.Err() != nil && r.Status == 0 {
		r.err = ctx.Err() // nobody's failure; it will be repeated
	}
	if r.err == nil {
		r.asked, r.bad = true, r.Status < 200 || r.Status >= 300
		s.c.Observe(!r.bad, len(r.events), r.Took)
	}
	return a
}

// moved lets a webhook go on behind a delivery, unless it stands elsewhere: the
// delivery was a replay, or the webhook was sent back. The replay of a shard
// moves nothing, because the others were not sent again.
func moved(w *record.Webhook, d *record.WebhookDelivery) {
	if w.Sent == d.From && (!d.Replay || d.Shards == 0) {
		w.Sent = d.To
	}
}

// mark writes down what came of attempts even if the server is stopping.
func (s *Sender) mark(ctx context.Context, w *record.Webhook, list []record.WebhookDelivery, change func(*record.Webhook)) error {
	err := s.c.Store.MarkDeliveries(context.WithoutCancel(ctx), w.App, w.ID, list, w.Fence, change)
	if err == nil {
		change(w)
	}
	return err
}

// attempt makes one request and notes its outcome. The error is of the server,
// not of the endpoint.
func (s *Sender) attempt(ctx context.Context, w *record.Webhook, d *record.WebhookDelivery, events []herald.WebhookEvent) (egress.Answer, error) {
	d.Attempts++
	keys, err := s.keys(w, s.c.Now())
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
	a, err := s.c.Egress.Post(call, w.URL, signed.Headers(d.ID, now, body, keys...), body)
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
