package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// drained calms everybody and waits until nothing waits any more.
func (w *world) drained(within time.Duration) (open []string) {
	w.calm.Store(true)
	waiting := w.stored()
	var wait time.Duration
	var stirred time.Time
	tagged := false
	for deadline := time.Now().Add(within); ; <-time.After(wait) {
		if time.Since(stirred) > time.Second {
			stirred, tagged = time.Now(), !tagged
			w.stir(tagged)
		}
		if len(waiting) > oneByOne {
			wait = 2 * time.Second // an export is work for the server
			views := w.export()
			waiting = slices.DeleteFunc(slices.Clone(waiting), func(p *push) bool {
				v, ok := views[p.ID]
				return ok && w.settled(p, v)
			})
		} else {
			wait = 100 * time.Millisecond
			waiting = w.unsettled(waiting)
		}
		if len(waiting) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			for _, p := range waiting {
				open = append(open, p.ID)
			}
			return open
		}
	}
}

// stir puts a tag on a device of each app, or takes it off, so that the log has
// something behind the last release: nobody may wait for a release at its head.
func (w *world) stir(tagged bool) {
	for app := range w.apps {
		for _, d := range w.list(app) {
			if !d.removed.Load() {
				w.alter(w.ctx, d, "tag:stir", tagged, "stir")
				break
			}
		}
	}
}

// oneByOne is up to how many messages are asked for one by one, not by the
// export of all.
const oneByOne = 2000

// unsettled asks for each message and gives those of which something waits.
func (w *world) unsettled(list []*push) (still []*push) {
	var mu sync.Mutex
	parallel(list, func(c *http.Client, p *push) {
		v, status := w.view(c, p)
		if status == http.StatusNotFound || status == http.StatusOK && w.settled(p, v) {
			return // what is not there is for the check of loss
		}
		mu.Lock()
		defer mu.Unlock()
		still = append(still, p)
	})
	return still
}

// export gives all messages, by ID, as they are streamed.
func (w *world) export() map[string]client.MessageView {
	out := map[string]client.MessageView{}
	for app := range w.apps {
		for try := 0; ; try++ {
			err := w.exportOf(app, out)
			if err == nil {
				break
			}
			if try == 4 {
				w.t.Errorf("exporting messages: %v", err)
				break
			}
			<-time.After(100 * time.Millisecond)
		}
	}
	return out
}

func (w *world) exportOf(app int, out map[string]client.MessageView) error {
	at, _, _ := w.n.where()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, at+"/v1/messages?format=ndjson", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", w.apps[app].basic())
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Do(req)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", r.StatusCode)
	}
	for lines := json.NewDecoder(r.Body); ; {
		var v client.MessageView
		if err := lines.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		out[v.ID.String()] = v
	}
}

// settled reports whether nothing of a message waits any more for a device that
// is played. One that ended before it was released has no counts.
func (w *world) settled(p *push, v client.MessageView) bool {
	if v.Counts == nil {
		return v.State != herald.MessageScheduled
	}
	if n := w.crowdOf(p); n > 0 && v.Counts.States[herald.StateSent] == 0 && v.Counts.States[herald.StatePending] == n {
		return true
	}
	return !v.Counts.Open()
}

// crowdOf is how many devices that nobody plays a push is for.
func (w *world) crowdOf(p *push) int64 {
	if p.Kind == "all" || p.Kind == "tag" && slices.Contains(p.Names, "t0") {
		return w.crowd
	}
	return 0
}
