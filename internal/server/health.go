package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
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

// Answers asks the public port whether it is alive, over a connection of its
// own, as a client would.
func (s *Server) Answers(ctx context.Context) error {
	_, err := ask(ctx, "http://"+s.http.Addr().String()+"/livez")
	return err
}

// Health asks the server that runs on a data folder whether it is ready, over
// its operations port.
func Health(ctx context.Context, folder string) error {
	run, err := readRun(ctx, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return herald.Errorf(herald.CodeStorageUnavailable, "Start it, or name its data folder with --data.", "no server runs on the data folder %s", folder)
	}
	if err != nil {
		return fmt.Errorf("server: reading %s: %w", runFile, err)
	}
	state, err := ask(ctx, run.Ops+"/readyz")
	if err != nil {
		return herald.Errorf(herald.CodeStorageUnavailable, "Look at its log; herald doctor checks the machine.", "the server on the data folder %s does not answer: %v", folder, err)
	}
	if state.code == http.StatusOK {
		return nil
	}
	why := state.Status
	if state.Reason != "" {
		why += ": " + state.Reason
	}
	return herald.Errorf(herald.CodeStorageUnavailable, "Look at its log; herald doctor checks the machine.", "the server is %s", why)
}

// condition is the answer of /livez and /readyz.
type condition struct {
	code           int
	Status, Reason string
}

// ask asks one of them.
func ask(ctx context.Context, url string) (c condition, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return c, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy of the environment
	resp, err := client.Do(req)
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	c.code = resp.StatusCode
	return c, json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&c)
}
