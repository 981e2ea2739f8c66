package live

import (
	"sync"
	"time"

	"github.com/herald-push/herald"
)

// offersKept is how long it is remembered, at least, up to where an ended
// one-way session was offered its releases: longer than a receipt takes to be
// written. Its client acknowledges with its next request, which may come
// before that.
const offersKept = 10 * time.Second

// offers remembers the positions in two generations.
type offers struct {
	mu         sync.Mutex
	young, old map[deviceKey]herald.Pos
	turned     time.Duration // when young began, by the hub's clock
}

func (o *offers) note(k deviceKey, pos herald.Pos) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.young == nil {
		o.young = map[deviceKey]herald.Pos{}
	}
	o.young[k] = max(o.young[k], pos)
}

func (o *offers) get(k deviceKey) herald.Pos {
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(o.young[k], o.old[k])
}

// turn forgets what is old; the hub's beat calls it.
func (o *offers) turn(now time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now-o.turned >= offersKept {
		o.young, o.old, o.turned = nil, o.young, now
	}
}
