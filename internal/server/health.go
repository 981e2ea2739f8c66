package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/config"
)

// probeEvery is how often at most the record is asked to make a durable write
// for a readiness probe; the answer is shared by all who ask meanwhile.
const (
	probeEvery = time.Second
	probeTime  = 5 * time.Second
)

// health answers whether the node can make a durable write.
type health struct {
	probe   func(context.Context) error
	observe func(ok bool)

	mu   sync.Mutex // held while probing, so that one probe runs at a time
	at   time.Time
	last error
}

func newHealth(probe func(context.Context) error, observe func(ok bool)) *health {
	return &health{probe: probe, observe: observe}
}

// whyNotReady says to everybody why the record cannot be written. What a database
// server or the way there says stays in the log: it names users and hosts.
func (s *Server) whyNotReady(err error) string {
	var e *herald.Error
	if s.cfg.Store.Driver != config.StoreSQLite && errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func (h *health) check(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.at.IsZero() && time.Since(h.at) < probeEvery {
		return h.last
	}
	// A caller that goes away must not spoil the answer of the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	h.last = h.probe(ctx)
	h.at = time.Now()
	h.observe(h.last == nil)
	return h.last
}
