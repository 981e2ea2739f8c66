package certs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
)

// TestGate holds that a closed gate waits for who holds a lock, lets them
// finish, and leaves the folder alone afterwards.
func TestGate(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		ctx, folder := t.Context(), filepath.Join(t.TempDir(), "certificates")
		g := newGate(&certmagic.FileStorage{Path: folder})
		synctest.Test(t, func(t *testing.T) {
			inner := &memory{}
			g := newGate(inner)
			if err := errors.Join(g.Lock(ctx, "a"), g.Store(ctx, "k", []byte("v"))); err != nil {
				t.Fatal(err)
			}
			closed := make(chan struct{})
			go func() { defer close(closed); g.close(closeWithin) }()
			synctest.Wait()
			if err := g.Lock(ctx, "b"); !errors.Is(err, errClosed) {
				t.Errorf("a lock on a closed gate: %v", err)
			}
			if _, err := g.TryLock(ctx, "b"); !errors.Is(err, errClosed) {
				t.Errorf("a lock on a closed gate: %v", err)
			}
			if b, err := g.Load(ctx, "k"); err != nil || string(b) != "v" {
				t.Errorf("who holds a lock reads %q, %v", b, err)
			}
			select {
			case <-closed:
				t.Error("the gate did not wait for the lock")
			default:
			}
			began := time.Now()
			if !stuck {
				if err := g.Unlock(ctx, "a"); err != nil {
					t.Error(err)
				}
			}
			<-closed
			if waited := time.Since(began); stuck != (waited == closeWithin) {
				t.Errorf("waited %v", waited)
			}
			if stuck {
				if err := g.Unlock(ctx, "a"); err != nil {
					t.Errorf("a late unlock: %v", err)
				}
			}
			_, err := g.Load(ctx, "k")
			for i, err := range []error{err, g.Store(ctx, "k", nil), g.Delete(ctx, "k")} {
				if !errors.Is(err, errClosed) {
					t.Errorf("call %d after the end: %v", i, err)
				}
			}
		})
		g.close(0)
		if err := g.Store(ctx, "k", nil); !errors.Is(err, errClosed) {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a closed gate made the folder: %v", err)
		}
	}
}

// memory keeps one value.
type memory struct {
	certmagic.Storage
	value []byte
}

func (m *memory) Store(_ context.Context, _ string, v []byte) error { m.value = v; return nil }
func (m *memory) Load(context.Context, string) ([]byte, error)      { return m.value, nil }
func (m *memory) Delete(context.Context, string) error              { m.value = nil; return nil }

func TestGateLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, ctx := newGate(&memory{}), t.Context()
		if err := errors.Join(g.Lock(ctx, "a"), g.Lock(ctx, "b")); err != nil {
			t.Fatal(err)
		}
		if ok, err := g.TryLock(ctx, "a"); ok || err != nil {
			t.Errorf("a second lock: %v, %v", ok, err)
		}
		soon, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := g.Lock(soon, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits too long gets %v", err)
		}
		got := make(chan error, 1)
		go func() { got <- g.Lock(ctx, "a") }()
		synctest.Wait()
		if err := g.Unlock(ctx, "a"); err != nil {
			t.Error(err)
		}
		if err := <-got; err != nil {
			t.Errorf("who waits gets %v", err)
		}
		go func() { got <- g.Lock(ctx, "b") }()
		synctest.Wait()
		go g.close(closeWithin)
		synctest.Wait()
		if err := errors.Join(g.Unlock(ctx, "a"), g.Unlock(ctx, "b")); err != nil {
			t.Error(err)
		}
		if err := <-got; !errors.Is(err, errClosed) {
			t.Errorf("who waited when it was closed gets %v", err)
		}
		if err := g.Unlock(ctx, "a"); err == nil {
			t.Error("what is not locked was unlocked")
		}
	})
}

// TestClosedWhileAsking holds that nothing is written below the folder after
// Close, though the library has been asking for certificates.
func TestClosedWhileAsking(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "certificates")
	s, err := Open(Config{Domains: []string{"push.example.com"}, Folder: folder, Authority: "https://127.0.0.1:1/dir", TLSPort: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); s.Run(ctx) }()
	until(t, "it asks", func() bool {
		s.acme.storage.mu.Lock()
		defer s.acme.storage.mu.Unlock()
		return s.acme.storage.busy > 0
	})
	cancel()
	<-ran
	s.Close()
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := s.acme.magic.ObtainCertSync(t.Context(), "push.example.com"); err == nil || !strings.Contains(err.Error(), errClosed.Error()) {
		t.Errorf("asked after the end: %v", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there again: %v", err)
	}
}
