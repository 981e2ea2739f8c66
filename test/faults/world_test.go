package faults_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// world is a node with two apps, their devices, and all who act on them.
type world struct {
	t    *testing.T
	n    *node
	j    *journal
	seed uint64
	apps []account

	calm    atomic.Bool   // devices stay connected and acknowledge at once
	maySlip atomic.Bool   // pushes with send_at, a short TTL, withdrawals are allowed
	pace    time.Duration // between two pushes of a publisher
	// settleFor is how long what the server holds may take to go back.
	settleFor time.Duration
	// crowded says that there are devices that nobody plays: no push is for all.
	crowded bool
	// crowd is how many devices of each app nobody plays, all with the tag t0:
	// what is for all, or for that tag, is a group message, and waits for them.
	crowd  int64
	users  int  // to whom devices of an app are bound
	direct bool // most pushes are for one device
	// perLife is about how many messages a server accepts before its next end;
	// 0 if that goes by time alone.
	perLife int
	batches bool // three of four publishers send several messages a call
	// slower is by how much what is not a message happens less often: then more
	// of the machine is for messages.
	slower  time.Duration
	forum   *forum // over MQTT; nil: none
	nonces  atomic.Int64
	keys    sync.Mutex // guards devices
	devices []*device

	people sync.WaitGroup // devices and who else runs until the end
	stop   context.CancelFunc
	ctx    context.Context
}

// device is one registered device.
type device struct {
	app, index   int
	id, token    string
	installation string
	changes      map[string][]change // by what changed; guarded by the journal's lock
	sdk          bool
	member       bool // of the forum, which plays it
	removed      atomic.Bool
	cursor       string // seen last, to be given at the next connection; of its own goroutine
	seen         atomic.Int64
}

// size says how much happens in a world.
type size struct {
	devices    int // for each app
	sdk        int // of these, over the Go SDK
	publishers int
	pace       time.Duration
	slower     time.Duration
	users      int  // of each app; 0 for 4
	direct     bool // most pushes are for one device
	members    int  // of the forum, for each app, beside the devices
}

func newWorld(t *testing.T, n *node, s uint64, z size) *world {
	t.Helper()
	w := &world{t: t, n: n, j: newJournal(t), seed: s, pace: z.pace, settleFor: patience, users: cmp.Or(z.users, 4), direct: z.direct, slower: cmp.Or(z.slower, 1)}
	w.maySlip.Store(true)
	w.ctx, w.stop = context.WithCancel(context.Background())
	t.Cleanup(w.leave)
	for i := range 2 {
		w.apps = append(w.apps, n.createApp(fmt.Sprintf("app %d", i)))
	}
	for app := range w.apps {
		for i := range z.devices {
			if w.register(app, i < z.sdk) == nil {
				t.Fatal("a device could not be registered")
			}
		}
	}
	if z.members > 0 {
		w.found(z.members)
	}
	return w
}

// leave ends everybody.
func (w *world) leave() {
	w.stop()
	w.people.Wait()
}

func (w *world) random(stream string, n int) *rand.Rand {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", stream, n))
	return rand.New(rand.NewPCG(w.seed, uint64(sum[0])<<32|uint64(sum[1])<<16|uint64(n)))
}

func (w *world) list(app int) []*device {
	w.keys.Lock()
	defer w.keys.Unlock()
	var out []*device
	for _, d := range w.devices {
		if d.app == app || app < 0 {
			out = append(out, d)
		}
	}
	return out
}

// register makes a device, and tries again until an answer says that it is
// there. It gives nil if the world ends before.
func (w *world) register(app int, sdk bool) *device {
	n := w.nonces.Add(1)
	d := &device{app: app, sdk: sdk, installation: fmt.Sprintf("installation-%d-%d", w.seed, n)}
	c := change{What: "registered", To: true, Began: time.Now()}
	for w.ctx.Err() == nil {
		r := w.n.call(w.ctx, web, http.MethodPost, "/v1/devices", w.apps[app].basic(), "",
			map[string]any{"installation": d.installation, "platform": "linux"})
		var a struct {
			ID    string `json:"registration_id"`
			Token string `json:"token"`
		}
		if r.status/100 == 2 && json.Unmarshal(r.body, &a) == nil {
			d.id, d.token = a.ID, a.Token
			break
		}
		w.pause(50 * time.Millisecond)
	}
	if d.id == "" {
		return nil
	}
	c.Ended, c.Known = time.Now(), true
	w.keys.Lock() // over both: the index is that of either list
	d.index = len(w.devices)
	w.devices = append(w.devices, d)
	w.j.mu.Lock()
	w.j.devices = append(w.j.devices, d)
	w.j.mu.Unlock()
	w.keys.Unlock()
	w.j.change(d, c)
	return d
}

func (w *world) pause(d time.Duration) {
	select {
	case <-w.ctx.Done():
	case <-time.After(d):
	}
}

// compose makes a push by chance.
func (w *world) compose(r *rand.Rand) *push { return w.composeFor(r, r.IntN(len(w.apps))) }

func (w *world) composeFor(r *rand.Rand, app int) *push {
	p := &push{App: app, TTL: 24 * time.Hour, Key: fmt.Sprintf("key-%d-%d", w.seed, w.nonces.Add(1))}
	p.Nonce = fmt.Sprintf("n%d-%d", w.seed, w.nonces.Add(1))
	devices := w.list(p.App)
	all, tag, alias := 30, 60, 80 // of a hundred, each with those before it
	if w.direct {
		all, tag, alias = 2, 5, 12
	}
	switch n := r.IntN(100); {
	case n < all && !w.crowded:
		p.Kind = "all"
	case n < tag:
		p.Kind, p.Names = "tag", []string{fmt.Sprintf("t%d", r.IntN(3))}
	case n < alias:
		p.Kind, p.Names = "alias", []string{fmt.Sprintf("user%d", r.IntN(w.users))}
	case w.direct && n < 90:
		p.Kind, p.Names = "ids", []string{devices[r.IntN(len(devices))].id}
	default:
		p.Kind = "ids"
		for range 1 + r.IntN(3) {
			p.Names = append(p.Names, devices[r.IntN(len(devices))].id)
		}
	}
	switch n := r.IntN(100); {
	case n < 5:
		p.TTL = 0
	case n < 15 && w.maySlip.Load():
		p.TTL = time.Duration(1+r.IntN(3)) * time.Second
	case n < 22 && w.maySlip.Load():
		p.SendAt = time.Now().Add(time.Duration(500+r.IntN(1500)) * time.Millisecond).Truncate(time.Millisecond)
	case n < 26 && w.maySlip.Load():
		p.Spread = int64(1 + r.IntN(3))
	case n < 30 && w.maySlip.Load():
		p.Live, p.Spread = time.Duration(100+r.IntN(1900))*time.Millisecond, int64(r.IntN(3))
	case n < 35:
		p.Collapse = fmt.Sprintf("c%d", r.IntN(3))
	case n < 38:
		p.Refuse, p.TTL = "ttl", 1000*24*time.Hour
	}
	return p
}

// body gives the request of a push.
func (p *push) body() map[string]any {
	var audience any = "all"
	switch p.Kind {
	case "tag":
		audience = map[string]any{"tags": p.Names}
	case "alias":
		audience = map[string]any{"aliases": p.Names}
	case "ids":
		audience = map[string]any{"registration_ids": p.Names}
	}
	m := map[string]any{
		"audience": audience, "ttl": int64(p.TTL / time.Second), "data": map[string]any{"nonce": p.Nonce, "text": "777 " + p.Nonce + " 777"},
		"notification": map[string]any{"title": "message " + p.Nonce},
	}
	if p.Collapse != "" {
		m["collapse_key"] = p.Collapse
	}
	if !p.SendAt.IsZero() {
		m["send_at"] = p.SendAt
	}
	if p.Spread > 0 {
		m["spread"] = map[string]any{"over": p.Spread}
	}
	if p.Live > 0 {
		m["route"] = map[string]any{"steps": []map[string]any{{"channel": "live", "after": p.Live.String()}}}
	}
	return m
}

// hashOf sums up what a device sees of a body.
func hashOf(title string, data json.RawMessage) string {
	var v any
	_ = json.Unmarshal(data, &v)
	b, _ := json.Marshal([]any{title, v}) // maps in the order of their keys
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// note gives the request of a push, and keeps what a device will see of it.
func (p *push) note() map[string]any {
	body := p.body()
	data, _ := json.Marshal(body["data"])
	p.Hash = hashOf("message "+p.Nonce, data)
	return body
}

// send makes a push, once.
func (w *world) send(client *http.Client, p *push) {
	body := p.note()
	p.Began = time.Now()
	w.j.begin(p)
	r := w.n.call(w.ctx, client, http.MethodPost, "/v1/messages", w.apps[p.App].basic(), p.Key, body)
	o := outcome{}
	_ = json.Unmarshal(r.body, &o)
	o.Status, o.Code = r.status, r.code
	now := time.Now()
	w.took(p, now, o)
	w.j.write(write{Began: p.Began, Ended: now, Status: r.status, Code: r.code, RetryAfter: r.retryAfter})
}

// publish pushes until ctx ends.
func (w *world) publish(ctx context.Context, n int) {
	r := w.random("publisher", n)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2}}
	defer client.CloseIdleConnections()
	if w.batches && n%4 > 0 {
		w.publishBatches(ctx, client, r)
		return
	}
	for ctx.Err() == nil {
		p := w.compose(r)
		w.send(client, p)
		switch n := r.IntN(100); {
		case p.Status == 0:
			// An app server that had no answer repeats the call.
			w.repeat(client, p)
		case n < 8 && p.accepted():
			w.repeat(client, p)
		case n < 11 && p.accepted():
			w.conflict(client, p)
		case n < 16 && p.accepted() && p.TTL > 0 && w.maySlip.Load():
			w.withdraw(client, p, time.Duration(r.IntN(300))*time.Millisecond)
		}
		if w.pace > 0 {
			w.pause(time.Duration(r.Int64N(int64(2 * w.pace))))
		}
	}
}

// repeat makes the same call again, with the same key.
func (w *world) repeat(client *http.Client, p *push) {
	for range 5 {
		r := w.n.call(w.ctx, client, http.MethodPost, "/v1/messages", w.apps[p.App].basic(), p.Key, p.body())
		if r.status/100 == 2 {
			var a struct{ ID string }
			_ = json.Unmarshal(r.body, &a)
			w.j.end(p, func() { p.Repeats = append(p.Repeats, a.ID) })
			return
		}
		if r.status != 0 && r.status < 500 || w.ctx.Err() != nil {
			return
		}
		w.pause(100 * time.Millisecond)
	}
}

// conflict makes another call with the key of one that was accepted.
func (w *world) conflict(client *http.Client, p *push) {
	other := &push{App: p.App, Nonce: fmt.Sprintf("n%d-%d", w.seed, w.nonces.Add(1)), Kind: "all", TTL: p.TTL, Key: p.Key, Refuse: "key"}
	if p.TTL == 0 {
		other.TTL = 24 * time.Hour
	}
	w.send(client, other)
}

func (w *world) withdraw(client *http.Client, p *push, after time.Duration) {
	w.pause(after)
	began := time.Now()
	w.j.end(p, func() { p.WithdrawBegan = began })
	r := w.n.call(w.ctx, client, http.MethodDelete, "/v1/messages/"+p.ID, w.apps[p.App].basic(), "", nil)
	w.j.end(p, func() { p.WithdrawEnded, p.Withdrawn = time.Now(), r.status/100 == 2 })
}

// reshuffle changes tags and aliases, and registers and removes devices, until
// ctx ends. One goroutine for each app, so that changes of a device follow
// each other.
func (w *world) reshuffle(ctx context.Context, app int) {
	r := w.random("changes", app)
	made := 0
	for ctx.Err() == nil {
		list := w.list(app)
		d := list[r.IntN(len(list))]
		switch n := r.IntN(20); {
		case d.removed.Load():
		case n < 9:
			name := fmt.Sprintf("t%d", r.IntN(3))
			w.alter(ctx, d, "tag:"+name, r.IntN(3) > 0, name)
		case n < 17:
			w.rebind(ctx, d, r.IntN(w.users+1))
		case n == 17 && made < 6:
			made++
			if d := w.register(app, false); d != nil {
				w.live(d)
			}
		case n == 18 && made > 2 && d.index%5 == 4 && !d.sdk && !d.member: // the SDK would register anew
			w.remove(d)
		}
		w.pause(time.Duration(10+r.IntN(60)) * time.Millisecond * w.slower)
	}
}

// alter puts a tag on a device or takes it off, once.
func (w *world) alter(ctx context.Context, d *device, what string, to bool, tag string) {
	list := []string{d.id}
	m := map[string]any{"add": list}
	if !to {
		m = map[string]any{"remove": list}
	}
	c := change{What: what, To: to, Began: time.Now()}
	r := w.n.call(ctx, web, http.MethodPost, "/v1/tags/"+tag, w.apps[d.app].basic(), "", m)
	c.Ended, c.Known = time.Now(), r.status/100 == 2
	w.j.change(d, c)
}

// rebind binds a device to another user, or to nobody, once.
func (w *world) rebind(ctx context.Context, d *device, user int) {
	name := fmt.Sprintf("user%d", user)
	alias := name
	if user == w.users {
		alias = ""
	}
	began := time.Now()
	r := w.n.call(ctx, web, http.MethodPatch, "/v1/devices/"+d.id, w.apps[d.app].basic(), "", map[string]any{"alias": alias})
	ended := time.Now()
	for u := range w.users {
		other := fmt.Sprintf("user%d", u)
		w.j.change(d, change{What: "alias:" + other, To: other == alias, Began: began, Ended: ended, Known: r.status/100 == 2})
	}
	w.j.change(d, change{What: "rebound", To: true, Began: began, Ended: ended, Known: r.status/100 == 2})
}

// remove removes a device, and tries again until it is gone: it is not coming
// back to take what waits for it.
func (w *world) remove(d *device) {
	d.removed.Store(true)
	c := change{What: "registered", To: false, Began: time.Now()}
	for w.ctx.Err() == nil && !c.Known {
		r := w.n.call(w.ctx, web, http.MethodDelete, "/v1/devices/"+d.id, w.apps[d.app].basic(), "", nil)
		if c.Known = r.status/100 == 2 || r.status == http.StatusNotFound; !c.Known {
			w.pause(100 * time.Millisecond)
		}
	}
	c.Ended = time.Now()
	w.j.change(d, c)
}
