package live

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
)

// Hub holds the sessions of this node. Its methods may be called from any
// goroutine. It does its work while [Hub.Run] runs.
type Hub struct {
	opts     Options
	start    time.Time
	cache    *frameCache
	pool     *pool
	wheel    *wheel
	queued   atomic.Int64 // bytes that wait on all connections
	single   SingleReceipts
	catchUps catchUps

	process uint64       // a random number of this hub, for what must not outlive it
	dropped atomic.Int64 // publications for which a queue had no room

	replayed atomic.Uint64 // messages of backlogs that were sent
	polled   atomic.Uint64 // the same, to those that poll

	codecs   atomic.Pointer[[]*codec]
	apps     apps
	openings openings
	expiries expiries
	offers   offers
	waits    waits
	recalls  recalls
	busy     busyTopics

	mu       sync.Mutex    // guards what follows; what is above has locks of its own
	all      []*Session    // attached and not closed; each knows its place
	links    int           // connections that a listener serves
	idle     chan struct{} // closed when links falls to 0 after drain began; nil before
	draining bool
	closed   bool

	strangers strangers // has a lock of its own
	pace      pace      // has a lock of its own

	cancel  context.CancelFunc // of Run; nil while it does not run
	stopped chan struct{}      // closed when Run has returned
}

// NewHub makes a hub without sessions. It starts nothing.
func NewHub(o Options) *Hub {
	o = o.withDefaults()
	single, ok := o.Receipts.(SingleReceipts)
	if !ok {
		single = inSets{o.Receipts}
	}
	return &Hub{
		opts:   o,
		start:  time.Now(),
		cache:  newFrameCache(o.FrameMemory),
		pool:   newPool(),
		wheel:  newWheel(),
		single: single,

		catchUps: newCatchUps(o.Workers),

		process: rand.Uint64(),
		pace:    pace{seed: maphash.MakeSeed()},
	}
}

// Run does the hub's work until ctx ends or [Hub.Close] is called. Then it
// closes what connections there are with [CloseDraining], and returns when
// they and its own goroutines are gone. It may be called once.
func (h *Hub) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.mu.Lock()
	if h.stopped != nil || h.closed {
		h.mu.Unlock()
		return errors.New("live: the hub runs already, or is closed")
	}
	h.cancel, h.stopped = cancel, make(chan struct{})
	h.mu.Unlock()
	defer close(h.stopped)

	var wg sync.WaitGroup
	for range h.opts.Workers {
		wg.Go(func() { h.pool.work(ctx) })
	}
	wg.Go(func() { h.beat(ctx) })
	<-ctx.Done()
	idle := h.shut()
	h.pool.stop()
	wg.Wait()
	<-idle // every Conn ends within the time that Close gives it
	return nil
}

// Close ends Run, if it runs, and waits for it. Connections that come later
// are refused.
func (h *Hub) Close() {
	h.mu.Lock()
	cancel, stopped := h.cancel, h.stopped
	h.closed = true
	h.mu.Unlock()
	if cancel == nil {
		idle := h.shut()
		<-idle
		return
	}
	cancel()
	<-stopped
}

// shut closes every session and refuses new ones. The channel is closed when
// the last connection is gone.
func (h *Hub) shut() <-chan struct{} {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	return h.leaveAll(func(s *Session) {
		s.Close(Reason{CloseDraining, "the server stops"})
	})
}

// Drain sends every client away, each with a random time to wait that spreads
// their return, and waits until they are gone or ctx ends. New connections are
// refused from now on.
func (h *Hub) Drain(ctx context.Context) error {
	h.mu.Lock()
	spread := returnSpread(len(h.all))
	h.mu.Unlock()
	idle := h.leaveAll(func(s *Session) { s.depart(time.Second + rand.N(spread)) })
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// returnSpread is the time over which clients are asked to come back, after the
// first second: 100 a second, so that they do not all return at the same
// moment, but never longer than herald.DrainSpread.
func returnSpread(sessions int) time.Duration {
	return min(time.Second+time.Duration(sessions)*10*time.Millisecond, herald.DrainSpread-time.Second)
}

func (h *Hub) leaveAll(leave func(*Session)) <-chan struct{} {
	h.mu.Lock()
	h.draining = true
	if h.idle == nil {
		h.idle = make(chan struct{})
		if h.links == 0 {
			close(h.idle)
		}
	}
	idle := h.idle
	list := slices.Clone(h.all)
	h.mu.Unlock()
	for _, s := range list {
		leave(s)
	}
	return idle
}

// enter takes a session into the hub, unless that is closing.
func (h *Hub) enter(s *Session) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining || h.closed {
		s.place = -1
		return false
	}
	s.place = int32(len(h.all))
	h.all = append(h.all, s)
	return true
}

// exit takes it out.
func (h *Hub) exit(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.place < 0 {
		return
	}
	last := len(h.all) - 1
	h.all[s.place] = h.all[last]
	h.all[s.place].place = s.place
	h.all[last], s.place = nil, -1
	if h.all = h.all[:last]; last < cap(h.all)/4 {
		h.all = append(make([]*Session, 0, cap(h.all)/2), h.all...)
	}
}

// now is the time since the hub began, by the monotonic clock.
func (h *Hub) now() time.Duration { return time.Since(h.start) }

// Check tells whether a session may open: the token is that of a device, which
// may subscribe to the topics. Transports whose clients see nothing but the
// response head call it before they open the session.
func (h *Hub) Check(ctx context.Context, hello Hello) (Device, error) {
	if hello.Token == "" {
		return Device{}, errNoToken()
	}
	d, _, err := h.opts.Directory.Authenticate(ctx, hello.Token)
	if err != nil {
		return Device{}, err
	}
	if len(hello.Topics) > 0 {
		if err := validTopics("topic", hello.Topics); err != nil {
			return Device{}, err
		}
		if err := h.maySubscribe(d, "topic", hello.Topics); err != nil {
			return Device{}, err
		}
	}
	return d, nil
}

// Cursor signs a position of an app's log; "" for what is not in the log.
func (h *Hub) cursor(app herald.AppKey, pos herald.Pos) string {
	if pos == 0 {
		return ""
	}
	return h.opts.Directory.Cursor(app, pos)
}

// parseCursor reads a cursor back; false for none, and for one that is not good.
func (h *Hub) parseCursor(app herald.AppKey, cursor string) (herald.Pos, bool) {
	if cursor == "" {
		return 0, false
	}
	return h.opts.Directory.ParseCursor(app, cursor)
}

func errNoToken() *herald.Error {
	return herald.Errorf(herald.CodeUnauthorized, "Send the device token that POST /v1/devices answered.", "there is no device token")
}
