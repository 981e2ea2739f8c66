package courier

import (
	"sync"
	"time"
)

// gone remembers for a while which addresses a vendor has said lead to nobody:
// another errand may have read them from the record before they were marked
// there.
type gone struct {
	mu         sync.Mutex // guards what follows
	since      time.Time  // of now
	now, older map[string]time.Time
}

// remembered is for how long, at least: longer than a batch has its addresses.
const remembered = 2 * time.Minute

// add takes down an address with when it was registered.
func (g *gone) add(token string, registered, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == nil || at.Sub(g.since) > remembered {
		g.older, g.now, g.since = g.now, map[string]time.Time{}, at
	}
	g.now[token] = registered
}

// has reports whether an address is gone, as it was registered.
func (g *gone) has(token string, registered time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range []map[string]time.Time{g.now, g.older} {
		if at, ok := m[token]; ok && !registered.After(at) {
			return true
		}
	}
	return false
}
