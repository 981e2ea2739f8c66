//go:build unix

package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sideshow/apns2/token"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/courier"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/apns"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// apple is Apple's service, played by a process of its own.
type apple struct {
	url   string
	key   []byte // of the team, a .p8 file
	roots *x509.CertPool
}

func playApple(b *testing.B) *apple {
	b.Helper()
	dir := b.TempDir()
	program := filepath.Join(dir, "herald")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", program, "../cmd/herald").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(b.Context(), program, "sim", "apns", "--folder", dir)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	a := &apple{roots: x509.NewCertPool()}
	lines := bufio.NewScanner(out)
	for last := ""; last != "trust" && lines.Scan(); { // which is said last
		if f := strings.Fields(lines.Text()); len(f) == 2 {
			if last = f[0]; last == "url" {
				a.url = f[1]
			}
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	a.key, err = os.ReadFile(filepath.Join(dir, "AuthKey_HERALDSIM1.p8"))
	must(b, err)
	pem, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	must(b, err)
	if !a.roots.AppendCertsFromPEM(pem) || a.url == "" {
		b.Fatal("the simulator has said nothing of use")
	}
	return a
}

const pushesAtOnce = 64

func deviceToken(i int) string { return fmt.Sprintf("%064x", i+1) }

// BenchmarkAPNs compares the processor time of this process for a push to Apple:
// that of a loop over a plain client, and that of errands, from the record and
// back into it.
func BenchmarkAPNs(b *testing.B) {
	a := playApple(b)
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // as a busy server has it
	b.Run("bare client", a.bare)
	b.Run("errands", a.errands)
}

func (a *apple) bare(b *testing.B) {
	key, err := token.AuthKeyFromBytes(a.key)
	must(b, err)
	word := "bearer " + (&token.Token{AuthKey: key, KeyID: "HERALDSIM1", TeamID: "HERALDTEAM"}).GenerateIfExpired()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	next := make(chan int)
	var wg sync.WaitGroup
	before := cpuTime(b)
	b.ResetTimer()
	for range pushesAtOnce {
		wg.Go(func() {
			for i := range next {
				body := []byte(`{"aps":{"alert":{"title":"Hello","body":"from the benchmark"}},"herald":{"id":"245870126268416001"}}`)
				r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, a.url+"/3/device/"+deviceToken(i), bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					continue
				}
				for k, v := range map[string]string{
					"Authorization": word, "Apns-Topic": "com.example.app", "Apns-Push-Type": "alert", "Apns-Priority": "10",
					"Apns-Expiration": "1893456000", "Apns-Collapse-Id": "245870126268416001", "Content-Type": "application/json",
				} {
					r.Header.Set(k, v)
				}
				resp, err := client.Do(r)
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					b.Errorf("answered %d", resp.StatusCode)
				}
			}
		})
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	wg.Wait()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/push")
}

func (a *apple) errands(b *testing.B) {
	ctx := context.Background()
	path := filepath.Join(b.TempDir(), "herald.db")
	enroll(b, path)
	db, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	must(b, err)
	reg := registry.New(registry.Config{Store: db, ServerKey: make([]byte, 32)})
	must(b, reg.Load(ctx))
	ledger := receipt.New(receipt.Config{Store: db, Messages: db, DeadAt: reg.DeadAt})
	must(b, ledger.Load(ctx, app))
	w := &ledgerWorld{db: db, ledger: ledger}
	now := time.Now().UTC()
	all := sets.New()
	list, err := w.db.AddressesIn(ctx, app, record.OwnerDevice, "apns", "production", 0, 1<<31, b.N+1)
	must(b, err)
	for i := range list {
		all.Add(list[i].Ord)
	}
	m := record.Message{State: herald.MessageSending, Target: int64(b.N), Group: record.WholeImage(all), Later: []record.StepAfter{{Step: 1}},
		Body: []byte(`{"notification":{"title":"Hello","body":"from the benchmark"}}`)}
	m.ID, m.App, m.TTL, m.Due, m.Accepted, m.Priority, m.Audience = 1<<40, app, time.Hour, now, now, herald.PriorityHigh, herald.Audience{All: true}
	done, err := w.db.Accept(ctx, record.Acceptance{Message: m})
	must(b, err)
	kept, err := w.db.Message(ctx, app, m.ID)
	must(b, err)
	w.ledger.Track(kept)
	w.ledger.Advance(app, done.Pos)
	p, err := apns.New(provider.Config{Values: map[string]string{
		"topic": "com.example.app", "key": string(a.key), "key_id": "HERALDSIM1", "team_id": "HERALDTEAM", "url": a.url,
	}, Egress: egress.Config{Allow: []string{"loopback"}, Ports: []string{"any"}, Roots: a.roots}})
	must(b, err)
	defer func() { must(b, p.Close()) }()
	driver := apns.Driver()
	c := courier.New(courier.Config{
		Errands: w.db, Addresses: w.db, Messages: w.db, Ledger: w.ledger, Directory: reg,
		Open: func(context.Context, herald.AppKey, herald.Vendor, string, string) (*provider.Lease, error) {
			return &provider.Lease{Provider: p, Driver: &driver, Credential: record.Credential{ID: "c"}, Release: func() {}}, nil
		},
	})
	run, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.Run(run) })
	before := cpuTime(b)
	b.ResetTimer()
	steps, err := w.db.LeaseRouteSteps(ctx, now.Add(time.Hour), time.Minute, 1)
	must(b, err)
	for slab, some := range all.Slabs() {
		must(b, w.db.PlanStep(ctx, steps[0], []record.Errand{{Lane: record.Lane{App: app, Vendor: "apns", Env: "production"}, Msg: m.ID, Step: 1,
			Owner: record.OwnerDevice, Kind: "apns", Slab: slab, At: now, Left: some}}, false))
	}
	c.Wake()
	for n := int64(0); n < int64(b.N); <-time.After(50 * time.Millisecond) {
		counts, err := w.db.AttemptCounts(ctx, app, m.ID)
		must(b, err)
		n = 0
		for _, x := range counts {
			if n += x.Count; x.Fate != record.FateAccepted {
				stop()
				wg.Wait()
				b.Fatalf("%+v", x)
			}
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/push")
	b.StopTimer()
	stop()
	wg.Wait()
	must(b, errors.Join(ledger.Close(ctx), db.Close()))
}

// enroll writes the devices, in a record of its own that is closed: what it leaves
// to be done is no matter of who sends.
func enroll(b *testing.B, path string) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	must(b, err)
	now := time.Now().UTC()
	must(b, db.CreateApp(ctx, record.App{Key: app, Name: "a", SecretHash: []byte("h"), Created: now}))
	each(b, b.N, func(i int) error {
		_, _, err := db.Register(ctx, record.Registration{Device: record.Device{
			App: app, ID: herald.RegistrationID(fmt.Sprintf("%020d", i)), Platform: herald.PlatformIOS, Created: now, Seen: now,
		}, Addresses: []record.Address{{Kind: "apns", Environment: "production", Token: deviceToken(i)}}})
		return err
	})
	must(b, db.Close())
}
