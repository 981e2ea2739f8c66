package registry_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// hooked is a record into which a test reaches.
type hooked struct {
	registry.Store
	touch  func() error
	device func() error
	fold   func()
	puts   atomic.Int64
}

func (h *hooked) FoldSets(ctx context.Context, app herald.AppKey, upto herald.Pos, chunks []record.SetChunk) error {
	if h.fold != nil {
		h.fold()
	}
	return h.Store.FoldSets(ctx, app, upto, chunks)
}

func (h *hooked) PutKey(ctx context.Context, k record.APIKey) error {
	h.puts.Add(1)
	return h.Store.PutKey(ctx, k)
}

func (h *hooked) Touch(ctx context.Context, app herald.AppKey, s *sets.Set, at time.Time) error {
	if h.touch != nil {
		if err := h.touch(); err != nil {
			return err
		}
	}
	return h.Store.Touch(ctx, app, s, at)
}

func (h *hooked) Device(ctx context.Context, app herald.AppKey, id herald.RegistrationID) (record.Device, error) {
	if h.device != nil {
		if err := h.device(); err != nil {
			return record.Device{}, err
		}
	}
	return h.Store.Device(ctx, app, id)
}

func hookedWorld(t *testing.T) (*world, *hooked) {
	w, h := newWorld(t), &hooked{}
	w.wrap = func(s registry.Store) registry.Store { h.Store = s; return h }
	w.restart(serverKey)
	return w, h
}

func TestApps(t *testing.T) {
	w := newWorld(t)
	var want []herald.AppKey
	for range 5 {
		key, _ := w.newApp()
		want = append(want, key)
		w.pass(time.Second)
	}
	for range 2 {
		if got := w.Apps(); !slices.Equal(got, want) {
			t.Errorf("apps %v, want %v: oldest first", got, want)
		}
		w.restart(serverKey)
	}
	for _, name := range []string{"", "a\n", "\xff"} {
		_, _, err := w.CreateApp(t.Context(), name)
		wantCode(t, err, herald.CodeInvalidRequest)
	}
	_, err := w.App(herald.NewAppKey())
	wantCode(t, err, herald.CodeUnauthorized)
	_, err = w.UpdateApp(t.Context(), herald.NewAppKey(), func(*record.App) {})
	wantCode(t, err, herald.CodeNotFound)
	row, err := w.UpdateApp(t.Context(), want[0], func(r *record.App) { r.Name = "renamed" })
	must(t, err)
	w.restart(serverKey)
	if row.Name != "renamed" || w.app(want[0]).Row().Name != "renamed" {
		t.Errorf("the app is called %q", w.app(want[0]).Row().Name)
	}
}

// TestFlushAndRestart: what is in memory is what is read at the next start,
// whether the log was folded before, in between, or not at all.
func TestFlushAndRestart(t *testing.T) {
	for _, fold := range []string{"never", "once", "always"} {
		t.Run(fold, func(t *testing.T) {
			w := newWorld(t)
			key, _ := w.newApp()
			var ids []herald.RegistrationID
			step := func(i int, f func()) {
				f()
				if fold == "always" || fold == "once" && i == 2 {
					must(t, w.Flush(t.Context()))
				}
			}
			for i, f := range []func(){
				func() {
					for range 3 {
						d, _ := w.register(registry.RegisterRequest{App: key, Platform: "web", Language: "en", Tags: []herald.Tag{"a", "b"}})
						ids = append(ids, d.ID)
					}
				},
				func() { must(t, w.ChangeTag(t.Context(), key, "a", nil, sets.New(0, 1, 2))) },
				func() {
					_, err := w.Update(t.Context(), key, ids[1], record.DevicePatch{Language: ptr("zh-CN"), AddTags: []herald.Tag{"a"}})
					must(t, err)
				},
				func() { _, err := w.Remove(t.Context(), key, ids[2]); must(t, err) },
				func() { must(t, w.ChangeTag(t.Context(), key, "b", nil, sets.New(0))) },
			} {
				step(i, f)
			}
			want := named(w.app(key))
			w.restart(serverKey)
			wantSets(t, w.app(key), want)
			if got := w.app(key).Devices(); got != 2 {
				t.Errorf("%d devices, want 2", got)
			}
			d, _ := w.register(registry.RegisterRequest{App: key})
			if d.Ord != 3 {
				t.Errorf("the next ordinal is %d, want 3", d.Ord)
			}
		})
	}
}

// TestFlushFolds: after a flush the log is empty and the chunks say all.
func TestFlushFolds(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	w.register(registry.RegisterRequest{App: key, Tags: []herald.Tag{"a"}})
	must(t, w.Flush(t.Context()))
	entries := 0
	must(t, w.db.SetLog(t.Context(), key, 0, func(record.SetLogEntry) error { entries++; return nil }))
	if entries != 0 {
		t.Errorf("%d entries are left in the log", entries)
	}
	head, err := w.Head(t.Context(), key)
	must(t, err)
	must(t, w.Flush(t.Context()))
	if again, err := w.Head(t.Context(), key); err != nil || again.Pos != head.Pos {
		t.Errorf("a flush with nothing to write moves the log from %d to %d: %v", head.Pos, again.Pos, err)
	}
}

func TestSeen(t *testing.T) {
	w := newWorld(t)
	key, _ := w.newApp()
	d, _ := w.register(registry.RegisterRequest{App: key})
	must(t, w.Flush(t.Context()))
	wantSets(t, w.app(key), map[string][]herald.Ordinal{"seen:20261121": {0}})
	w.pass(12*time.Hour + time.Minute) // the next day, UTC
	w.Seen(key, d.Ord)
	w.Seen(herald.NewAppKey(), d.Ord)
	if got := w.app(key).JustSeen().Ordinals(); !slices.Equal(got, []herald.Ordinal{0}) {
		t.Errorf("just seen %v", got)
	}
	must(t, w.Flush(t.Context()))
	if got := w.app(key).JustSeen(); !got.Empty() {
		t.Errorf("just seen %v after the flush", got.Ordinals())
	}
	want := map[string][]herald.Ordinal{"seen:20261121": {0}, "seen:20261122": {0}}
	wantSets(t, w.app(key), want)
	if row, err := w.Device(t.Context(), key, d.ID); err != nil || !row.Seen.Equal(w.clock()) {
		t.Errorf("seen %v, want %v: %v", row.Seen, w.clock(), err)
	}
	// Thirty days after the first day it still counts, two days later not.
	w.pass(29 * 24 * time.Hour)
	must(t, w.Flush(t.Context()))
	wantSets(t, w.app(key), want)
	w.pass(2 * 24 * time.Hour)
	must(t, w.Flush(t.Context()))
	delete(want, "seen:20261121")
	wantSets(t, w.app(key), want)
	w.restart(serverKey)
	wantSets(t, w.app(key), want)
}

// TestSeenWhileFlushing: who was just seen is never in neither place, and a
// flush that fails loses nobody.
func TestSeenWhileFlushing(t *testing.T) {
	w, h := hookedWorld(t)
	key, _ := w.newApp()
	d, _ := w.register(registry.RegisterRequest{App: key})
	down := herald.Errorf(herald.CodeStorageUnavailable, "Wait.", "the disk is full")
	calls := 0
	h.touch = func() error {
		if calls++; !w.app(key).JustSeen().Contains(d.Ord) {
			t.Error("a device that is being written is not among those just seen")
		}
		w.Seen(key, 7)
		if calls == 1 {
			return down
		}
		return nil
	}
	if err := w.Flush(t.Context()); !errors.Is(err, down) {
		t.Fatalf("got %v", err)
	}
	if got := w.app(key).JustSeen().Ordinals(); !slices.Equal(got, []herald.Ordinal{0, 7}) {
		t.Errorf("just seen %v after a flush that failed", got)
	}
	must(t, w.Flush(t.Context()))
	if got := w.app(key).JustSeen().Ordinals(); !slices.Equal(got, []herald.Ordinal{7}) {
		t.Errorf("just seen %v, want who came during the flush", got)
	}
	wantSets(t, w.app(key), map[string][]herald.Ordinal{"seen:20261121": {0, 7}})
}

// TestTwoFlushes: a flush that is slow does not write its chunks over those of
// a later one, which has dropped the log.
func TestTwoFlushes(t *testing.T) {
	w, h := hookedWorld(t)
	key, _ := w.newApp()
	w.register(registry.RegisterRequest{App: key, Tags: []herald.Tag{"a"}})
	w.register(registry.RegisterRequest{App: key})
	second := make(chan error, 1)
	var begun atomic.Bool
	h.fold = func() {
		if !begun.CompareAndSwap(false, true) {
			return
		}
		must(t, w.ChangeTag(t.Context(), key, "a", sets.New(1), nil))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			second <- w.Flush(t.Context())
		}()
		// It should not end while the first one is under way.
		late, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		select {
		case <-ended:
		case <-late.Done():
		}
	}
	must(t, w.Flush(t.Context()))
	must(t, <-second)
	want := named(w.app(key))
	w.restart(serverKey)
	wantSets(t, w.app(key), want)
	if got := want["tag:a"]; !slices.Equal(got, []herald.Ordinal{0, 1}) {
		t.Errorf("the tag is on %v", got)
	}
}

// TestLastUsed is written at once at the first use, then once a minute.
func TestLastUsed(t *testing.T) {
	w, h := hookedWorld(t)
	app, _ := w.newApp()
	row, whole, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k"})
	must(t, err)
	if !row.LastUsed.IsZero() {
		t.Errorf("a new key was used at %v", row.LastUsed)
	}
	h.puts.Store(0)
	for _, tt := range []struct {
		after time.Duration
		puts  int64
	}{{0, 1}, {0, 1}, {time.Minute, 1}, {time.Second, 2}, {30 * time.Second, 2}, {31 * time.Second, 3}} {
		w.pass(tt.after)
		_, err := w.Key(t.Context(), whole, netip.Addr{})
		must(t, err)
		if got := h.puts.Load(); got != tt.puts {
			t.Fatalf("%v later it was written %d times, want %d", tt.after, got, tt.puts)
		}
	}
	if got := w.Keys(app)[0].LastUsed; !got.Equal(w.clock()) {
		t.Errorf("last used %v, want %v", got, w.clock())
	}
	if _, err := w.Key(t.Context(), whole+"x", netip.Addr{}); err == nil || h.puts.Load() != 3 {
		t.Error("a wrong key counts as use")
	}
}

// TestStoreFailsAtAuthentication: a record that cannot be read is not a wrong
// token, at which a device would throw its token away.
func TestStoreFailsAtAuthentication(t *testing.T) {
	w, h := hookedWorld(t)
	app, _ := w.newApp()
	d, token := w.register(registry.RegisterRequest{App: app, Installation: installation})
	_, err := w.Update(t.Context(), app, d.ID, record.DevicePatch{Revoke: true})
	must(t, err)
	_, fresh := w.register(registry.RegisterRequest{App: app, Installation: installation})
	h.device = func() error { return herald.Errorf(herald.CodeStorageUnavailable, "Wait.", "the disk is away") }
	_, err = w.DeviceToken(t.Context(), fresh)
	wantCode(t, err, herald.CodeStorageUnavailable)
	w.stop()
	w.sql("UPDATE app_head SET epoch = 2")
	w.start(serverKey)
	for _, old := range []string{token, fresh} {
		_, err = w.DeviceToken(t.Context(), old)
		wantCode(t, err, herald.CodeStorageUnavailable)
	}
	h.device = func() error { return herald.Errorf(herald.CodeNotFound, "", "gone") }
	_, err = w.DeviceToken(t.Context(), fresh)
	wantCode(t, err, herald.CodeUnauthorized)
}

// TestAtOnce does everything at once: changes of apps and keys wait for
// commits, and a commit waits for OnSets.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	app, secret := w.newApp()
	var wg sync.WaitGroup
	done := make(chan struct{})
	each := func(n int, f func() error) {
		wg.Go(func() {
			for range n {
				if err := f(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for range 2 {
		each(20, func() error {
			d, token, _, err := w.Register(ctx, registry.RegisterRequest{App: app, Tags: []herald.Tag{"x"}})
			if err != nil {
				return err
			}
			if _, err := w.DeviceToken(ctx, token); err != nil {
				return err
			}
			_, err = w.Remove(ctx, app, d.ID)
			return err
		})
		each(20, func() error {
			row, whole, err := w.CreateKey(ctx, app, record.APIKey{Name: "k"})
			if err != nil {
				return err
			}
			if _, err = w.Key(ctx, whole, netip.Addr{}); err != nil {
				return err
			}
			return w.DeleteKey(ctx, app, row.ID)
		})
		each(20, func() error {
			_, err := w.UpdateApp(ctx, app, func(r *record.App) { r.Name += "x" })
			return err
		})
		each(20, func() error { return w.Flush(ctx) })
		each(100, func() error {
			w.DeadAt(app, 3)
			w.Apps()
			w.Keys(app)
			w.app(app).JustSeen()
			return w.Master(app, secret)
		})
	}
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("they wait for each other")
	}
	if got := w.app(app).Row().Name; len(got) != len("test")+40 {
		t.Errorf("after 40 changes the name is %q", got)
	}
	must(t, w.Flush(t.Context()))
	want := named(w.app(app))
	w.restart(serverKey)
	wantSets(t, w.app(app), want)
	if dead := want["dead"]; len(dead) != 40 || w.app(app).Devices() != 0 {
		t.Errorf("%d are dead and %d alive, want 40 and 0", len(dead), w.app(app).Devices())
	}
}

// TestDeletedKeyStaysDeleted, also when it is used at that moment: noting the
// use must not write the key again.
func TestDeletedKeyStaysDeleted(t *testing.T) {
	w := newWorld(t)
	app, _ := w.newApp()
	for range 40 {
		row, whole, err := w.CreateKey(t.Context(), app, record.APIKey{Name: "k"})
		must(t, err)
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = w.Key(t.Context(), whole, netip.Addr{}) })
		wg.Go(func() {
			if err := w.DeleteKey(t.Context(), app, row.ID); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	left, err := w.db.Keys(t.Context())
	must(t, err)
	if len(left) != 0 {
		t.Errorf("%d of 40 deleted keys are back", len(left))
	}
}
