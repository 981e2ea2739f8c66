package cli

import (
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/systemd"
)

// stopMargin is what a stop may take beyond the time for draining: the stages
// close and the record is synced.
const stopMargin = 15 * time.Second

// manager is what a service manager is told while a server runs.
type manager struct {
	*systemd.Notifier
	node Node
	note func(format string, args ...any)
	work sync.WaitGroup
}

// ready tells that the server serves, and begins to feed the watchdog until
// ended is done.
func (m *manager) ready(ended context.Context) {
	m.send(systemd.Ready, systemd.Status("listening on "+m.node.URL()))
	if d := m.Watchdog(); d > 0 {
		m.work.Go(func() { m.feed(ended, d) })
	}
}

// stopping tells that the server drains, and for how long at most.
func (m *manager) stopping(cfg config.Config) {
	m.send(systemd.Stopping, systemd.Status("draining"), systemd.Extend(cfg.Server.DrainTime+stopMargin))
}

// send goes on after an error: a server that works is not stopped because
// nobody listens to what it says.
func (m *manager) send(states ...systemd.State) {
	if err := m.Send(states...); err != nil {
		m.note("herald: the service manager is not told %s: %v\n", states[0], err)
	}
}

// feed says that the server is alive, twice in the time that the manager gives.
// It asks the server first: one that is stuck must not look alive because
// another goroutine still runs. Only silence counts; whoever refuses is awake.
func (m *manager) feed(ctx context.Context, within time.Duration) {
	for {
		if m.answers(ctx, within/2) {
			m.send(systemd.Alive)
		}
		if !pause(ctx, within/2) {
			return
		}
	}
}

func (m *manager) answers(ctx context.Context, within time.Duration) bool {
	node, ok := m.node.(interface {
		Answers(ctx context.Context) error
	})
	if !ok {
		return true
	}
	asking, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_ = node.Answers(asking) // whatever it says, it says something
	return asking.Err() == nil
}
