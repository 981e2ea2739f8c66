package faults_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"time"
)

// inBatch is how many messages a publisher sends in a call, where it sends
// several.
const inBatch = 40

// takesBatches reports whether the server under test has POST
// /v1/messages:batch: an empty one is refused as such.
func (w *world) takesBatches() bool {
	r := w.n.call(w.ctx, web, http.MethodPost, "/v1/messages:batch", w.apps[0].basic(), "", []int{})
	return r.refused() && r.status != http.StatusNotFound && r.status != http.StatusMethodNotAllowed
}

// composeBatch makes pushes of one app by chance.
func (w *world) composeBatch(r *rand.Rand) (list []*push) {
	app := r.IntN(len(w.apps))
	for range inBatch {
		p := w.composeFor(r, app)
		p.item = p.body()
		p.item["idempotency_key"] = p.Key
		list = append(list, p)
	}
	return list
}

// sendBatch makes the pushes of one app in one call, once.
func (w *world) sendBatch(client *http.Client, list []*push) {
	for _, p := range list {
		p.note()
		p.Began = time.Now()
		w.j.begin(p)
	}
	r, outcomes := w.callBatch(client, list)
	now := time.Now()
	for i, p := range list {
		o := outcome{Status: r.status, Code: r.code}
		if i < len(outcomes) {
			o = outcomes[i]
		}
		w.took(p, now, o)
	}
	w.j.write(write{Began: list[0].Began, Ended: now, Status: list[0].Status, Code: list[0].Code, RetryAfter: r.retryAfter})
}

// outcome is what came of one push: an answer or a problem.
type outcome struct {
	ID     string
	Target *int64
	Stored bool
	Status int
	Code   string
}

func (w *world) callBatch(client *http.Client, list []*push) (reply, []outcome) {
	items := make([]map[string]any, len(list))
	for i, p := range list {
		items[i] = p.item
	}
	r := w.n.call(w.ctx, client, http.MethodPost, "/v1/messages:batch", w.apps[list[0].App].basic(), "", items)
	var out []outcome
	if r.status != http.StatusOK || json.Unmarshal(r.body, &out) != nil || len(out) != len(list) {
		return r, nil
	}
	for i := range out {
		if out[i].ID != "" {
			out[i].Status = http.StatusOK
		}
	}
	return r, out
}

// took writes down what came of a push.
func (w *world) took(p *push, now time.Time, o outcome) {
	w.j.end(p, func() {
		p.Ended, p.Status, p.Code, p.ID, p.Target, p.Stored = now, o.Status, o.Code, o.ID, o.Target, o.Stored
		if o.Status >= 500 {
			p.Status = 0 // it may be either
		}
		if p.accepted() && p.Stored {
			w.j.kept = append(w.j.kept, p)
		}
	})
}

// repeatBatch makes the same calls again, with the same keys.
func (w *world) repeatBatch(client *http.Client, list []*push) {
	for range 5 {
		if len(list) == 0 || w.ctx.Err() != nil {
			return
		}
		_, outcomes := w.callBatch(client, list)
		var again []*push
		for i, p := range list {
			switch {
			case i >= len(outcomes) || outcomes[i].Status >= 500:
				again = append(again, p)
			case outcomes[i].ID != "":
				w.j.end(p, func() { p.Repeats = append(p.Repeats, outcomes[i].ID) })
			}
		}
		if list = again; len(list) > 0 {
			w.pause(100 * time.Millisecond)
		}
	}
}

// publishBatches pushes until ctx ends, several messages a call.
func (w *world) publishBatches(ctx context.Context, client *http.Client, r *rand.Rand) {
	for ctx.Err() == nil {
		list := w.composeBatch(r)
		w.sendBatch(client, list)
		var again []*push
		for _, p := range list {
			switch n := r.IntN(100); {
			case p.Status == 0 || n < 8 && p.accepted():
				again = append(again, p)
			case n < 9 && p.accepted():
				w.conflict(client, p)
			case n < 11 && p.accepted() && p.TTL > 0 && w.maySlip.Load():
				w.withdraw(client, p, 0)
			}
		}
		if len(again) == len(list) {
			w.pause(time.Duration(50+r.IntN(100)) * time.Millisecond) // nobody is there now
		}
		w.repeatBatch(client, again)
		if w.pace > 0 {
			w.pause(time.Duration(r.Int64N(int64(2 * inBatch * w.pace))))
		}
	}
}
