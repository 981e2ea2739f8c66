package courier

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/sets"
)

// null takes every message.
type null struct{ n atomic.Int64 }

func (p *null) Send(context.Context, provider.Address, *provider.Message) (provider.Result, error) {
	p.n.Add(1)
	return provider.Result{}, nil
}

func (p *null) Close() error { return nil }

// slab is a record with one errand for a whole slab at a time.
type slab struct {
	*world
	left atomic.Int64 // errands
	done chan struct{}
}

func (s *slab) ErrandLanes(context.Context, time.Time) ([]record.Lane, time.Time, error) {
	return []record.Lane{{App: app, Vendor: "apns"}}, time.Time{}, nil
}

func (s *slab) LeaseErrands(_ context.Context, l record.Lane, now time.Time, lease time.Duration, limit int) (out []record.Errand, err error) {
	for range limit {
		n := s.left.Add(-1)
		if n < 0 {
			break
		}
		out = append(out, record.Errand{Lane: l, ID: n + 1, Msg: 1, Step: 1, Owner: record.OwnerDevice, Kind: "apns", At: now.Add(lease), Left: sets.Range(sets.SlabSize)})
	}
	return out, nil
}

func (s *slab) SaveErrand(_ context.Context, e record.ErrandSave) error {
	if e.Errand.Left.Empty() {
		s.done <- struct{}{}
	}
	return nil
}

func (s *slab) AddressesIn(_ context.Context, _ herald.AppKey, owner record.Owner, kind, environment string, from, to herald.Ordinal, _ int) ([]record.Address, error) {
	out := make([]record.Address, 0, to-from+1)
	for o := from; o <= to; o++ {
		out = append(out, record.Address{Owner: owner, Ord: o, Kind: kind, Environment: environment, Token: "0123456789abcdef"})
	}
	return out, nil
}

// BenchmarkCourier hands messages to a vendor that takes them at once, with a
// record that costs nothing: what is left is the courier's own.
func BenchmarkCourier(b *testing.B) {
	w := newWorld(nil)
	s := &slab{world: w, done: make(chan struct{})}
	m := &record.Message{State: herald.MessageSending, Target: 1 << 24}
	m.ID, m.App, m.TTL, m.Due = 1, app, time.Hour, time.Now()
	m.Content.Notification = &herald.Notification{Title: "hello"}
	m.Group = record.ImageApart()
	w.messages[1] = m
	p := &null{}
	driver := &provider.Driver{Name: "apns", Idempotent: true}
	errands := (b.N + sets.SlabSize - 1) / sets.SlabSize
	s.left.Store(int64(errands))
	c := New(Config{Errands: s, Addresses: s, Messages: w, Ledger: w, Open: func(context.Context, herald.AppKey, herald.Vendor, string, string) (*provider.Lease, error) {
		return &provider.Lease{Provider: p, Driver: driver, Release: func() {}}, nil
	}})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		defer close(ended)
		c.Run(ctx)
	}()
	for range errands {
		<-s.done
	}
	b.StopTimer()
	cancel()
	<-ended
	b.ReportMetric(float64(p.n.Load())/b.Elapsed().Seconds(), "sends/s")
}
