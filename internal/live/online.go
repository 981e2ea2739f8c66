package live

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/sets"
)

// apps are those of which somebody was ever online here. They stay.
type apps struct {
	mu sync.RWMutex // guards of
	of map[herald.AppKey]*app
}

// app is what is online of one app.
type app struct {
	key herald.AppKey

	mu     sync.RWMutex // guards what follows, but topics
	online *sets.Set
	// roster has the newest session of each device that is online; the others
	// follow in Session.older.
	roster roster
	count  int

	topics topics // has a lock of its own

	learning sync.Mutex // taken before all others; guards what follows
	learned  bool       // the sessions have the aliases that the rules name
}

type deviceKey struct {
	app herald.AppKey
	ord herald.Ordinal
}

func (h *Hub) app(key herald.AppKey) *app {
	if a := h.lookup(key); a != nil {
		return a
	}
	h.apps.mu.Lock()
	defer h.apps.mu.Unlock()
	a := h.apps.of[key]
	if a == nil {
		if h.apps.of == nil {
			h.apps.of = map[herald.AppKey]*app{}
		}
		// A key may be cut from a whole token, which it must not keep.
		key = herald.AppKey(strings.Clone(string(key)))
		a = &app{key: key, online: sets.New()}
		h.apps.of[key] = a
	}
	return a
}

// lookup gives the app if anything of it was ever online, else nil.
func (h *Hub) lookup(key herald.AppKey) *app {
	h.apps.mu.RLock()
	defer h.apps.mu.RUnlock()
	return h.apps.of[key]
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
	h.apps.mu.RLock()
	apps := slices.Collect(maps.Values(h.apps.of))
	h.apps.mu.RUnlock()
	out := map[string]int{}
	for _, a := range apps {
		a.mu.RLock()
		a.roster.each(func(s *Session) { out[s.codec.name]++ })
		a.mu.RUnlock()
	}
	return out
}

// Transports names the transports over which a device is connected, sorted,
// each once.
func (h *Hub) Transports(key herald.AppKey, ord herald.Ordinal) []string {
	var out []string
	for _, s := range h.sessionsOf(key, ord) {
		out = append(out, s.codec.name)
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
// changed. What was evaluated before and names aliases is not for it any more,
// and topics are those of the new alias when it returns. Where the rules of the
// app name the alias it is read.
func (h *Hub) Rebind(key herald.AppKey, ord herald.Ordinal, pos herald.Pos) {
	h.openings.note(deviceKey{key, ord}, lateChange{bound: pos})
	list := h.sessionsOf(key, ord)
	for _, s := range list {
		s.rebind(pos)
	}
	h.rebindTopics(key, ord, pos, list)
}

// Disconnect ends every session of a device, e.g. because it was removed or
// its tokens were revoked.
func (h *Hub) Disconnect(key herald.AppKey, ord herald.Ordinal, why Reason) {
	h.openings.note(deviceKey{key, ord}, lateChange{gone: &why})
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
	for s := a.roster.get(ord); s != nil; s = s.older {
		out = append(out, s)
	}
	return out
}

// openings are the sessions between authentication and join, and what became
// of their devices meanwhile.
type openings struct {
	mu   sync.Mutex // guards what follows
	now  int
	late map[deviceKey]lateChange
}

// lateChange is what became of a device while a session of it was opening:
// authenticated already, and not online yet.
type lateChange struct {
	bound herald.Pos
	gone  *Reason
}

// begin and end frame the time in which what Authenticate answered may become
// stale without anybody finding the session.
func (o *openings) begin() {
	o.mu.Lock()
	o.now++
	o.mu.Unlock()
}

func (o *openings) end() {
	o.mu.Lock()
	if o.now--; o.now == 0 {
		o.late = nil
	}
	o.mu.Unlock()
}

func (o *openings) note(k deviceKey, c lateChange) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now == 0 {
		return
	}
	old := o.late[k]
	old.bound = max(old.bound, c.bound)
	if c.gone != nil {
		old.gone = c.gone
	}
	if o.late == nil {
		o.late = map[deviceKey]lateChange{}
	}
	o.late[k] = old
}

func (o *openings) change(k deviceKey) lateChange {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.late[k]
}

// join puts a session online. It gives the device's oldest session if there
// is one too many now; the caller closes it.
func (a *app) join(s *Session, ord herald.Ordinal) (tooMany *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.older, s.joined = a.roster.get(ord), true; s.older == nil {
		a.online.Add(ord)
	}
	a.roster.put(ord, s)
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
	newest := a.roster.get(ord)
	switch {
	case newest != s:
		for t := newest; t != nil; t = t.older {
			if t.older == s {
				t.older = s.older
				break
			}
		}
	case s.older != nil:
		a.roster.put(ord, s.older)
	default:
		a.roster.remove(ord)
		a.online.Remove(ord)
	}
	s.older = nil
}

// reached gives those devices of a set that are online, as a set of the
// caller's own.
func (a *app) reached(set *sets.Set) *sets.Set {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return sets.Intersect(set, a.online)
}

// sessions appends the sessions of some devices, given in ascending order, that
// are online now: those of a device one after the other.
func (a *app) sessions(ords []uint32, into []*Session) []*Session {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.roster.collect(ords, into)
}
