//go:build unix

package bench_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/audience"
	seeding "github.com/herald-push/herald/internal/bench"
	"github.com/herald-push/herald/internal/dispatch"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// commitDevices is how many devices the app has: enough for a message to all
// to be one of many slabs in all but size.
const commitDevices = 20_000

// acceptor is the service over real stages, with nobody connected.
type acceptor struct {
	service  *api.Service
	app      api.Principal
	people   seeding.Population
	followed *followed
	accepted atomic.Int64
}

// followed counts the releases that were followed: each asks who is here.
type followed struct {
	*live.Hub
	n atomic.Int64
}

func (f *followed) Online(app herald.AppKey) *sets.Set {
	f.n.Add(1)
	return f.Hub.Online(app)
}

// seededFolder makes a data folder, and gives its database.
func seededFolder(b *testing.B) (database string, s seeding.Seeded) {
	b.Helper()
	folder := b.TempDir()
	s, err := seeding.Seed(context.Background(), seeding.Seeding{Folder: folder,
		Population: seeding.Population{Seed: 1, Devices: commitDevices, Tags: 20, Now: time.Now()}})
	must(b, err)
	return filepath.Join(folder, "herald.db"), s
}

func newAcceptor(b *testing.B, database string, s seeding.Seeded) *acceptor {
	b.Helper()
	a := &acceptor{app: api.Principal{Kind: api.Master, App: s.AppKey}, people: s.Population()}
	ctx := context.Background()
	var reg *registry.Registry
	var d atomic.Pointer[dispatch.Dispatcher]
	db, err := sqlite.Open(ctx, sqlite.Config{
		Path:   database,
		OnSets: func(app herald.AppKey, e record.SetLogEntry) { reg.OnSets(app, e) },
		OnRelease: func(app herald.AppKey, pos herald.Pos) {
			if d := d.Load(); d != nil {
				d.OnRelease(app, pos)
			}
		},
		OnAccepted: func(m *record.Message) {
			if d := d.Load(); d != nil {
				d.OnAccepted(m)
			}
		},
	})
	must(b, err)
	reg = registry.New(registry.Config{Store: db, ServerKey: make([]byte, 32)})
	must(b, reg.Load(ctx))
	ledger := receipt.New(receipt.Config{Store: db, Messages: db, DeadAt: reg.DeadAt})
	back := offline.New(offline.Config{Store: db, Ledger: ledger, Registry: reg})
	hub := live.NewHub(live.Options{Directory: directory{reg}, Backlog: backlog{back}, Receipts: ledger})
	a.followed = &followed{Hub: hub}
	evaluator := audience.New(audience.Config{Registry: reg, Online: hub.Online, Subscribers: hub.Subscribers})
	dispatcher, err := dispatch.New(ctx, dispatch.Config{Store: db, Ledger: ledger, Registry: reg, Outlets: []dispatch.Outlet{a.followed},
		Evaluate: api.Evaluate(evaluator), GroupLimit: 1 << 30})
	must(b, err)
	d.Store(dispatcher)
	a.service = api.New(api.Config{Registry: reg, Audience: evaluator, Dispatch: dispatcher, Ledger: ledger, Backlog: back, Presence: hub,
		Subscriptions: hub, Messages: db, Audits: db})
	must(b, dispatcher.Start(ctx))
	b.Cleanup(func() {
		dispatcher.Close()
		must(b, ledger.Close(ctx))
		must(b, db.Close())
	})
	return a
}

// aim says whom the i-th message is for.
func aim(p *seeding.Population, i int, broadcast bool) herald.Audience {
	if broadcast {
		return herald.Audience{All: true}
	}
	o := herald.Ordinal(i * 7919 % commitDevices)
	for p.Profile(o).Dead {
		o = (o + 1) % commitDevices
	}
	return herald.Audience{RegistrationIDs: []herald.RegistrationID{p.RegistrationID(o)}}
}

func (a *acceptor) send(to herald.Audience) error {
	got, err := a.service.Messages.Send(context.Background(), a.app, api.SendRequest{
		Audience: to, Notification: &herald.Notification{Title: "Your order has shipped", Body: "It should reach you tomorrow."},
	}, "", nil)
	if err == nil && (!got.Stored || *got.Target == 0) {
		err = fmt.Errorf("the answer is %+v", got)
	}
	a.accepted.Add(1)
	return err
}

// caughtUp waits until what was accepted is followed as well, so that the work
// behind an answer is not left to somebody else's time.
func (a *acceptor) caughtUp() {
	for a.followed.n.Load() < a.accepted.Load() {
		<-time.After(100 * time.Microsecond)
	}
}

// together has callers call f for 0 to n-1, each as soon as its last call was
// answered, and tells how long that took.
func together(b *testing.B, callers, from, n int, f func(i int) error) time.Duration {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, callers)
	begun := time.Now()
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := f(from + i - 1); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		})
	}
	wg.Wait()
	took := time.Since(begun)
	for range callers {
		must(b, <-errs)
	}
	return took
}

// BenchmarkGroupCommit accepts messages through the service, and in turns has
// a bare loop write the same rows into the same tables of a copy of the
// database. The ratio of their speeds is what everything around the rows costs.
func BenchmarkGroupCommit(b *testing.B) {
	for _, broadcast := range []bool{false, true} {
		for _, callers := range []int{1, 64, 512} {
			name := "direct"
			if broadcast {
				name = "broadcast"
			}
			b.Run(fmt.Sprintf("%s/%d callers", name, callers), func(b *testing.B) { groupCommit(b, callers, broadcast) })
		}
	}
}

func groupCommit(b *testing.B, callers int, broadcast bool) {
	database, s := seededFolder(b)
	copied := filepath.Join(b.TempDir(), "bare.db")
	copyFile(b, database, copied)
	a := newAcceptor(b, database, s)
	loop := newBareLoop(b, copied, broadcast)
	var herald, bare, heraldCPU, bareCPU time.Duration
	aims := make([]audienceOf, 4096)
	for i := range aims {
		aims[i] = newAudienceOf(b, aim(&a.people, i, broadcast))
	}
	b.ResetTimer()
	b.StopTimer()
	// Several turns, so that both meet the same disk.
	turn := max(8*callers, b.N/10+1)
	for from := 0; from < b.N; from += turn {
		n := min(turn, b.N-from)
		used := cpuTime(b)
		bare += together(b, callers, from, n, func(i int) error { return loop.put(i+1, &aims[i%len(aims)]) })
		bareCPU += cpuTime(b) - used
		used = cpuTime(b)
		b.StartTimer()
		begun := time.Now()
		together(b, callers, from, n, func(i int) error { return a.send(aims[i%len(aims)].Audience) })
		a.caughtUp()
		herald += time.Since(begun)
		b.StopTimer()
		heraldCPU += cpuTime(b) - used
	}
	b.ReportMetric(float64(b.N)/herald.Seconds(), "accepted/s")
	b.ReportMetric(float64(b.N)/bare.Seconds(), "bare/s")
	b.ReportMetric(bare.Seconds()/herald.Seconds(), "ratio")
	b.ReportMetric(float64(heraldCPU.Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(bareCPU.Microseconds())/float64(b.N), "bare-cpu-µs/op")
}

func copyFile(b *testing.B, from, to string) {
	b.Helper()
	in, err := os.Open(from)
	must(b, err)
	out, err := os.Create(to)
	must(b, err)
	_, err = io.Copy(out, in)
	must(b, err)
	must(b, in.Close())
	must(b, out.Close())
}
