package courier

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
)

// desk has calls for one address become one: those of messages whose senders want
// that, and those that would be more than the vendor takes. Who comes first is the
// host, and makes the call for all who have come by then.
type desk struct {
	mu   sync.Mutex // guards what follows, and the guests of parties
	open map[string]*party
}

type party struct {
	guests []*guest
	done   chan struct{} // closed when what follows is there

	took   int  // messages in the call; 0 if the host has left before
	alone  bool // each is to be sent by itself
	result provider.Result
	err    *provider.Error
	trace  *provider.Transcript
}

// guest is a call of an errand.
type guest struct {
	c    *call
	may  func() bool
	took bool // it is in the party's call; written before done is closed
}

// join gives the party for a key, and whether the guest is its host.
func (d *desk) join(key string, g *guest) (t *party, host bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t = d.open[key]; t != nil {
		t.guests = append(t.guests, g)
		return t, false
	}
	t = &party{guests: []*guest{g}, done: make(chan struct{})}
	if d.open == nil {
		d.open = map[string]*party{}
	}
	d.open[key] = t
	return t, true
}

// leave takes a guest away, and is false if the call is being made with it.
func (d *desk) leave(key string, t *party, g *guest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[key] != t {
		return !g.took
	}
	for i, other := range t.guests {
		if other == g {
			t.guests = append(t.guests[:i], t.guests[i+1:]...)
			break
		}
	}
	return true
}

// close lets nobody in any more, and gives those whose call may be made: nobody if
// the host's may not.
func (d *desk) close(key string, t *party, host *guest) (took []*guest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, key)
	if !host.may() {
		return nil
	}
	for _, g := range t.guests {
		if g.may() {
			g.took = true
			took = append(took, g)
		}
	}
	return took
}

// disband has the guests look for another host.
func (d *desk) disband(key string, t *party) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, key)
	close(t.done)
}

// gathering is how long a host waits for messages with the same key, all of which
// are leased at about the same time.
const gathering = time.Second

// digestKey says with which others a call may become one; "" with none.
func (j *errand) digestKey(lease *provider.Lease, c *call) (key string, wait time.Duration) {
	if d := j.digest(); d != nil {
		return "k" + d.Key + "\x00" + c.address.Token, gathering
	}
	if _, ok := lease.Provider.(provider.Digester); ok && lease.Driver.Rate != nil && lease.Driver.Rate.Digest {
		return "t" + c.address.Token, 0
	}
	return "", 0
}

// digest is what the sender has said of a digest, by a way that acts once for a
// person.
func (j *errand) digest() *herald.Digest {
	if j.Owner == record.OwnerDevice || j.m == nil || j.m.Facts == nil {
		return nil
	}
	return j.m.Facts.Digest
}

// window is until when the message waits for others with its key. Windows follow
// each other without a gap, and where they begin is a matter of the key, so that
// messages need not know of each other, on any node and after any restart: the
// first of them waits for at most one window.
func (j *errand) window() time.Time {
	d := j.digest()
	if d == nil || d.Window <= 0 {
		return time.Time{}
	}
	length := time.Duration(d.Window)
	begins := j.m.Due
	if s := j.c.stepOf(j.m, j.Step); s != nil {
		begins = begins.Add(time.Duration(s.After))
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(d.Key)) // never fails
	shift := time.Duration(h.Sum64() % uint64(length))
	end := begins.Add(-shift).Truncate(length).Add(length + shift)
	if latest := j.m.Expires().Add(-length / 10); end.After(latest) {
		return latest
	}
	return end
}

// sendJoined makes a call together with others. It is false if no more calls may
// be made.
func (j *errand) sendJoined(ctx context.Context, p pass, lease *provider.Lease, end time.Time, c *call, key string, wait time.Duration) bool {
	g := &guest{c: c, may: func() bool { return j.may(ctx, p, end) }}
	for g.may() {
		t, host := j.l.desk.join(key, g)
		if host {
			return j.host(ctx, p, lease, end, t, g, key, wait)
		}
		select {
		case <-t.done:
		case <-ctx.Done():
		case <-j.watch.recalled:
		}
		if j.l.desk.leave(key, t, g) && !t.isDone() {
			return false
		}
		select {
		case <-t.done:
		case <-j.watch.ctx.Done():
			c.made, c.err = true, provider.Lost(j.watch.ctx.Err(), true)
			return false
		}
		switch {
		case t.alone:
			return j.sendOne(ctx, p, end, func(ctx context.Context) { j.sendTo(ctx, p, lease, c) })
		case g.took:
			c.take(t)
			return true
		}
	}
	return false
}

func (t *party) isDone() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

// take has a call come to what its party came to.
func (c *call) take(t *party) {
	c.made, c.joined, c.result, c.err = true, t.took, t.result, t.err
	if c.trace != nil {
		c.trace = t.trace
	}
}

// host waits until a call may be made, and makes it for all who have come.
func (j *errand) host(ctx context.Context, p pass, lease *provider.Lease, end time.Time, t *party, g *guest, key string, wait time.Duration) bool {
	if wait > 0 && !j.sleep(ctx, wait) {
		j.l.desk.disband(key, t)
		return false
	}
	made := j.sendOne(ctx, p, end, func(own context.Context) {
		took := j.l.desk.close(key, t, g)
		defer close(t.done)
		if t.took = len(took); !g.took { // it was recalled just now
			return
		}
		m := g.c.m
		if len(took) > 1 {
			var err error
			if m, err = merge(lease, took); err != nil {
				t.alone = true
				j.sendTo(own, p, lease, g.c)
				return
			}
			// It is not only this message that would be broken off.
			var cancel context.CancelFunc
			own, cancel = context.WithTimeout(j.calls, provider.SendTimeout)
			defer cancel()
		}
		for _, other := range took {
			if other.c.trace != nil && t.trace == nil {
				t.trace = &provider.Transcript{}
				own = provider.WithTranscript(own, t.trace)
			}
		}
		one := &call{ord: g.c.ord, address: g.c.address, m: m}
		j.sendTo(own, p, lease, one)
		t.result, t.err = one.result, one.err
		g.c.take(t)
	})
	if !made {
		j.l.desk.disband(key, t)
	}
	return made
}

// merge makes one message of several.
func merge(lease *provider.Lease, list []*guest) (*provider.Message, error) {
	all := make([]*provider.Message, len(list))
	for i, g := range list {
		all[i] = g.c.m
	}
	if d, ok := lease.Provider.(provider.Digester); ok {
		return d.Digest(all)
	}
	return joined(all)
}

// joined makes one message of several for a vendor that has no form for that: the
// title of the last one, and the texts below each other. Messages that say
// something to the vendor itself, or have no text, stay by themselves.
func joined(list []*provider.Message) (*provider.Message, error) {
	out := *list[len(list)-1]
	out.CollapseKey = ""
	var body []string
	for _, m := range list {
		n := m.Content.Notification
		if n == nil || m.Options != nil {
			return nil, provider.Errorf(provider.Rejected, "", "They are sent one by one.", "the messages cannot become one")
		}
		if m.Priority == herald.PriorityHigh {
			out.Priority = m.Priority
		}
		if m.Expires.After(out.Expires) {
			out.Expires = m.Expires
		}
		line := n.Body
		if last := out.Content.Notification.Title; n.Title != last && n.Title != "" {
			line = strings.TrimSuffix(n.Title+": "+n.Body, ": ")
		}
		body = append(body, line)
	}
	n := *out.Content.Notification
	n.Body = strings.Join(body, "\n")
	out.Content.Notification = &n
	return &out, nil
}

// digestText says of an attempt that the message went with others.
func digestText(messages int) string {
	return fmt.Sprintf("one of %d messages that became one", messages)
}
