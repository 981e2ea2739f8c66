// Package retained keeps for each topic the last publication that asked for it,
// for who subscribes later (MQTT 5.0 section 3.3.1.3). What is kept is in the
// record; the entries of apps that have few are in memory as well, so that who
// subscribes reads nothing.
package retained

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// Store has the entries.
type Store interface {
	// PutRetained does all of some operations in one commit. One that is refused,
	// because its app has as many entries as most, says so in Err.
	PutRetained(ctx context.Context, ops []*record.RetainedOp, most int) error
	// Retained lists the entries of an app whose topics are not before one, and
	// come after another, in byte order, at most limit.
	Retained(ctx context.Context, app herald.AppKey, from, after herald.Topic, limit int) ([]record.TopicEntry, error)
	// PurgeRetained deletes some entries that have expired, and reports whether
	// there may be more.
	PurgeRetained(ctx context.Context, now time.Time) (more bool, err error)
}

// Config says what a keeper works with. Store is needed; the zero value of
// everything else is its default.
type Config struct {
	Store Store
	Log   *slog.Logger     // default: discard
	Now   func() time.Time // default: time.Now

	// Most is how many entries an app has at most; default herald.MaxRetained.
	Most int
	// AppMemory is how many bytes of an app's entries may be in memory, Memory of
	// all of them; an app that has more is read from the record. Defaults: 1 MiB
	// and 64 MiB.
	AppMemory, Memory int64
	// Queue is how many bytes may wait to be written; default 16 MiB.
	Queue int64
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Most <= 0 {
		c.Most = herald.MaxRetained
	}
	for _, d := range []struct {
		to  *int64
		def int64
	}{{&c.AppMemory, 1 << 20}, {&c.Memory, 64 << 20}, {&c.Queue, 16 << 20}} {
		if *d.to <= 0 {
			*d.to = d.def
		}
	}
	return c
}

// Keeper keeps entries. Its methods may be called from any goroutine. What is to
// be kept is written while [Keeper.Run] runs.
type Keeper struct {
	c    Config
	wake chan struct{} // capacity 1: something waits

	mu     sync.Mutex // guards what follows
	queue  []item
	bytes  int64 // of the queue
	closed bool

	cache cache // has a lock of its own
}

// item is an operation that waits to be written.
type item struct {
	op   *record.RetainedOp
	then func(error)
}

// itemSize is about what an entry takes in memory beside its content.
const itemSize = 400

// size is about what an entry takes in memory.
func size(e *record.TopicEntry) int64 {
	n := itemSize + len(e.Topic) + len(e.Data) + len(e.Payload) + len(e.Client)
	if p := e.Props; p != nil {
		n += len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
		for _, u := range p.User {
			n += 32 + len(u.Name) + len(u.Value)
		}
	}
	return int64(n)
}

// New makes a keeper. It starts nothing.
func New(c Config) *Keeper {
	c = c.withDefaults()
	return &Keeper{c: c, wake: make(chan struct{}, 1), cache: cache{apps: map[herald.AppKey]*app{}, room: c.Memory}}
}

// Keep keeps an entry in place of the one that its topic had; one without
// content takes that away. It never blocks. then is called once that is durable,
// in the order of the calls of one goroutine; or with why it is not: a
// *herald.Error. Nobody changes the entry after that.
func (k *Keeper) Keep(app herald.AppKey, e *record.TopicEntry, then func(error)) {
	n := size(e)
	k.mu.Lock()
	if k.closed || k.bytes > 0 && k.bytes+n > k.c.Queue {
		closed := k.closed
		k.mu.Unlock()
		then(busy(closed))
		return
	}
	k.queue = append(k.queue, item{&record.RetainedOp{App: app, Entry: e}, then})
	k.bytes += n
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func busy(closed bool) error {
	what := "too many publications wait to be kept"
	if closed {
		what = "the server is going away"
	}
	e := herald.Errorf(herald.CodeStorageUnavailable, "Publish it again after the time in Retry-After.", "%s", what)
	e.RetryAfter = time.Second
	return e
}

// purgeEvery is how often expired entries are deleted.
const purgeEvery = time.Minute

// Run writes what is to be kept, and deletes what has expired, until ctx ends.
// What waits then is written first.
func (k *Keeper) Run(ctx context.Context) {
	purge := time.NewTicker(purgeEvery)
	defer purge.Stop()
	for {
		select {
		case <-k.wake:
			k.write(ctx)
		case <-purge.C:
			k.purge(ctx)
		case <-ctx.Done():
			k.mu.Lock()
			k.closed = true
			k.mu.Unlock()
			k.write(ctx)
			return
		}
	}
}

// write writes what waits. It is not interrupted when ctx ends: a commit that
// has begun is over soon.
func (k *Keeper) write(ctx context.Context) {
	k.mu.Lock()
	list := k.queue
	k.queue, k.bytes = nil, 0
	k.mu.Unlock()
	for len(list) > 0 {
		n := min(len(list), batch)
		k.commit(context.WithoutCancel(ctx), list[:n])
		list = list[n:]
	}
}

// batch is how many operations one commit takes.
const batch = 1024

type place struct {
	app   herald.AppKey
	topic herald.Topic
}

// commit writes operations. Of several about one topic only the last is, and the
// others share what becomes of it.
func (k *Keeper) commit(ctx context.Context, list []item) {
	last := make(map[place]*record.RetainedOp, len(list))
	for _, it := range list {
		last[place{it.op.App, it.op.Entry.Topic}] = it.op
	}
	ops := make([]*record.RetainedOp, 0, len(last))
	for _, it := range list {
		if last[place{it.op.App, it.op.Entry.Topic}] == it.op {
			ops = append(ops, it.op)
		}
	}
	err := k.c.Store.PutRetained(ctx, ops, k.c.Most)
	if err != nil {
		k.c.Log.ErrorContext(ctx, "retained publications cannot be written", "count", len(ops), "error", err)
	} else {
		k.cache.apply(ops, k.c.AppMemory)
	}
	for _, it := range list {
		why := err
		if why == nil {
			why = last[place{it.op.App, it.op.Entry.Topic}].Err
		}
		it.then(why)
	}
}

func (k *Keeper) purge(ctx context.Context) {
	now := k.c.Now()
	for more := true; more; {
		var err error
		if more, err = k.c.Store.PurgeRetained(ctx, now); err != nil {
			if ctx.Err() == nil {
				k.c.Log.ErrorContext(ctx, "expired retained publications cannot be deleted", "error", err)
			}
			break
		}
	}
	k.cache.expire(now)
}
