package live

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// walk is room for a walk over the sessions of topics.
type walk struct {
	block   [blockSize]*Session
	matched []*topic
	filters []herald.TopicFilter
	groups  []string
}

var walks = sync.Pool{New: func() any { return new(walk) }}

func newWalk() *walk { return walks.Get().(*walk) }

// end gives the room back, without what stood in it.
func (w *walk) end() {
	w.matched, w.filters, w.groups = clean(w.matched), clean(w.filters), clean(w.groups)
	walks.Put(w)
}

// clean empties a list for further use. A long one is given up.
func clean[T any](list []T) []T {
	if cap(list) > blockSize {
		return nil
	}
	clear(list)
	return list[:0]
}

// fanout is one publication on its way to the sessions of an app.
type fanout struct {
	*walk
	hub  *Hub
	o    *Outgoing
	upto uint64 // see topics.entries; later subscriptions do not count
	// devices are those that were met; nil while the topic knows their number.
	devices *sets.Set

	last  *codec // of the session before; most have the same
	way   way
	frame Frame
}

// way is how the conns of a transport are given a publication.
type way uint8

const (
	wayFrame way = iota
	wayCollector
	waySubscriber
)

// spread hands a publication to the sessions of an app that are subscribed to
// its topic, and answers how many devices those are.
func (h *Hub) spread(a *app, o *Outgoing) (devices int) {
	if o.expired(time.Now()) {
		return 0
	}
	t := &a.topics
	t.recent.keep(o)
	f := fanout{walk: newWalk(), hub: h, o: o}
	defer f.end()
	t.mu.RLock()
	f.matched = slices.DeleteFunc(t.matching(o.Topic, f.matched), func(of *topic) bool { return of.shared })
	f.upto = t.entries
	switch {
	case len(f.matched) > 1 || len(o.chosen) > 0:
		f.devices = sets.New()
	case len(f.matched) == 1:
		devices = int(f.matched[0].count)
		f.filters = append(f.filters, herald.TopicFilter(f.matched[0].name))
	}
	for i, of := range f.matched {
		t.walk(of, &f.block, func(list []*Session) { f.send(list, i) })
	}
	t.mu.RUnlock()
	if f.devices != nil {
		f.others()
		devices = int(f.devices.Len())
	}
	return devices
}

// send hands it to some sessions of what stands at a place in matched.
func (f *fanout) send(list []*Session, place int) {
	last, way, frame := f.last, f.way, f.frame
	for _, s := range list {
		if f.devices != nil && !f.takes(s, place) {
			continue
		}
		if s.codec != last {
			f.meet(s)
			last, way, frame = f.last, f.way, f.frame
		}
		if way != wayFrame {
			f.ask(s)
		} else if len(frame) > 0 && errors.Is(s.conn.Send(frame), ErrFull) {
			f.hub.dropped.Add(1)
		}
	}
}

// takes reports whether a session gets the publication because of what stands at
// a place in matched: it does not if it has met the session already. It fills
// the filters and groups of the session.
func (f *fanout) takes(s *Session, place int) bool {
	f.filters, f.groups = f.filters[:0], f.groups[:0]
	here := false
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics == nil {
		return false
	}
	for i := range s.topics.list {
		sub := &s.topics.list[i]
		at := slices.Index(f.matched, sub.topic)
		if at < 0 || sub.since > f.upto {
			continue
		}
		if at < place {
			// It was subscribed to that already when the walk began there.
			return false
		}
		here = here || at == place
		f.filters = append(f.filters, herald.TopicFilter(sub.topic.name))
	}
	if here {
		f.devices.Add(s.ord)
		f.groupsOf(s)
	}
	return here
}

// groupsOf notes for which shared groups a session was chosen, and that it is
// told so.
func (f *fanout) groupsOf(s *Session) {
	for i := range f.o.chosen {
		if c := &f.o.chosen[i]; c.session == s && !c.told {
			c.told = true
			f.groups = append(f.groups, string(c.name))
		}
	}
}

// others hands it to the sessions that were chosen for shared groups and have no
// other subscription that matches.
func (f *fanout) others() {
	f.filters = f.filters[:0]
	for i := range f.o.chosen {
		if c := f.o.chosen[i]; !c.told {
			f.groups = f.groups[:0]
			f.groupsOf(c.session)
			f.devices.Add(c.session.ord)
			f.meet(c.session)
			f.ask(c.session)
		}
	}
}

// ask hands it to a session that takes no frame.
func (f *fanout) ask(s *Session) {
	switch f.way {
	case wayCollector:
		if c, ok := s.conn.(*collector); ok {
			c.published()
		}
	case waySubscriber:
		if c, ok := s.conn.(Subscriber); ok && errors.Is(c.Published(f.o, f.filters, f.groups), ErrFull) {
			f.hub.dropped.Add(1)
		}
	}
}

// meet looks how sessions of another codec than before are given a publication.
func (f *fanout) meet(s *Session) {
	f.last = s.codec
	switch s.conn.(type) {
	case *collector:
		f.way = wayCollector
	case Subscriber:
		f.way = waySubscriber
	default:
		f.way, f.frame = wayFrame, f.o.frame(s.codec.Transport)
	}
}

// choice is which session of a shared group gets a publication.
type choice struct {
	name    herald.Topic // $share/<group>/<filter>
	session *Session
	told    bool
}

// choose picks a session of each shared group that matches, and notes that in
// the publication. Where none would take it now, nobody is noted: the topic log
// chooses one that is away then.
func (h *Hub) choose(a *app, o *Outgoing) {
	t := &a.topics
	if t.groups.Load() == 0 {
		return
	}
	w := newWalk()
	defer w.end()
	t.mu.RLock()
	w.matched = t.matching(o.Topic, w.matched)
	t.mu.RUnlock()
	for _, of := range w.matched {
		if !of.shared {
			continue
		}
		if s, client := t.pick(of, o); s != nil {
			o.chosen = append(o.chosen, choice{name: of.name, session: s})
			group, filter := herald.SplitShare(string(of.name))
			o.Shares = append(o.Shares, Share{Group: group, Filter: string(filter), Client: client})
		}
	}
}

// pick asks the sessions of a shared group in turn until one accepts.
func (a *topics) pick(t *topic, o *Outgoing) (*Session, string) {
	a.mu.RLock()
	tries := t.sessions
	a.mu.RUnlock()
	for from := t.turn.Load(); tries > 0; tries-- {
		a.mu.RLock()
		s, slot := t.from(from)
		a.mu.RUnlock()
		if s == nil {
			return nil, ""
		}
		from = slot + 1
		if c, ok := s.conn.(Subscriber); ok && c.Accepts(o) {
			t.turn.Store(from)
			return s, c.ClientID()
		}
	}
	return nil, ""
}

// from gives the session in a slot, or in the next one that is taken; behind the
// last comes the first. mu is held.
func (t *topic) from(i int32) (*Session, int32) {
	if i < 0 || i >= t.next {
		i = 0
	}
	for range 2 {
		for i < t.next {
			b := &t.blocks[i/blockSize]
			if b.taken == 0 {
				i = (i/blockSize + 1) * blockSize
				continue
			}
			if at := i % blockSize; int(at) < len(b.slots) && b.slots[at].s != nil {
				return b.slots[at].s, i
			}
			i++
		}
		i = 0
	}
	return nil, 0
}
