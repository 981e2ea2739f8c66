package registry_test

import (
	"context"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
)

// unanswered is a record that makes changes of aliases and says that it does not
// know.
type unanswered struct {
	registry.Store
	lost bool
}

func (u *unanswered) answer(err error) error {
	if u.lost && err == nil {
		return herald.Errorf(herald.CodeStorageUnavailable, "Repeat the call.", "it is not known")
	}
	return err
}

func (u *unanswered) Register(ctx context.Context, q record.Registration) (record.Device, bool, error) {
	d, created, err := u.Store.Register(ctx, q)
	return d, created, u.answer(err)
}

func (u *unanswered) UpdateDevice(ctx context.Context, app herald.AppKey, id herald.RegistrationID, p record.DevicePatch) (record.Device, error) {
	d, err := u.Store.UpdateDevice(ctx, app, id, p)
	return d, u.answer(err)
}

func (u *unanswered) BindDevices(ctx context.Context, app herald.AppKey, list []record.Binding, whole bool) (record.Bound, error) {
	b, err := u.Store.BindDevices(ctx, app, list, whole)
	return b, u.answer(err)
}

// TestBoundSinceKnows: it is known whether memory has every change of an alias,
// and the record has it where memory has not.
func TestBoundSinceKnows(t *testing.T) {
	anna, ben := ptr(herald.Alias("anna")), ptr(herald.Alias("ben"))
	for _, c := range []struct {
		name   string
		change func(w *world, key herald.AppKey, d record.Device) error
		after  func(w *world)
		known  bool
		none   bool // no alias has changed
	}{
		{"a patch", func(w *world, key herald.AppKey, d record.Device) error {
			_, err := w.Update(w.t.Context(), key, d.ID, record.DevicePatch{Alias: ben})
			return err
		}, func(*world) {}, true, false},
		{"soon after", func(w *world, key herald.AppKey, d record.Device) error {
			_, err := w.Update(w.t.Context(), key, d.ID, record.DevicePatch{Alias: ben})
			return err
		}, func(w *world) { w.pass(5 * time.Minute); must(w.t, w.Flush(w.t.Context())) }, true, false},
		{"long after", func(w *world, key herald.AppKey, d record.Device) error {
			_, err := w.Update(w.t.Context(), key, d.ID, record.DevicePatch{Alias: ben})
			return err
		}, func(w *world) { w.pass(time.Hour); must(w.t, w.Flush(w.t.Context())) }, false, false},
		{"before a start", func(w *world, key herald.AppKey, d record.Device) error {
			_, err := w.Update(w.t.Context(), key, d.ID, record.DevicePatch{Alias: ben})
			return err
		}, func(w *world) { w.stop(); w.start(serverKey) }, false, false},
		{"a patch without an answer", func(w *world, key herald.AppKey, d record.Device) error {
			_, err := w.Update(w.t.Context(), key, d.ID, record.DevicePatch{Alias: ben})
			return err
		}, nil, false, false},
		{"a list without an answer", func(w *world, key herald.AppKey, d record.Device) error {
			_, err := w.Bind(w.t.Context(), key, []record.Binding{{ID: d.ID, Alias: *ben}}, true)
			return err
		}, nil, false, false},
		{"a registration without an answer", func(w *world, key herald.AppKey, _ record.Device) error {
			_, _, _, err := w.Register(w.t.Context(), registry.RegisterRequest{App: key, Installation: installation, Alias: ben})
			return err
		}, nil, false, false},
		{"another patch without an answer", func(w *world, key herald.AppKey, d record.Device) error {
			_, err := w.Update(w.t.Context(), key, d.ID, record.DevicePatch{Language: ptr("de")})
			return err
		}, nil, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var u unanswered
			w := &world{t: t, dir: t.TempDir(), now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
			w.wrap = func(s registry.Store) registry.Store { u.Store = s; return &u }
			w.start(serverKey)
			t.Cleanup(w.stop)
			key, _ := w.newApp()
			d, _ := w.register(registry.RegisterRequest{App: key, Installation: installation, Alias: anna})
			head, err := w.Head(t.Context(), key)
			must(t, err)
			u.lost = c.after == nil
			if err := c.change(w, key, d); (err != nil) != u.lost {
				t.Fatalf("the change ends with %v", err)
			}
			if c.after != nil {
				c.after(w)
			}
			got, known := w.app(key).BoundSince(head.Pos, []herald.Ordinal{d.Ord})
			if known != c.known || known && got.Empty() != c.none {
				t.Errorf("known: %t, %v", known, got.Ordinals())
			}
			if u.lost {
				must(t, w.Sure(t.Context(), key))
				now, err := w.Head(t.Context(), key)
				must(t, err)
				if _, known := w.app(key).BoundSince(now.Pos, nil); !known {
					t.Error("of what comes when that is settled it is not known")
				}
				if _, known := w.app(key).BoundSince(head.Pos, nil); known != c.known {
					t.Errorf("of what came before it is said to be known: %t", known)
				}
			}
			got, err = w.BoundAfter(t.Context(), key, head.Pos)
			if must(t, err); sets.Intersect(got, sets.New(d.Ord)).Empty() != c.none {
				t.Errorf("the record has %v", got.Ordinals())
			}
		})
	}
}
