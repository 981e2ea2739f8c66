package live

import (
	"errors"
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// busyTopics are the apps whose topics the hub's beat has to look at.
type busyTopics struct {
	mu   sync.Mutex
	apps map[*app]struct{}
}

// mark has an app looked at with the next beat, if there is a reason.
func (b *busyTopics) mark(a *app) {
	if !a.topics.idle() {
		b.add(a)
	}
}

func (b *busyTopics) add(a *app) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.apps == nil {
		b.apps = map[*app]struct{}{}
	}
	b.apps[a] = struct{}{}
}

func (b *busyTopics) take() map[*app]struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.apps
	b.apps = nil
	return out
}

// idle reports whether a beat would find nothing to do.
func (a *topics) idle() bool {
	a.mu.RLock()
	idle := len(a.changed) == 0
	a.mu.RUnlock()
	return idle && !a.recent.watched()
}

// beatTopics tells who asked for it what became of presence, and forgets old
// publications.
func (h *Hub) beatTopics(now time.Duration) {
	for a := range h.busy.take() {
		a.topics.mu.Lock()
		list := a.topics.changed
		a.topics.changed = nil
		for _, t := range list {
			t.changed = false
		}
		a.topics.mu.Unlock()
		for _, t := range list {
			a.topics.tell(t)
		}
		a.topics.recent.trim(now)
		h.busy.mark(a)
	}
}

// watch says whether a subscription's session is told about presence. mu is held.
func (a *topics) watch(sub subscription, told int64) {
	place := sub.topic.at(sub.slot)
	switch was := place.told != notAsked; {
	case was && told == notAsked:
		sub.topic.watchers--
	case !was && told != notAsked:
		sub.topic.watchers++
	}
	place.told = told
}

// telling is a session that is to be told a number.
type telling struct {
	sub     subscription
	session *Session
	devices int
}

// tellPresence tells a session what it has not been told yet, if it asked. It
// is not told again what it knows.
func (s *Session) tellPresence(a *topics) {
	var list []telling
	s.mu.Lock()
	if s.topics != nil {
		a.mu.Lock()
		for _, sub := range s.topics.list {
			if place := sub.topic.at(sub.slot); place.told == notTold {
				place.told = int64(sub.topic.count)
				list = append(list, telling{sub, s, int(sub.topic.count)})
			}
		}
		a.mu.Unlock()
	}
	s.mu.Unlock()
	for _, t := range list {
		if t.send(nil) {
			a.again(t)
		}
	}
}

// tell tells the sessions of a topic that asked for it how many devices there
// are, a block at a time.
func (a *topics) tell(t *topic) {
	var frames presenceFrames
	for i := 0; ; i++ {
		list, end := a.untold(t, i)
		if end {
			return
		}
		for _, to := range list {
			if to.send(&frames) {
				a.again(to)
			}
		}
	}
}

// untold lists the sessions of a block that know another number, and notes
// that they will know this one.
func (a *topics) untold(t *topic, i int) (list []telling, end bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i >= len(t.blocks) || t.watchers == 0 {
		return nil, true
	}
	for j := range t.blocks[i].slots {
		place := &t.blocks[i].slots[j]
		if place.s != nil && place.told != notAsked && place.told != int64(t.count) {
			place.told = int64(t.count)
			list = append(list, telling{subscription{topic: t, slot: int32(i*blockSize + j)}, place.s, int(t.count)})
		}
	}
	return list, false
}

// send reports whether the queue had no room.
func (t telling) send(made *presenceFrames) (full bool) {
	f := made.frame(t.session.codec.Transport, t.sub.topic.name, t.devices)
	return len(f) > 0 && errors.Is(t.session.conn.Send(f), ErrFull)
}

// again has a session told with a later beat, because its queue was full.
func (a *topics) again(t telling) {
	a.mu.Lock()
	defer a.mu.Unlock()
	slots := t.sub.topic.blocks[t.sub.slot/blockSize].slots
	if i := int(t.sub.slot % blockSize); i < len(slots) && slots[i].s == t.session && slots[i].told != notAsked {
		slots[i].told = notTold
		a.change(t.sub.topic)
	}
}

// presenceFrames makes a frame once for each transport and number.
type presenceFrames struct {
	devices int
	made    []madeFrame
}

func (p *presenceFrames) frame(t Transport, name herald.Topic, devices int) Frame {
	if p == nil {
		p = &presenceFrames{}
	}
	if p.devices != devices {
		p.devices, p.made = devices, p.made[:0]
	}
	for _, m := range p.made {
		if m.transport == t {
			return m.frame
		}
	}
	f := t.Control(Control{Kind: Presence, Topics: []herald.Topic{name}, Devices: devices})
	p.made = append(p.made, madeFrame{transport: t, frame: f})
	return f
}
