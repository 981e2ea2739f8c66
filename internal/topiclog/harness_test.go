package topiclog_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store"
	"github.com/herald-push/herald/internal/store/sqlite"
	"github.com/herald-push/herald/internal/topiclog"
)

const (
	appA herald.AppKey = "aaaaaaaaaaaaaaaaaaaaaaaa"
	appB herald.AppKey = "bbbbbbbbbbbbbbbbbbbbbbbb"
)

// world is a log on a store, with a clock.
type world struct {
	t   *testing.T
	ctx context.Context
	dir string
	db  *store.DB
	*topiclog.Log
	failing
	config topiclog.Config

	mu    sync.Mutex // guards what follows
	now   time.Time
	wills []string

	willed chan struct{} // one for each will
}

// failing is a store whose commits can be made to wait and to fail.
type failing struct {
	topiclog.Store
	mu   *sync.Mutex // held: commits wait
	fail func() error
}

func (f *failing) CommitTopics(ctx context.Context, run record.TopicRun, ops []*record.TopicOp) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail(); err != nil {
			return err
		}
	}
	return f.Store.CommitTopics(ctx, run, ops)
}

func newWorld(t *testing.T, change ...func(*topiclog.Config)) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), dir: t.TempDir(), willed: make(chan struct{}, 16), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, c := range change {
		c(&w.config)
	}
	w.start()
	for _, key := range []herald.AppKey{appA, appB} {
		w.must(w.db.CreateApp(w.ctx, record.App{Key: key, Name: "app", SecretHash: []byte("x"), Created: w.now}))
	}
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	var err error
	w.db, err = sqlite.Open(w.ctx, sqlite.Config{Path: filepath.Join(w.dir, "herald.db"), Now: w.clock, OnTopics: func(app herald.AppKey, moves []record.TopicMove) { w.OnTopics(app, moves) }})
	w.must(err)
	w.failing = failing{Store: w.db, mu: &sync.Mutex{}}
	c := w.config
	c.Store, c.Now, c.Apps = &w.failing, w.clock, func() []herald.AppKey { return []herald.AppKey{appA, appB} }
	c.OnWill = func(_ context.Context, _ herald.AppKey, client string, will record.TopicWill) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wills = append(w.wills, client+" "+string(will.Entry.Payload))
		w.willed <- struct{}{}
		return nil
	}
	w.Log = topiclog.New(c)
}

func (w *world) stop() {
	if w.db != nil {
		w.Log.Close()
		w.must(w.db.Close())
		w.db = nil
	}
}

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) sleep(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("unexpected error: %v", err)
	}
}

func (w *world) open(client string, clean bool) (record.TopicSessionState, bool) {
	w.t.Helper()
	s, present, err := w.Open(w.ctx, record.TopicSession{App: appA, Client: client, Ord: 1, Expiry: 60, Clean: clean, Version: 5})
	w.must(err)
	return s, present
}

// change changes a session and waits for it.
func (w *world) change(client string, c record.TopicSessionChange) error {
	done := make(chan error, 1)
	w.Change(appA, client, c, func(err error) { done <- err })
	return <-done
}

func (w *world) subscribe(client string, filters ...string) {
	w.t.Helper()
	var c record.TopicSessionChange
	for _, f := range filters {
		c.Subscribe = append(c.Subscribe, record.TopicSub{Filter: f, QoS: 1})
	}
	w.must(w.change(client, c))
}

func entry(topic, text string) *record.TopicEntry {
	return &record.TopicEntry{Topic: herald.Topic(topic), QoS: 1, Payload: []byte(text)}
}

// publish appends an entry and waits for it.
func (w *world) publish(topic, text string) *record.TopicEntry {
	w.t.Helper()
	e := entry(topic, text)
	e.Time = w.clock()
	done := make(chan error, 1)
	w.Append(appA, e, func(err error) { done <- err })
	w.must(<-done)
	return e
}

func (w *world) wantWaiting(client string, want ...string) {
	w.t.Helper()
	list, _, _, err := w.Read(w.ctx, appA, client, 0, 100)
	w.must(err)
	var got []string
	for _, e := range list {
		got = append(got, string(e.Payload))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%q waits for %s, want %q", got, client, want)
	}
}

func (w *world) wantCode(err error, want herald.Code) {
	w.t.Helper()
	if herald.CodeOf(err) != want {
		w.t.Errorf("got error %v, want code %q", err, want)
	}
}
