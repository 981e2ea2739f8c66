package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/store/storetest/servers"
)

// Remote is a store on a database server, for RunRemote.
type Remote struct {
	Server *servers.Server
	// Open opens a store through a proxy.
	Open func(t *testing.T, p *servers.Proxy, o Options) (Store, error)
}

// RunRemote runs what a store has to stand that is reached over a network: the
// database is killed, restarted, gone, slow, and taken by another server.
func RunRemote(t *testing.T, r Remote) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, f *remoteFixture)
	}{
		{"one at a time", testOneAtATime},
		{"lock lost", testLockLost},
		{"connection lost", testConnectionLost},
		{"commit lost", testCommitLost},
		{"answer lost", testAnswerLost},
		{"gone", testGone},
		{"slow", testSlow},
		{"killed under load", testKilled},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := servers.NewProxy(t, r.Server)
			f := &remoteFixture{remote: r, proxy: p}
			f.fixture = newFixture(t, func(t *testing.T, o Options) Store {
				s, err := r.Open(t, p, o)
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
			c.test(t, f)
			f.close()
		})
	}
}

type remoteFixture struct {
	*fixture
	remote Remote
	proxy  *servers.Proxy
}

// lost checks that an error is known for one of a database that is away.
func (f *remoteFixture) lost(what string, err error, want bool) {
	f.t.Helper()
	if f.Lost(err) != want {
		f.t.Errorf("%s: %v is taken for one of a database that is away: %t", what, err, !want)
	}
}

// refusedAway checks the answer while the database cannot be used.
func refusedAway(t *testing.T, what string, err error) {
	t.Helper()
	var e *herald.Error
	if !errors.As(err, &e) || e.Code != herald.CodeStorageUnavailable || e.RetryAfter <= 0 || e.Remedy == "" {
		t.Errorf("%s: %v, want storage_unavailable with a time to wait and a remedy", what, err)
	}
}

// eventually repeats what fails while a database comes back.
func (f *remoteFixture) eventually(what string, try func() error) {
	f.t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	f.t.Fatalf("%s: %v", what, err)
}

func testOneAtATime(t *testing.T, f *remoteFixture) {
	_, err := f.remote.Open(t, f.proxy, Options{Dir: f.dir, Now: f.clock})
	refused(t, err, herald.CodeStorageUnavailable)
	if err == nil || !strings.Contains(err.Error(), "another herald") {
		t.Errorf("a second server on the database: %v", err)
	}
	f.must(f.Probe(f.ctx))
	f.restart()
	f.must(f.Probe(f.ctx))
}

// testLockLost: who loses its connection and finds that another server has the
// lock writes nothing.
func testLockLost(t *testing.T, f *remoteFixture) {
	f.accept(f.message(1))
	f.proxy.Cut()
	refusedAway(t, "cut off", f.Probe(f.ctx))
	other := servers.NewProxy(t, f.remote.Server)
	var second Store
	f.eventually("the second opens", func() (err error) {
		second, err = f.remote.Open(t, other, Options{Dir: f.dir, Now: f.clock})
		return err
	})
	f.proxy.Mend()
	f.eventually("the first says that there is another", func() error {
		_, err := f.Accept(f.ctx, f.message(1))
		refusedAway(t, "without the lock", err)
		if err != nil && strings.Contains(err.Error(), "another herald") {
			return nil
		}
		return fmt.Errorf("the answer is %w", err)
	})
	f.must(second.Close())
	f.eventually("the first writes again", func() error { return f.Probe(f.ctx) })
	f.accept(f.message(1))
	f.wantHead(appA, 2)
}

func testConnectionLost(_ *testing.T, f *remoteFixture) {
	f.accept(f.message(1))
	f.proxy.Cut()
	f.proxy.Mend()
	_, err := f.Head(f.ctx, appA)
	f.must(err)
	f.accept(f.message(1)) // nobody notices
	f.wantHead(appA, 2)
}

func testCommitLost(_ *testing.T, f *remoteFixture) {
	f.register(appA, 1)
	f.proxy.Lose(servers.LoseCommit)
	f.accept(f.message(0))
	f.wantHead(appA, 2)
}

func testAnswerLost(_ *testing.T, f *remoteFixture) {
	f.register(appA, 1)
	f.proxy.Lose(servers.LoseAnswer)
	f.accept(f.message(0))
	f.wantHead(appA, 2)
	f.accept(f.message(0))
	f.wantHead(appA, 3)
}

func testGone(t *testing.T, f *remoteFixture) {
	f.accept(f.message(1))
	f.proxy.Cut()
	for range 3 {
		_, err := f.Accept(f.ctx, f.message(1))
		refusedAway(t, "write", err)
		f.lost("write", err, true)
		_, err = f.Head(f.ctx, appA)
		refusedAway(t, "read", err)
		f.lost("read", err, true)
		_, err = f.Releases(f.ctx, appA, 0, 10)
		f.lost("the log", err, true)
		err = f.Cells(f.ctx, appA, 0, []herald.MessageID{1}, true, func(record.Chunk) error { return nil })
		f.lost("cells", err, true)
		refusedAway(t, "probe", f.Probe(f.ctx))
	}
	f.proxy.Mend()
	f.eventually("probe", func() error { return f.Probe(f.ctx) })
	f.accept(f.message(1))
	f.wantHead(appA, 2)
	_, err := f.EndMessage(f.ctx, appA, 1, herald.MessageWithdrawn, f.clock())
	f.lost("a refusal", err, false)
	f.lost("nothing", nil, false)
}

func testSlow(_ *testing.T, f *remoteFixture) {
	f.proxy.Delay(20 * time.Millisecond)
	together(20, func(i int) {
		if _, err := f.Accept(f.ctx, f.message(herald.Ordinal(i))); err != nil {
			f.t.Error(err)
		}
	})
	f.proxy.Delay(0)
	f.wantHead(appA, 20)
}

// testKilled kills the server under load and starts it again: what was
// acknowledged is there, nothing is there twice, and the log has no holes.
func testKilled(t *testing.T, f *remoteFixture) {
	var mu sync.Mutex
	acknowledged, tried := map[herald.MessageID]bool{}, map[herald.MessageID]bool{}
	var stop atomic.Bool
	var wg sync.WaitGroup
	defer func() {
		stop.Store(true)
		wg.Wait()
	}()
	for range 8 {
		wg.Go(func() {
			for !stop.Load() {
				a := f.message(1)
				mu.Lock()
				tried[a.ID] = true
				mu.Unlock()
				_, err := f.Accept(f.ctx, a)
				mu.Lock()
				acknowledged[a.ID] = err == nil
				mu.Unlock()
				if err != nil {
					refusedAway(t, "while the server is gone", err)
					<-time.After(5 * time.Millisecond)
				}
			}
		})
	}
	count := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, ok := range acknowledged {
			if ok {
				n++
			}
		}
		return n
	}
	for round := range 2 {
		want := count() + 50
		f.eventually("messages", func() error {
			if n := count(); n < want {
				return fmt.Errorf("%d of %d", n, want)
			}
			return nil
		})
		if round == 0 {
			f.must(f.remote.Server.Kill())
		} else {
			f.must(f.remote.Server.Stop())
		}
		f.must(f.remote.Server.Start())
	}
	f.eventually("probe", func() error { return f.Probe(f.ctx) })
	stop.Store(true)
	wg.Wait()
	f.must(f.Probe(f.ctx)) // whatever was unsettled is settled
	f.wantMessages(acknowledged, tried)
}

func (f *remoteFixture) wantMessages(acknowledged, tried map[herald.MessageID]bool) {
	f.t.Helper()
	there := map[herald.MessageID]bool{}
	for before := herald.MessageID(0); ; {
		page, err := f.Messages(f.ctx, appA, record.MessageFilter{Before: before, Limit: 500})
		f.must(err)
		for _, m := range page {
			before, there[m.ID] = m.ID, true
			if !tried[m.ID] {
				f.t.Errorf("message %d was never sent", m.ID)
			}
		}
		if len(page) < 500 {
			break
		}
	}
	for id, ok := range acknowledged {
		if ok && !there[id] {
			f.t.Errorf("message %d was acknowledged and is gone", id)
		}
	}
	f.wantHead(appA, herald.Pos(len(there)))
	if told := len(f.releases[appA]); told != len(there) {
		f.t.Errorf("%d releases were told of, of %d", told, len(there))
	}
}
