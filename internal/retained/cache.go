package retained

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// cache has the entries of apps that have few. The lists are in byte order of
// the topics and are replaced, never changed, so that who has one may read it
// without the lock.
type cache struct {
	mu   sync.RWMutex // guards what follows
	apps map[herald.AppKey]*app
	room int64  // bytes that are free
	turn uint64 // grows with each app that is put in
}

// app is what is known of one app.
type app struct {
	list    []*record.TopicEntry
	have    bool   // list is all that the app has
	big     bool   // it has too much to be held
	changes uint64 // commits that were seen; who reads meanwhile reads again
	bytes   int64
	turn    uint64
}

// get gives the entries of an app; false if they are not all here. big tells
// that they are too many, else they are worth to be read.
func (c *cache) get(key herald.AppKey) (list []*record.TopicEntry, have, big bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a := c.apps[key]
	if a == nil {
		return nil, false, false
	}
	return a.list, a.have, a.big
}

// begin notes that an app is being read, and gives what put is to be told.
func (c *cache) begin(key herald.AppKey) (changes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(key).changes
}

// of gives what is known of an app; c.mu is held.
func (c *cache) of(key herald.AppKey) *app {
	a := c.apps[key]
	if a == nil {
		a = &app{}
		c.apps[herald.AppKey(strings.Clone(string(key)))] = a
	}
	return a
}

// put takes what was read of an app, unless something was committed meanwhile.
// A list that is too large is only noted.
func (c *cache) put(key herald.AppKey, list []*record.TopicEntry, bytes int64, big bool, changes uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.of(key)
	switch {
	case a.changes != changes:
		return false
	case big:
		c.drop(a)
		a.big = true
		return true
	}
	c.set(a, list, bytes)
	c.evict(a)
	return true
}

// set gives an app a list; c.mu is held.
func (c *cache) set(a *app, list []*record.TopicEntry, bytes int64) {
	c.room += a.bytes - bytes
	c.turn++
	a.list, a.bytes, a.have, a.big, a.turn = list, bytes, true, false, c.turn
}

// drop gives the list of an app up; c.mu is held.
func (c *cache) drop(a *app) {
	c.room += a.bytes
	a.list, a.bytes, a.have = nil, 0, false
}

// evict makes room, but not of one app: those whose lists changed longest ago go
// first. c.mu is held.
func (c *cache) evict(but *app) {
	for c.room < 0 {
		var first *app
		for _, a := range c.apps {
			if a.have && a != but && a.bytes > 0 && (first == nil || a.turn < first.turn) {
				first = a
			}
		}
		if first == nil {
			return
		}
		c.drop(first)
	}
}

// apply takes what was committed.
func (c *cache) apply(ops []*record.RetainedOp, most int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := map[*app][]*record.TopicEntry{}
	for _, o := range ops {
		a := c.apps[o.App]
		if a == nil || o.Err != nil {
			continue
		}
		a.changes++
		if o.Entry.Empty() {
			a.big = false // it may be small now
		}
		if a.have {
			changed[a] = append(changed[a], o.Entry)
		}
	}
	for a, entries := range changed {
		list, bytes := a.with(entries)
		if bytes > most {
			c.drop(a)
			a.big = true
			continue
		}
		c.set(a, list, bytes)
		c.evict(a)
	}
}

// with gives the list of an app with some entries in place of what was.
func (a *app) with(entries []*record.TopicEntry) ([]*record.TopicEntry, int64) {
	bytes := a.bytes
	slices.SortFunc(entries, func(x, y *record.TopicEntry) int { return cmp.Compare(x.Topic, y.Topic) })
	list := make([]*record.TopicEntry, 0, len(a.list)+len(entries))
	rest := a.list
	for _, e := range entries {
		i, there := find(rest, e.Topic)
		list = append(list, rest[:i]...)
		rest = rest[i:]
		if there {
			bytes -= size(rest[0])
			rest = rest[1:]
		}
		if !e.Empty() {
			list = append(list, e)
			bytes += size(e)
		}
	}
	return append(list, rest...), bytes
}

// find gives the place of a topic in a list.
func find(list []*record.TopicEntry, t herald.Topic) (int, bool) {
	return slices.BinarySearchFunc(list, t, func(e *record.TopicEntry, t herald.Topic) int { return cmp.Compare(e.Topic, t) })
}

// expire drops entries that have expired.
func (c *cache) expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.apps {
		a.big = false // the next who asks looks again
		if !slices.ContainsFunc(a.list, func(e *record.TopicEntry) bool { return expired(e, now) }) {
			continue
		}
		list, bytes := make([]*record.TopicEntry, 0, len(a.list)), int64(0)
		for _, e := range a.list {
			if !expired(e, now) {
				list, bytes = append(list, e), bytes+size(e)
			}
		}
		c.set(a, list, bytes)
	}
}

// forget drops what is known of an app.
func (c *cache) forget(key herald.AppKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.apps[key]; a != nil {
		a.changes++
		c.drop(a)
	}
}

func expired(e *record.TopicEntry, now time.Time) bool {
	return !e.Expires.IsZero() && !now.Before(e.Expires)
}
