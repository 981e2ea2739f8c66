package retained

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

const (
	shop  herald.AppKey = "shop"
	other herald.AppKey = "other"
)

// memory is a Store.
type memory struct {
	mu      sync.Mutex
	apps    map[herald.AppKey]map[herald.Topic]record.TopicEntry
	reads   int
	commits int
	err     error
	during  func() // while a list is being read
}

func (m *memory) PutRetained(_ context.Context, ops []*record.RetainedOp, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commits++
	if m.err != nil {
		return m.err
	}
	for _, o := range ops {
		app := m.apps[o.App]
		if app == nil {
			app = map[herald.Topic]record.TopicEntry{}
			m.apps[o.App] = app
		}
		_, there := app[o.Entry.Topic]
		switch {
		case o.Entry.Empty():
			delete(app, o.Entry.Topic)
		case !there && len(app) >= most:
			o.Err = herald.Errorf(herald.CodeLimitReached, "Delete some.", "full")
		default:
			app[o.Entry.Topic] = *o.Entry
		}
	}
	return nil
}

func (m *memory) Retained(_ context.Context, app herald.AppKey, from, after herald.Topic, limit int) (out []record.TopicEntry, err error) {
	m.mu.Lock()
	m.reads++
	during := m.during
	m.during = nil
	for t, e := range m.apps[app] {
		if t >= from && t > after {
			out = append(out, e)
		}
	}
	err = m.err
	m.mu.Unlock()
	slices.SortFunc(out, func(x, y record.TopicEntry) int { return strings.Compare(string(x.Topic), string(y.Topic)) })
	if during != nil {
		during()
	}
	return out[:min(limit, len(out))], err
}

func (m *memory) PurgeRetained(_ context.Context, now time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, app := range m.apps {
		for t, e := range app {
			if expired(&e, now) {
				delete(app, t)
				return true, nil
			}
		}
	}
	return false, nil
}

func (m *memory) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// rig is a keeper with a store in memory and a clock of its own.
type rig struct {
	*testing.T
	*Keeper
	store *memory
	stop  func()
}

func with(t *testing.T, c Config, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{apps: map[herald.AppKey]map[herald.Topic]record.TopicEntry{}}
		c.Store = m
		ctx, cancel := context.WithCancel(context.Background())
		r := &rig{T: t, Keeper: New(c), store: m}
		done := make(chan struct{})
		go func() { defer close(done); r.Keeper.Run(ctx) }()
		r.stop = func() { cancel(); <-done }
		defer r.stop()
		f(r)
	})
}

func (r *rig) keep(app herald.AppKey, topic, payload string) error {
	return r.keepUntil(app, topic, payload, time.Time{})
}

func (r *rig) keepUntil(app herald.AppKey, topic, payload string, expires time.Time) (err error) {
	err = errors.New("nothing was said")
	r.Keep(app, &record.TopicEntry{Topic: herald.Topic(topic), Payload: []byte(payload), Expires: expires}, func(e error) { err = e })
	synctest.Wait()
	return err
}

func (r *rig) expect(app herald.AppKey, filter string, want ...string) {
	r.Helper()
	var got []string
	if err := r.Match(r.Context(), app, herald.TopicFilter(filter), func(e *record.TopicEntry) bool {
		got = append(got, string(e.Topic)+"="+string(e.Payload))
		return true
	}); err != nil {
		r.Fatal(err)
	}
	if !slices.Equal(got, want) {
		r.Fatalf("%s of %s: got %q, want %q", filter, app, got, want)
	}
}

// TestKeep: what is kept is given to who asks, from memory or from the record.
func TestKeep(t *testing.T) {
	for name, c := range map[string]Config{"in memory": {}, "read": {AppMemory: 1}, "evicted": {Memory: 1}} {
		t.Run(name, func(t *testing.T) {
			with(t, c, func(r *rig) {
				r.expect(shop, "#")
				for _, e := range []string{"chat/2=b", "chat=0", "chat/1=a", "chat!=x", "chat/1/x=d", "news=n", "chat/2=B"} {
					topic, payload, _ := strings.Cut(e, "=")
					if err := r.keep(shop, topic, payload); err != nil {
						r.Fatal(err)
					}
				}
				if err := r.keep(other, "chat/1", "theirs"); err != nil {
					r.Fatal(err)
				}
				for range 2 { // once read, once as it was read
					r.expect(shop, "chat/1", "chat/1=a")
					r.expect(shop, "chat/+", "chat/1=a", "chat/2=B")
					r.expect(shop, "chat/#", "chat=0", "chat/1=a", "chat/1/x=d", "chat/2=B")
					r.expect(shop, "+", "chat=0", "chat!=x", "news=n")
					r.expect(shop, "+/1", "chat/1=a")
					r.expect(shop, "none/+")
					r.expect(other, "#", "chat/1=theirs")
				}
				if err := errors.Join(r.keep(shop, "chat/1", ""), r.keep(shop, "never", "")); err != nil {
					r.Fatal(err)
				}
				r.expect(shop, "chat/+", "chat/2=B")
				r.expect(shop, "chat/1")
				n := 0
				_ = r.Match(r.Context(), shop, "#", func(*record.TopicEntry) bool { n++; return n < 2 })
				if n != 2 {
					r.Errorf("%d entries although it said enough", n)
				}
			})
		})
	}
}

// TestNobodyReadsForNothing: an app with nothing, or little, is read once.
func TestNobodyReadsForNothing(t *testing.T) {
	with(t, Config{}, func(r *rig) {
		for range 3 {
			r.expect(shop, "#")
			r.expect(shop, "chat/7")
		}
		if err := r.keep(shop, "chat/7", "x"); err != nil {
			r.Fatal(err)
		}
		r.expect(shop, "chat/+", "chat/7=x")
		if r.store.reads != 1 {
			r.Errorf("read %d times", r.store.reads)
		}
		r.Forget(shop)
		r.expect(shop, "chat/+", "chat/7=x")
		if r.store.reads != 2 {
			r.Errorf("read %d times", r.store.reads)
		}
	})
}

// TestKeptWhileRead: what is committed while an app is read is not lost.
func TestKeptWhileRead(t *testing.T) {
	with(t, Config{}, func(r *rig) {
		if err := r.keep(shop, "a", "old"); err != nil {
			r.Fatal(err)
		}
		r.store.set(func() {
			r.store.during = func() {
				if err := r.keep(shop, "a", "new"); err != nil {
					r.Error(err)
				}
			}
		})
		r.expect(shop, "a", "a=new")
		r.expect(shop, "#", "a=new")
	})
}

// TestManyEntries: an app with too many for the memory is read a page at a time.
func TestManyEntries(t *testing.T) {
	with(t, Config{AppMemory: 100 * itemSize, Most: 2*page + 1}, func(r *rig) {
		var want []string
		for i := range 2*page + 1 {
			topic := fmt.Sprintf("t/%05d", i)
			want = append(want, topic+"=x")
			r.Keep(shop, &record.TopicEntry{Topic: herald.Topic(topic), Payload: []byte("x")}, func(err error) {
				if err != nil {
					r.Error(err)
				}
			})
		}
		synctest.Wait()
		r.expect(shop, "t/+", want...)
		r.expect(shop, "t/00777", "t/00777=x")
		if err := r.keep(shop, "one more", "x"); herald.CodeOf(err) != herald.CodeLimitReached {
			r.Errorf("got %v", err)
		}
		if err := r.keep(shop, "t/00001", "y"); err != nil {
			r.Error(err)
		}
		var got []string
		for after := herald.Topic(""); ; {
			list, err := r.List(r.Context(), shop, "t/", after, 300)
			if err != nil {
				r.Fatal(err)
			}
			if len(list) == 0 {
				break
			}
			for _, e := range list {
				got = append(got, string(e.Topic)+"=x")
				after = e.Topic
			}
		}
		if !slices.Equal(got, want) {
			r.Errorf("pages give %d entries", len(got))
		}
		if list, err := r.List(r.Context(), shop, "", "", 0); len(list) != 0 || err != nil {
			r.Errorf("a page of none has %d, %v", len(list), err)
		}
		for i := range 2 * page {
			r.Keep(shop, &record.TopicEntry{Topic: herald.Topic(fmt.Sprintf("t/%05d", i))}, func(error) {})
		}
		synctest.Wait()
		r.expect(shop, "#", want[2*page]) // small again
		reads := r.store.reads
		r.expect(shop, "#", want[2*page])
		if r.store.reads != reads {
			r.Error("a small app is read each time")
		}
	})
}

// TestLastOfATopicWins: many about one topic are one write, and all are answered.
func TestLastOfATopicWins(t *testing.T) {
	with(t, Config{}, func(r *rig) {
		var said []int
		// The store waits meanwhile: what is published during one commit is the next.
		r.store.set(func() {
			for i := range 100 {
				r.Keep(shop, &record.TopicEntry{Topic: "a", Payload: []byte(fmt.Sprint(i))}, func(err error) {
					if err == nil {
						said = append(said, i)
					}
				})
			}
		})
		synctest.Wait()
		if len(said) != 100 || !slices.IsSorted(said) {
			r.Errorf("%d were answered: %v", len(said), said)
		}
		if r.store.commits > 2 {
			r.Errorf("%d commits", r.store.commits)
		}
		r.expect(shop, "a", "a=99")
	})
}

func TestExpiry(t *testing.T) {
	with(t, Config{}, func(r *rig) {
		soon := time.Now().Add(10 * time.Second)
		if err := errors.Join(r.keepUntil(shop, "a/soon", "x", soon), r.keepUntil(shop, "a/late", "y", time.Now().Add(time.Hour)), r.keep(shop, "a/stays", "z")); err != nil {
			r.Fatal(err)
		}
		r.expect(shop, "a/#", "a/late=y", "a/soon=x", "a/stays=z")
		<-time.After(10 * time.Second)
		r.expect(shop, "a/#", "a/late=y", "a/stays=z")
		if list, err := r.List(r.Context(), shop, "", "", 9); len(list) != 2 || err != nil {
			r.Errorf("a page has %d, %v", len(list), err)
		}
		<-time.After(purgeEvery)
		synctest.Wait()
		r.store.set(func() {
			if n := len(r.store.apps[shop]); n != 2 {
				r.Errorf("%d entries are in the record", n)
			}
		})
		if len(r.cache.apps[shop].list) != 2 {
			r.Error("an expired entry is in memory")
		}
		r.expect(shop, "a/#", "a/late=y", "a/stays=z")
	})
}

// TestFailures: who publishes is told, and nothing is given that is not durable.
func TestFailures(t *testing.T) {
	with(t, Config{Queue: 3 * itemSize}, func(r *rig) {
		r.expect(shop, "#")
		failed := errors.New("the disk is full")
		r.store.set(func() { r.store.err = failed })
		if err := r.keep(shop, "a", "x"); !errors.Is(err, failed) {
			r.Errorf("got %v", err)
		}
		r.expect(shop, "#")
		r.Forget(shop)
		if err := r.Match(r.Context(), shop, "#", nil); !errors.Is(err, failed) {
			r.Errorf("got %v", err)
		}
		if _, err := r.List(r.Context(), shop, "", "", 9); !errors.Is(err, failed) {
			r.Errorf("got %v", err)
		}
		r.store.set(func() { r.store.err = nil })
		refused := 0
		for range 10 {
			r.Keep(shop, &record.TopicEntry{Topic: "b", Data: []byte("1"), Props: &record.TopicProps{User: []record.TopicPair{{Name: "a", Value: "b"}}}}, func(err error) {
				if herald.CodeOf(err) == herald.CodeStorageUnavailable {
					refused++
				}
			})
		}
		synctest.Wait()
		if refused == 0 || refused == 10 {
			r.Errorf("%d of 10 were refused", refused)
		}
		err := errors.New("nothing was said")
		r.Keep(shop, &record.TopicEntry{Topic: "c", Payload: []byte("last")}, func(e error) { err = e })
		r.stop()
		if err != nil {
			r.Errorf("what waits at the end: %v", err)
		}
		if err := r.keep(shop, "d", "x"); herald.CodeOf(err) != herald.CodeStorageUnavailable {
			r.Errorf("after the end: %v", err)
		}
		r.expect(shop, "c", "c=last")
	})
}
