package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// firstRest is how long it is waited until what was left unfinished is tried
// again, and mostRest how long at most: it is twice as long each time.
const (
	firstRest = time.Second
	mostRest  = 30 * time.Second
)

// unfinished are the apps with changes of devices from which not everything
// follows yet: see [api.Devices.FinishChanges].
type unfinished struct {
	wake chan struct{} // capacity 1
	mu   sync.Mutex    // guards apps
	apps map[herald.AppKey]bool
}

func newUnfinished() *unfinished {
	return &unfinished{wake: make(chan struct{}, 1), apps: map[herald.AppKey]bool{}}
}

// note remembers an app.
func (u *unfinished) note(app herald.AppKey) {
	u.mu.Lock()
	u.apps[app] = true
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// take gives the apps, and forgets them.
func (u *unfinished) take() map[herald.AppKey]bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	apps := u.apps
	u.apps = map[herald.AppKey]bool{}
	return apps
}

// finish does what was left unfinished, until ctx ends.
func (s *Server) finish(ctx context.Context) {
	rest := firstRest
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.unfinished.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
		if rest = min(2*rest, mostRest); s.finishNow(ctx) {
			rest = firstRest
		}
	}
}

// finishNow reports whether nothing is left that can be done. A write comes first:
// it finds out what became of a commit whose answer was lost.
func (s *Server) finishNow(ctx context.Context) bool {
	apps := s.unfinished.take()
	err := s.store.Probe(ctx)
	if err != nil {
		for app := range apps {
			s.unfinished.note(app)
		}
	} else {
		err = s.finishApps(ctx, apps)
	}
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "what follows from changes of devices is not done yet", "apps", len(apps), "error", err)
	}
	return err == nil
}

// finishApps notes those apps again of which something is left, and gives one of
// the errors.
func (s *Server) finishApps(ctx context.Context, apps map[herald.AppKey]bool) (last error) {
	for app := range apps {
		err := s.service.Devices.FinishChanges(ctx, app)
		if err == nil {
			continue
		}
		if last = err; !errors.Is(err, record.ErrDamaged) {
			s.unfinished.note(app)
		}
	}
	return last
}
