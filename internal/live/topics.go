package live

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// blockSize is how many sessions of a topic are looked at together. The lock is
// held for that long and no longer, however many there are.
const blockSize = 512

// topics are the topics of an app to which somebody is subscribed. The zero
// value has none.
type topics struct {
	mu      sync.RWMutex // taken after Session.mu; guards what follows, but recent
	named   map[herald.Topic]*topic
	tree    topicTree // those of named that a publication does not find by name
	entries uint64    // subscriptions that ever began
	rules   uint64    // grows when the rules have changed
	changed []*topic  // those with changed set

	groups atomic.Int32 // of those of named how many are shared
	recent recent       // has a lock of its own
}

// topic is what sessions are subscribed to: the name of a topic, a filter with
// wildcards, or a shared subscription. Its sessions stand in slots, which do not
// move, so that who walks them a block at a time meets each session that stays
// exactly once.
type topic struct {
	name     herald.Topic
	blocks   []block
	free     []int32  // slots that nobody has; all others up to next are taken
	devices  *devices // nil for a small topic
	beside   *topic   // in the tree, with the same filter
	next     int32
	sessions int32
	watchers int32 // sessions that are told about presence
	count    int32 // of devices
	// turn is the slot from which the next session of a shared group is looked
	// for. It is not guarded.
	turn    atomic.Int32
	changed bool
	shared  bool // $share/<group>/<filter>
}

// filter gives what the topic's sessions are subscribed to, without the group.
func (t *topic) filter() string {
	if !t.shared {
		return string(t.name)
	}
	_, f := herald.SplitShare(string(t.name))
	return string(f)
}

// inTree reports whether publications find it by the tree.
func (t *topic) inTree() bool { return t.shared || herald.TopicFilter(t.name).HasWildcard() }

type block struct {
	slots []slot // nil while nobody stands in it
	taken int
}

// slot is a session's place in a topic; none if s is nil.
type slot struct {
	s    *Session
	told int64 // the number of devices that the session was last told, or one of these:
}

const (
	notAsked int64 = -1 // it does not want to be told
	notTold  int64 = -2
)

// subscription is a session's side of its slot.
type subscription struct {
	topic *topic
	slot  int32
	since uint64 // which one of topics.entries it is
}

// sessionTopics is what a session has to do with topics; guarded by Session.mu.
type sessionTopics struct {
	list  []subscription
	rate  bucket
	alias herald.Alias // see Device.Alias
}

func (l *sessionTopics) find(name herald.Topic) int {
	return slices.IndexFunc(l.list, func(sub subscription) bool { return sub.topic.name == name })
}

// at gives a slot that is taken; topics.mu is held.
func (t *topic) at(i int32) *slot { return &t.blocks[i/blockSize].slots[i%blockSize] }

// enter gives a session a slot. mu is held.
func (a *topics) enter(name herald.Topic, s *Session, ord herald.Ordinal, told int64) subscription {
	t := a.named[name]
	if t == nil {
		if a.named == nil {
			a.named = map[herald.Topic]*topic{}
		}
		// A name may be cut from a whole request, which it must not keep.
		t = &topic{name: herald.Topic(strings.Clone(string(name)))}
		group, _ := herald.SplitShare(string(name))
		t.shared = group != ""
		a.named[t.name] = t
		if t.shared {
			a.groups.Add(1)
		}
		if t.inTree() {
			a.tree.add(t)
		}
	}
	a.entries++
	i := t.next
	if n := len(t.free); n > 0 {
		i, t.free = t.free[n-1], t.free[:n-1]
	} else {
		t.next++
	}
	t.put(i, slot{s, told})
	t.sessions++
	if told != notAsked {
		t.watchers++
	}
	if t.arrives(ord) {
		t.count++
		a.change(t)
	}
	return subscription{t, i, a.entries}
}

// put fills a slot. The first block of a topic grows as it is needed, because
// most topics are small.
func (t *topic) put(i int32, v slot) {
	if int(i/blockSize) == len(t.blocks) {
		t.blocks = append(t.blocks, block{})
	}
	b := &t.blocks[i/blockSize]
	switch at := int(i % blockSize); {
	case at < len(b.slots):
		b.slots[at] = v
	case at == len(b.slots):
		b.slots = append(b.slots, v)
	default: // the block was empty and had been given up
		b.slots = append(b.slots, make([]slot, at+1-len(b.slots))...)
		b.slots[at] = v
	}
	b.taken++
}

// exit gives a slot up. mu is held.
func (a *topics) exit(sub subscription, ord herald.Ordinal) {
	t, b := sub.topic, &sub.topic.blocks[sub.slot/blockSize]
	place := t.at(sub.slot)
	if place.told != notAsked {
		t.watchers--
	}
	*place = slot{}
	if b.taken--; b.taken == 0 {
		b.slots = nil
	}
	t.free = append(t.free, sub.slot)
	t.sessions--
	if t.leaves(ord) {
		t.count--
		a.change(t)
	}
	if t.sessions == 0 {
		delete(a.named, t.name)
		if t.shared {
			a.groups.Add(-1)
		}
		if t.inTree() {
			a.tree.remove(t)
		}
	}
}

// change notes that the number of devices is another one. mu is held.
func (a *topics) change(t *topic) {
	if t.watchers > 0 && !t.changed {
		t.changed = true
		a.changed = append(a.changed, t)
	}
}

// matching appends what selects a name: the topic of that name itself, what
// the tree has, and who shares. mu is held.
func (a *topics) matching(name herald.Topic, into []*topic) []*topic {
	if t := a.named[name]; t != nil {
		into = append(into, t)
	}
	return a.tree.match(string(name), into)
}

// walk calls f with the sessions of a topic, a block at a time, without the
// lock, which is held before and after. Who comes or goes meanwhile may be met
// or not.
func (a *topics) walk(t *topic, buf *[blockSize]*Session, f func([]*Session)) {
	for i := 0; i < len(t.blocks); i++ {
		list := buf[:0]
		for _, place := range t.blocks[i].slots {
			if place.s != nil {
				list = append(list, place.s)
			}
		}
		a.mu.RUnlock()
		f(list)
		clear(list)
		a.mu.RLock()
	}
}

// Subscribers gives the devices of an app that get what is published to a topic
// on this node now, by its name or by a filter, as a set of the caller's own.
// Shared subscriptions do not count: of them one session gets it.
func (h *Hub) Subscribers(key herald.AppKey, name herald.Topic) *sets.Set {
	out := sets.New()
	a := h.lookup(key)
	if a == nil {
		return out
	}
	a.topics.mu.RLock()
	defer a.topics.mu.RUnlock()
	for _, t := range a.topics.matching(name, nil) {
		if !t.shared {
			out.Or(t.subscribers())
		}
	}
	return out
}

// TopicCount says how many are subscribed to a topic.
type TopicCount struct {
	Topic    herald.Topic
	Devices  int
	Sessions int
}

// Topics lists the topics of an app to which somebody is subscribed on this
// node, and whose names begin with a prefix, sorted by name: at most limit of
// those behind the name after. It looks at every name of the app and keeps no
// more than a page of them.
func (h *Hub) Topics(key herald.AppKey, prefix string, after herald.Topic, limit int) []TopicCount {
	a := h.lookup(key)
	if a == nil {
		return nil
	}
	a.topics.mu.RLock()
	page := topicPage{most: limit}
	for name, t := range a.topics.named {
		if name > after && strings.HasPrefix(string(name), prefix) {
			page.offer(TopicCount{Topic: name, Devices: int(t.count), Sessions: int(t.sessions)})
		}
	}
	a.topics.mu.RUnlock()
	slices.SortFunc(page.list, byTopic)
	return page.list
}

// Recheck ends the subscriptions of an app that its rules do not allow any
// more, and tells the sessions. Call it when the rules have changed.
func (h *Hub) Recheck(key herald.AppKey) {
	a := h.lookup(key)
	if a == nil {
		return
	}
	h.learnAliases(a)
	t := &a.topics
	t.mu.Lock()
	// Who has asked about the rules and is not subscribed yet asks again.
	t.rules++
	list := slices.Collect(maps.Values(t.named))
	t.mu.Unlock()
	w := newWalk()
	defer w.end()
	for _, of := range list {
		t.mu.RLock()
		t.walk(of, &w.block, func(list []*Session) {
			for _, s := range list {
				if err := h.maySelect(s.owner(), of.name); err != nil && s.drop(of.name) {
					s.revoked(of.name, topicError(err, "topic"))
				}
			}
		})
		t.mu.RUnlock()
	}
}

// maySelect asks the rules about a subscription.
func (h *Hub) maySelect(d Device, name herald.Topic) error {
	_, filter := herald.SplitShare(string(name))
	return h.opts.Directory.MayUse(d, herald.TopicSubscribe, herald.Topic(filter))
}

// revoked tells the client that a subscription ended.
func (s *Session) revoked(name herald.Topic, why *herald.Error) {
	if c, ok := s.conn.(Revoked); ok {
		c.Revoked(string(name), why)
		return
	}
	s.Refuse(why, "")
}
