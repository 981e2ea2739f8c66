package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
)

// evidence is all that the checks look at: the journal, and what the server
// says at the end.
type evidence struct {
	w       *world
	j       *journal
	horizon time.Time // when the last push had been made

	byID    map[string]*push
	views   map[string]client.MessageView // by message ID
	gone    map[string]int                // status of what the server does not show
	listed  [2]map[string][]string        // IDs by nonce, by app
	traces  map[traceKey]client.Trace
	full    map[string]bool // messages of which every trace was asked for
	open    []string        // messages that still wait when nothing moves any more
	stuck   []string        // for whom those wait, for a person
	differs []string        // what is told in two ways
	probes  []string        // what went wrong when one app asked for what is another's

	storage []string // what the files say after the stop
	before  load     // of the process, before anybody connected
	after   load     // when everybody has gone
	exit    int
	output  string
	secrets []string
}

type traceKey struct {
	id     string
	device int
}

// load is what a process holds.
type load struct{ goroutines, descriptors int }

// stored lists the pushes that were accepted for good.
func (w *world) stored() []*push {
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	return slices.Clip(w.j.kept)
}

// parallel does something with each of a list, a few at a time.
func parallel[T any](list []T, do func(*http.Client, T)) {
	todo := make(chan T)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for v := range todo {
				do(c, v)
			}
		})
	}
	for _, v := range list {
		todo <- v
	}
	close(todo)
	wg.Wait()
}

func (w *world) get(c *http.Client, app int, path string, into any) int {
	var r reply
	for range 5 {
		if r = w.n.call(context.Background(), c, http.MethodGet, path, w.apps[app].basic(), "", nil); r.status != 0 {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	if r.status == http.StatusOK {
		if err := json.Unmarshal(r.body, into); err != nil {
			return -1
		}
	}
	return r.status
}

func (w *world) view(c *http.Client, p *push) (v client.MessageView, status int) {
	status = w.get(c, p.App, "/v1/messages/"+p.ID, &v)
	return v, status
}

// gather asks the server for everything, or for the traces of a part.
func (w *world) gather(open []string, maxTraces int) *evidence {
	e := &evidence{
		w: w, j: w.j, horizon: time.Now(), open: open, byID: map[string]*push{}, views: map[string]client.MessageView{},
		gone: map[string]int{}, traces: map[traceKey]client.Trace{}, full: map[string]bool{},
	}
	if w.forum != nil {
		w.forum.drained(w.settleFor)
	}
	pushes := w.stored()
	for _, p := range pushes {
		e.byID[p.ID] = p
	}
	e.gatherViews(pushes)
	for _, id := range open {
		if len(e.stuck) < fewStuck { // each is tried for seconds
			e.stuck = append(e.stuck, w.stuck(e.byID[id])...)
		}
	}
	e.gatherTraces(pushes, maxTraces)
	for app := range w.apps {
		e.listed[app] = w.listMessages(app)
	}
	e.probe()
	return e
}

// gatherViews asks for the messages by the export of all, and one by one for
// those that are not in it and for an even part of the others, which has to be
// the same.
func (e *evidence) gatherViews(pushes []*push) {
	all := e.w.export()
	every := len(pushes)/oneByOne + 1
	var ask []*push
	for i, p := range pushes {
		v, ok := all[p.ID]
		if ok {
			e.views[p.ID] = v
		}
		if !ok || i%every == 0 {
			ask = append(ask, p)
		}
	}
	var mu sync.Mutex
	parallel(ask, func(c *http.Client, p *push) {
		v, status := e.w.view(c, p)
		mu.Lock()
		defer mu.Unlock()
		exported, ok := e.views[p.ID]
		switch {
		case status != http.StatusOK:
			e.gone[p.ID] = status
			delete(e.views, p.ID)
		case !ok:
			e.differs = append(e.differs, fmt.Sprintf("message %s is not in the export of all messages", p.ID))
			e.views[p.ID] = v
		case e.plainly(p) && e.w.settled(p, exported) && !reflect.DeepEqual(v.Counts, exported.Counts):
			// Nothing moves any more.
			e.differs = append(e.differs, fmt.Sprintf("message %s counts %+v in the export of all messages, and %+v", p.ID, exported.Counts, v.Counts))
		}
	})
}

// fewStuck is of how many deliveries about it is looked why they are open.
const fewStuck = 10

// stuck says for whom a push waits when nothing moves any more, and whether it
// comes over a new connection.
func (w *world) stuck(p *push) (out []string) {
	for _, d := range w.list(p.App) {
		s := w.state(p, d)
		if s != herald.StatePending && s != herald.StateSent {
			continue
		}
		got := false
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		l, err := dial(ctx, w.n, "websocket", d.token, "", false)
		for err == nil && !got {
			var f wire
			f, err = l.next(ctx)
			got = err == nil && f.ID == p.ID
		}
		if l != nil {
			l.close()
		}
		cancel()
		last := time.Time{}
		w.j.mu.Lock()
		for _, f := range w.j.frames {
			if f.Device == d.index {
				last = f.At
			}
		}
		w.j.mu.Unlock()
		trace := w.n.call(context.Background(), web, http.MethodGet, "/v1/messages/"+p.ID+"/devices/"+d.id, w.apps[p.App].basic(), "", nil)
		device := w.n.call(context.Background(), web, http.MethodGet, "/v1/devices/"+d.id, w.apps[p.App].basic(), "", nil)
		out = append(out, fmt.Sprintf("afterwards the trace is %s and the device %s", trace.body, device.body), fmt.Sprintf("message %s (%s %v, made at %s, ttl %s) on device %d: %s; over a new connection it comes: %t (%v); SDK: %t, removed: %t, its last frame was at %s",
			p.ID, p.Kind, p.Names, p.Ended.Format(time.StampMilli), p.TTL, d.index, s, got, err, d.sdk, d.removed.Load(), last.Format(time.StampMilli)))
	}
	return out
}

func (e *evidence) gatherTraces(pushes []*push, limit int) {
	every := 1
	if n := len(pushes) * len(e.w.list(0)); n > limit {
		every = n/limit + 1
	}
	type ask struct {
		p *push
		d *device
	}
	var asks []ask
	e.j.mu.Lock()
	for _, k := range e.missing() {
		asks = append(asks, ask{e.byID[k.id], e.j.devices[k.device]})
	}
	e.j.mu.Unlock()
	for i, p := range pushes {
		if i%every != 0 {
			continue
		}
		e.full[p.ID] = true
		for _, d := range e.w.list(p.App) {
			asks = append(asks, ask{p, d})
		}
	}
	var mu sync.Mutex
	parallel(asks, func(c *http.Client, a ask) {
		var t client.Trace
		status := e.w.get(c, a.p.App, "/v1/messages/"+a.p.ID+"/devices/"+a.d.id, &t)
		mu.Lock()
		defer mu.Unlock()
		if status == http.StatusOK {
			e.traces[traceKey{a.p.ID, a.d.index}] = t
		} else if !a.d.removed.Load() {
			e.traces[traceKey{a.p.ID, a.d.index}] = client.Trace{State: herald.DeliveryState(fmt.Sprintf("status %d", status))}
		}
	})
}

// listMessages gives the messages of an app as its list shows them.
func (w *world) listMessages(app int) map[string][]string {
	out := map[string][]string{}
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	defer c.CloseIdleConnections()
	for cursor := ""; ; {
		var page client.MessagePage
		if status := w.get(c, app, "/v1/messages?limit=1000&cursor="+cursor, &page); status != http.StatusOK {
			w.t.Errorf("listing messages: status %d", status)
			return out
		}
		for _, m := range page.Messages {
			var data struct{ Nonce string }
			_ = json.Unmarshal(m.Data, &data)
			out[data.Nonce] = append(out[data.Nonce], m.ID.String())
		}
		if cursor = page.NextCursor; cursor == "" {
			return out
		}
	}
}

// probe asks, with the keys of one app, for what belongs to the other.
func (e *evidence) probe() {
	w := e.w
	var one, other *push
	for _, p := range w.stored() {
		if p.App == 0 {
			one = p
		} else {
			other = p
		}
	}
	if one == nil || other == nil {
		return
	}
	theirs := w.list(1)[0]
	mine := w.list(0)[0]
	tries := []struct {
		what, method, path, auth string
		body                     any
	}{
		{"reads a message", "GET", "/v1/messages/" + other.ID, w.apps[0].basic(), nil},
		{"withdraws a message", "DELETE", "/v1/messages/" + other.ID, w.apps[0].basic(), nil},
		{"reads a device", "GET", "/v1/devices/" + theirs.id, w.apps[0].basic(), nil},
		{"removes a device", "DELETE", "/v1/devices/" + theirs.id, w.apps[0].basic(), nil},
		{"traces a message", "GET", "/v1/messages/" + other.ID + "/devices/" + theirs.id, w.apps[0].basic(), nil},
		{"traces its own message on a device", "GET", "/v1/messages/" + one.ID + "/devices/" + theirs.id, w.apps[0].basic(), nil},
		{"has its device trace a message", "GET", "/v1/messages/" + other.ID + "/devices/" + mine.id, "Bearer " + mine.token, nil},
	}
	for _, t := range tries {
		r := w.n.call(context.Background(), web, t.method, t.path, t.auth, "", t.body)
		if !r.refused() {
			e.probes = append(e.probes, fmt.Sprintf("one app %s of another: status %d", t.what, r.status))
		}
	}
	body := map[string]any{"receipts": []map[string]string{{"id": other.ID, "event": "clicked"}}}
	r := w.n.call(context.Background(), web, "POST", "/v1/receipts", "Bearer "+mine.token, "", body)
	var taken struct{ Accepted int }
	if _ = json.Unmarshal(r.body, &taken); r.status/100 == 2 && taken.Accepted > 0 {
		e.probes = append(e.probes, "a device of one app acknowledges a message of another")
	}
}

// load asks how much the process holds.
func (n *node) load() load {
	_, ops, _ := n.where()
	var l load
	if r, err := web.Get(ops + "/debug/pprof/goroutine?debug=1"); err == nil {
		var head [64]byte
		k, _ := r.Body.Read(head[:])
		r.Body.Close()
		fields := strings.Fields(string(head[:k]))
		if len(fields) > 3 {
			l.goroutines, _ = strconv.Atoi(fields[3])
		}
	}
	if list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid)); err == nil {
		l.descriptors = len(list)
	}
	return l
}

// settle waits until a process holds no more than it did, within bounds, and
// gives what it holds.
func (n *node) settle(was load, within time.Duration) load {
	for deadline := time.Now().Add(within); ; <-time.After(100 * time.Millisecond) {
		l := n.load()
		if !was.below(l) || time.Now().After(deadline) {
			return l
		}
	}
}

// below reports whether a process holds more now: a tenth more, and a few that
// serve the question itself.
func (l load) below(now load) bool {
	more := func(a, b int) bool { return b > a+a/10+8 }
	return more(l.goroutines, now.goroutines) || more(l.descriptors, now.descriptors)
}

// conclude ends the world in order and looks at what is left.
func (w *world) conclude(e *evidence, before load) {
	w.leave()
	e.before = before
	e.after = w.n.settle(before, w.settleFor)
	e.exit = w.n.stop()
	e.storage = w.n.inspect()
	if keep := os.Getenv("FAULTS_KEEP"); keep != "" && len(e.open) > 0 {
		at := filepath.Join(keep, fmt.Sprintf("data-%d", w.seed))
		if err := os.CopyFS(at, os.DirFS(w.n.data)); err != nil {
			w.t.Logf("the data folder is not kept: %v", err)
		}
	}
	e.output = w.n.out.from(0)
	for _, a := range w.apps {
		e.secrets = append(e.secrets, a.Secret, a.JWT)
	}
	for _, d := range w.list(-1) {
		if d.token != "" {
			e.secrets = append(e.secrets, d.token[strings.LastIndex(d.token, ".")+1:], d.installation)
		}
	}
	if key, err := os.ReadFile(w.n.data + "/server.key"); err == nil {
		e.secrets = append(e.secrets, strings.TrimSpace(string(key)))
	}
}
