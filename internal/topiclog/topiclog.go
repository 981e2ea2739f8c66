// Package topiclog keeps publications for sessions that outlive their
// connections, and those sessions (docs/design/028-topic-log.md). What is
// published is an entry of the app's log, found by its topic; a session is a
// position of that log, its subscriptions and what is under way.
//
// Appending never blocks its caller: what came while one commit was made durable
// is the next, entries and changes of sessions of all apps together.
package topiclog

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// Store keeps the topic log.
type Store interface {
	Entries
	Sessions
}

// Entries is what the record does for entries.
type Entries interface {
	// CommitTopics does things in one commit; what becomes of each is in it. With
	// an error none was done.
	CommitTopics(ctx context.Context, run record.TopicRun, ops []*record.TopicOp) error
	// TopicEntries gives what waits for a session; not_found if there is none.
	TopicEntries(ctx context.Context, q record.TopicQuery) (record.TopicPage, error)
	// TopicWaiting counts what waits for a session.
	TopicWaiting(ctx context.Context, q record.TopicQuery) (int, error)
	// PurgeTopics deletes entries of an app that were published before a time, the
	// oldest first, at most limit.
	PurgeTopics(ctx context.Context, app herald.AppKey, before time.Time, limit int) (deleted int, err error)
}

// Sessions is what the record does for sessions.
type Sessions interface {
	Due
	// TopicSession finds a session with its subscriptions; not_found if there is none.
	TopicSession(ctx context.Context, run record.TopicRun, app herald.AppKey, client string) (*record.TopicSessionState, error)
	// TopicSessions lists sessions by client, without their subscriptions.
	TopicSessions(ctx context.Context, run record.TopicRun, f record.TopicSessionFilter) ([]record.TopicSessionState, error)
	// TopicFilters tells of the filters of an app, each once, and of the sessions
	// that have shared ones.
	TopicFilters(ctx context.Context, run record.TopicRun, app herald.AppKey, filter func(record.TopicFilter), member func(record.TopicMember)) error
	// TopicSubscribers gives the devices whose sessions have one of some filters.
	TopicSubscribers(ctx context.Context, app herald.AppKey, filters []string) (*sets.Set, error)
}

// Due finds sessions with which something has to be done.
type Due interface {
	// DueTopics lists sessions whose wills are due or that are over by a time, at
	// most limit of each.
	DueTopics(ctx context.Context, now time.Time, limit int) ([]record.TopicDue, error)
	// AdoptTopics says of at most limit sessions that were connected to an earlier
	// life of the server that they are away since this one began.
	AdoptTopics(ctx context.Context, run record.TopicRun, limit int) (more bool, err error)
}

// Config is what a Log is made of; the zero value of what is not said to be
// needed is its default.
type Config struct {
	Store Store                  // needed
	Apps  func() []herald.AppKey // needed by Run
	Now   func() time.Time       // default time.Now
	Log   *slog.Logger           // default: discard
	// TTL is how long an entry is kept at most; default one day.
	TTL time.Duration
	// Waiting is how many entries may wait for one session, of more the newest;
	// default 1,000.
	Waiting int
	// QueueItems and QueueBytes bound what waits for a commit; defaults 65,536 and
	// 64 MiB.
	QueueItems int
	QueueBytes int64
	// OnWill publishes a will that is due, and returns when that is done. After an
	// error it is called again. nil: nobody publishes.
	OnWill func(ctx context.Context, app herald.AppKey, client string, w record.TopicWill) error
}

// Log is the topic log of all apps. It is safe for use by several goroutines.
type Log struct {
	c   Config
	run record.TopicRun

	apps sync.Map // herald.AppKey to *app

	mu     sync.Mutex // guards what follows, and the queueing state of apps
	queue  []*item
	lazy   map[sessionKey]*item
	closed bool
	items  int   // not told yet, without the lazy ones
	bytes  int64 // of them
	parked int   // of those that wait for the filters of their apps

	wake  chan struct{} // there is something in queue
	told  chan []*item
	stop  context.CancelFunc
	ctx   context.Context // of commits
	wg    sync.WaitGroup  // of the two goroutines
	loads sync.WaitGroup

	appended, dropped, refused atomic.Int64
}

type sessionKey struct {
	app    herald.AppKey
	client string
}

// New makes a log, which works until Close.
func New(c Config) *Log {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TTL <= 0 {
		c.TTL = 24 * time.Hour
	}
	if c.Waiting <= 0 {
		c.Waiting = 1000
	}
	if c.QueueItems <= 0 {
		c.QueueItems = 1 << 16
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = 64 << 20
	}
	var id [8]byte
	rand.Read(id[:])
	l := &Log{c: c, run: record.TopicRun{ID: int64(binary.BigEndian.Uint64(id[:]) >> 1), Began: c.Now()}, lazy: map[sessionKey]*item{},
		wake: make(chan struct{}, 1), told: make(chan []*item, 1)}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.wg.Go(l.commits)
	l.wg.Go(l.tell)
	return l
}

// Close makes durable what was asked for, calls what is to be called, and ends.
// It may be called once. What is asked for later is refused.
func (l *Log) Close() {
	l.mu.Lock()
	l.flushLazy()
	l.closed = true
	l.mu.Unlock()
	l.signal()
	l.wg.Wait()
	l.stop()
	l.loads.Wait()
}

// Stats are figures of a log.
type Stats struct {
	Appended int64 // entries stored since the start
	Pending  int64 // operations that wait for a commit or to be told
	Dropped  int64 // entries passed over since the start because too many waited
	Refused  int64 // entries refused since the start because too many were pending
}

// Stats gives the figures.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{l.appended.Load(), int64(l.items), l.dropped.Load(), l.refused.Load()}
}

var errClosed = errors.New("topiclog: the server is stopping")

func unavailable(cause error) *herald.Error {
	e := herald.Errorf(herald.CodeStorageUnavailable, "Repeat it later; if it goes on, look at the database and the log of the server.",
		"too much waits to be stored")
	e.RetryAfter = time.Second
	if e.Err = cause; cause != nil {
		e.Message = cause.Error()
	}
	return e
}
