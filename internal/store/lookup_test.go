package store

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

// TestLookups: calls that are answered together get each their own answer, and
// one that gives up takes nobody with it.
func TestLookups(t *testing.T) {
	const other, each = herald.AppKey("bbbbbbbbbbbbbbbbbbbbbbbb"), 40
	db := newDB(t)
	must(t, db.CreateApp(t.Context(), record.App{Key: other, SecretHash: []byte("h"), Created: time.UnixMilli(1)}))
	must(t, db.write(t.Context(), func(t *tx) error {
		for app := int64(1); app <= 2; app++ {
			for n := range each {
				// The second app has the same IDs with other ordinals.
				if _, err := t.exec(`INSERT INTO device (app, ord, id, bound_pos, platform, app_version, language, time_zone, generation, created, seen)
					VALUES (?, ?, ?, 0, '', '', '', '', 0, 0, 0)`, app, int64(n)+1000*app, string(deviceID(n))); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	var wg sync.WaitGroup
	for n := range 4 * each {
		key, base := app, herald.Ordinal(1000)
		if n%3 == 0 {
			key, base = other, 2000
		}
		ids, want := []herald.RegistrationID{deviceID(n)}, map[herald.RegistrationID]herald.Ordinal{}
		for i := range n % fewIDs {
			ids = append(ids, deviceID(i), deviceID(i))
		}
		for i, x := range ids {
			if i == 0 && n < each {
				want[x] = base + herald.Ordinal(n)
			} else if i > 0 {
				want[x] = base + herald.Ordinal((i-1)/2)
			}
		}
		wg.Go(func() {
			got, err := db.OrdinalsByID(t.Context(), key, ids)
			if err != nil || !maps.Equal(got, want) {
				t.Errorf("call %d: %v, %v; want %v", n, got, err, want)
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			wg.Go(cancel)
			if _, err := db.OrdinalsByID(ctx, key, ids[:1]); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	wg.Wait()

	// Everybody who waits for a query that fails is told.
	must(t, db.readers.Close())
	for range 3 {
		wg.Go(func() {
			if got, err := db.OrdinalsByID(t.Context(), app, []herald.RegistrationID{deviceID(1)}); err == nil {
				t.Errorf("from a closed database came %v", got)
			}
		})
	}
	wg.Wait()
}
