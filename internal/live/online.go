package live

import (
	"slices"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// app is what is online of one app. Apps stay once they were seen.
type app struct {
	mu     sync.RWMutex
	online *sets.Set
	// devices has the newest session of each device that is online; the others
	// follow in Session.older.
	devices map[herald.Ordinal]*Session
	count   int

	topics topics // has a lock of its own
}

type deviceKey struct {
	app herald.AppKey
	ord herald.Ordinal
}

// lateChange is what became of a device while a session of it was opening:
// authenticated already, and not online yet.
type lateChange struct {
	bound herald.Pos
	gone  *Reason
}

func (h *Hub) app(key herald.AppKey) *app {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.apps[key]
	if a == nil {
		a = &app{online: sets.New(), devices: map[herald.Ordinal]*Session{}}
		h.apps[key] = a
	}
	return a
}

// lookup gives the app if anything of it was ever online, else nil.
func (h *Hub) lookup(key herald.AppKey) *app {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.apps[key]
}

// Online gives the devices of an app that are connected to this node now, as a
// set of the caller's own.
func (h *Hub) Online(key herald.AppKey) *sets.Set {
	a := h.lookup(key)
	if a == nil {
		return sets.New()
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.online.Clone()
}

// Count is the number of open sessions of an app.
func (h *Hub) Count(key herald.AppKey) int {
	a := h.lookup(key)
	if a == nil {
		return 0
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.count
}

// Sessions is the number of open sessions of each transport.
func (h *Hub) Sessions() map[string]int {
	h.mu.Lock()
	apps := make([]*app, 0, len(h.apps))
	for _, a := range h.apps {
		apps = append(apps, a)
	}
	h.mu.Unlock()
	out := map[string]int{}
	for _, a := range apps {
		a.mu.RLock()
		for _, s := range a.devices {
			for ; s != nil; s = s.older {
				out[s.transport.Name()]++
			}
		}
		a.mu.RUnlock()
	}
	return out
}

// Transports names the transports over which a device is connected, sorted,
// each once.
func (h *Hub) Transports(key herald.AppKey, ord herald.Ordinal) []string {
	var out []string
	for _, s := range h.sessionsOf(key, ord) {
		out = append(out, s.transport.Name())
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Offered is the log position up to which everything was queued on a
// connection of a device that is open, or one-way and ended a moment ago; 0 if
// there is none.
func (h *Hub) Offered(key herald.AppKey, ord herald.Ordinal) (pos herald.Pos) {
	pos = h.offers.get(deviceKey{key, ord})
	for _, s := range h.sessionsOf(key, ord) {
		s.mu.Lock()
		pos = max(pos, s.high)
		s.mu.Unlock()
	}
	return pos
}

// Rebind tells open sessions of a device at which log position its alias
// changed. What was evaluated before and names aliases is not for it any more.
func (h *Hub) Rebind(key herald.AppKey, ord herald.Ordinal, pos herald.Pos) {
	h.noteLate(deviceKey{key, ord}, lateChange{bound: pos})
	for _, s := range h.sessionsOf(key, ord) {
		s.rebind(pos)
	}
}

// Disconnect ends every session of a device, e.g. because it was removed or
// its tokens were revoked.
func (h *Hub) Disconnect(key herald.AppKey, ord herald.Ordinal, why Reason) {
	h.noteLate(deviceKey{key, ord}, lateChange{gone: &why})
	for _, s := range h.sessionsOf(key, ord) {
		s.Close(why)
	}
}

func (h *Hub) sessionsOf(key herald.AppKey, ord herald.Ordinal) []*Session {
	a := h.lookup(key)
	if a == nil {
		return nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	var out []*Session
	for s := a.devices[ord]; s != nil; s = s.older {
		out = append(out, s)
	}
	return out
}

// beginOpening and endOpening frame the time in which what Authenticate
// answered may become stale without anybody finding the session.
func (h *Hub) beginOpening() {
	h.mu.Lock()
	h.opening++
	h.mu.Unlock()
}

func (h *Hub) endOpening() {
	h.mu.Lock()
	if h.opening--; h.opening == 0 {
		clear(h.late)
	}
	h.mu.Unlock()
}

func (h *Hub) noteLate(k deviceKey, c lateChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.opening == 0 {
		return
	}
	old := h.late[k]
	old.bound = max(old.bound, c.bound)
	if c.gone != nil {
		old.gone = c.gone
	}
	h.late[k] = old
}

func (h *Hub) lateChange(k deviceKey) lateChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.late[k]
}

// join puts a session online. It gives the device's oldest session if there
// is one too many now; the caller closes it.
func (a *app) join(s *Session, ord herald.Ordinal) (tooMany *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.older, s.joined = a.devices[ord], true
	a.devices[ord] = s
	a.online.Add(ord)
	a.count++
	t := s
	for range herald.MaxSessions - 1 {
		if t = t.older; t == nil {
			return nil
		}
	}
	// It goes offline here and now, so that two that join at once do not both
	// find the same one.
	if tooMany = t.older; tooMany != nil {
		t.older, tooMany.joined = nil, false
		a.count--
	}
	return tooMany
}

// leave takes a session offline, if it is online.
func (a *app) leave(s *Session, ord herald.Ordinal) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !s.joined {
		return
	}
	s.joined = false
	a.count--
	if a.devices[ord] == s {
		if s.older != nil {
			a.devices[ord] = s.older
		} else {
			delete(a.devices, ord)
			a.online.Remove(ord)
		}
	} else {
		for t := a.devices[ord]; t != nil; t = t.older {
			if t.older == s {
				t.older = s.older
				break
			}
		}
	}
	s.older = nil
}

// reached collects the sessions of those devices of a set that are online.
func (a *app) reached(set *sets.Set, into []*Session) []*Session {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if a.count == 0 {
		return into
	}
	for ord := range sets.Intersect(set, a.online).All() {
		for s := a.devices[ord]; s != nil; s = s.older {
			into = append(into, s)
		}
	}
	return into
}
