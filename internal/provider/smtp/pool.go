package smtp

import (
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
)

const (
	// maxSessions is how many connections there are at once: many servers take ten
	// of one user, and refuse the next.
	maxSessions = 8
	// maxMails is how many mails a connection carries; servers have a limit.
	maxMails = 100
	// maxIdle is how long a connection waits for its next mail. A server waits at
	// least five minutes (RFC 5321 section 4.5.3.2.7).
	maxIdle = 30 * time.Second
)

// pool keeps connections for the next mail.
type pool struct {
	wait     time.Duration // maxIdle; shorter in tests
	settings settings
	client   *egress.Client
	slots    chan struct{} // held by who has a session

	mu     sync.Mutex // guards what follows
	idle   []*session // the last one was used last
	closed bool
}

func newPool(s settings, c *egress.Client) *pool {
	return &pool{wait: maxIdle, settings: s, client: c, slots: make(chan struct{}, maxSessions)}
}

// use has something done over a connection, which is kept if it is still good
// then. The error is an *provider.Error.
func (p *pool) use(ctx context.Context, do func(*session) error) error {
	ctx, cancel := context.WithTimeout(ctx, provider.SendTimeout)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return provider.Lost(ctx.Err(), false)
	}
	defer func() { <-p.slots }()
	script := newScript(ctx, p.settings.address())
	defer script.end()
	s := p.take()
	for s != nil && s.again(ctx, script) != nil {
		s.cut()
		if ctx.Err() != nil { // it says nothing of the others
			return script.failed(provider.Lost(ctx.Err(), false))
		}
		s = p.take()
	}
	if s == nil {
		var err error
		if s, err = open(ctx, &p.settings, p.client, script); err != nil {
			return script.failed(err)
		}
	}
	err := s.bound(ctx, script, func() error { return do(s) })
	if s.broken || s.mails >= maxMails || !p.give(s) {
		s.leave()
	}
	return script.failed(err)
}

// take gives the connection that was used last; nil for none.
func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	s := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	s.timer.Stop()
	return s
}

// give keeps a connection; false if there is to be none any more.
func (p *pool) give(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.idle = append(p.idle, s)
	s.timer = time.AfterFunc(p.wait, func() { p.retire(s) })
	return true
}

// retire ends a connection that nobody wanted, unless somebody has just taken it.
func (p *pool) retire(s *session) {
	p.mu.Lock()
	found := false
	for i, other := range p.idle {
		if found = other == s; found {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
	if found {
		s.leave()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	list := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, s := range list {
		s.timer.Stop()
		s.leave()
	}
}
