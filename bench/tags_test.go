//go:build unix

package bench_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	v1 "github.com/herald-push/herald/internal/api/v1"
	"github.com/herald-push/herald/internal/audience"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/offline"
	"github.com/herald-push/herald/internal/receipt"
	"github.com/herald-push/herald/internal/record"
	"github.com/herald-push/herald/internal/registry"
	"github.com/herald-push/herald/internal/sets"
	"github.com/herald-push/herald/internal/store/sqlite"
)

// inFile is how many devices the app of these benchmarks has, and how many lines
// an uploaded list.
const inFile = 1_000_000

// aliased is which of the devices has an alias: every second one, two to each.
func aliased(i int) bool { return i%2 == 0 }

func aliasOf(i int) string { return fmt.Sprintf("user-%07d", i/4) }

func deviceID(i int) herald.RegistrationID { return herald.RegistrationID(fmt.Sprintf("%020d", i)) }

// desk is the API of an app with many devices, without sockets.
type desk struct {
	mux  *http.ServeMux
	auth string
}

func newDesk(b *testing.B) *desk {
	b.Helper()
	return newDeskWith(b, func(*sqlite.Bulk) {})
}

// deskApp is the app of a desk.
const deskApp herald.AppKey = "bbbbbbbbbbbbbbbbbbbbbbbb"

// newDeskWith is newDesk with what more puts into the record.
func newDeskWith(b *testing.B, more func(*sqlite.Bulk)) *desk {
	b.Helper()
	ctx := b.Context()
	path := filepath.Join(b.TempDir(), "herald.db")
	const key, secret = deskApp, "ssssssssssssssssssssssss"
	bulk, err := sqlite.OpenBulk(ctx, sqlite.Config{Path: path}, record.App{Key: key, Name: "bench", SecretHash: registry.HashSecret(secret), Created: time.Now()})
	must(b, err)
	fill(b, bulk)
	more(bulk)
	must(b, bulk.Close())

	var reg *registry.Registry
	db, err := sqlite.Open(ctx, sqlite.Config{Path: path, OnSets: func(app herald.AppKey, e record.SetLogEntry) { reg.OnSets(app, e) }})
	must(b, err)
	b.Cleanup(func() { must(b, db.Close()) })
	reg = registry.New(registry.Config{Store: db, ServerKey: bytes.Repeat([]byte{7}, 32)})
	must(b, reg.Load(ctx))
	d := &desk{mux: http.NewServeMux()}
	evaluator := audience.New(audience.Config{Registry: reg, Online: func(herald.AppKey) *sets.Set { return sets.New() }})
	ledger := receipt.New(receipt.Config{Store: db, Messages: db, DeadAt: reg.DeadAt})
	b.Cleanup(func() { must(b, ledger.Close(context.Background())) })
	must(b, ledger.Load(ctx, key))
	waiting := offline.New(offline.Config{Store: db, Ledger: ledger, Registry: reg})
	v1.New(v1.Config{Service: api.New(api.Config{Registry: reg, Audience: evaluator, Presence: nobody{}, Ledger: ledger, Backlog: waiting, Messages: db, Audits: db})}).Mount(d.mux)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(string(key), secret)
	d.auth = r.Header.Get("Authorization")
	return d
}

// nobody is connected.
type nobody struct{ api.Presence }

func (nobody) Online(herald.AppKey) *sets.Set { return sets.New() }

func (nobody) Disconnect(herald.AppKey, herald.Ordinal, live.Reason) {}

func (nobody) Rebind(herald.AppKey, herald.Ordinal, herald.Pos) {}

func fill(b *testing.B, bulk *sqlite.Bulk) {
	b.Helper()
	ctx := b.Context()
	const step = 50_000
	var aliases []herald.Alias
	for i := 0; i < inFile; i += 4 {
		aliases = append(aliases, herald.Alias(aliasOf(i)))
	}
	must(b, bulk.Recipients(ctx, aliases, time.Now()))
	for from := 0; from < inFile; from += step {
		rows := make([]sqlite.BulkDevice, step)
		for k := range rows {
			i := from + k
			rows[k] = sqlite.BulkDevice{Device: record.Device{Ord: herald.Ordinal(i), ID: deviceID(i), Platform: herald.PlatformWeb}, Recipient: uint32(i / 4), Bound: aliased(i)}
		}
		must(b, bulk.Devices(ctx, rows))
	}
	must(b, bulk.Index(ctx, func(int, int) {}))
}

// call makes a request and reads the answer into out.
func (d *desk) call(method, target, media string, body io.Reader, out any) error {
	r := httptest.NewRequestWithContext(context.Background(), method, target, body)
	r.Header.Set("Authorization", d.auth)
	r.Header.Set("Content-Type", media)
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	if w.Code >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	return json.Unmarshal(w.Body.Bytes(), out)
}

func (d *desk) post(target, body string, out any) error {
	return d.call(http.MethodPost, target, "application/json", strings.NewReader(body), out)
}

func (d *desk) upload(b *testing.B, of string, list []byte) api.FileView {
	b.Helper()
	var f api.FileView
	must(b, d.call(http.MethodPost, "/v1/files?of="+of, "text/plain", bytes.NewReader(list), &f))
	return f
}

// devices is how many devices an audience has now.
func (d *desk) devices(b *testing.B, audience string) int64 {
	b.Helper()
	var e api.Estimate
	must(b, d.post("/v1/audience/estimate", `{"audience":`+audience+`}`, &e))
	return e.Devices
}

// BenchmarkSets measures changes in bulk on an app with a million devices: what
// is answered is durable, and seen by the estimate after it.
func BenchmarkSets(b *testing.B) {
	d := newDesk(b)
	var ids, aliases bytes.Buffer
	for i := range inFile {
		// In no order of the record.
		fmt.Fprintln(&ids, deviceID(i*7919%inFile))
		fmt.Fprintln(&aliases, aliasOf(4*(i*7919%inFile)))
	}
	for of, list := range map[string][]byte{"registration_ids": ids.Bytes(), "aliases": aliases.Bytes()} {
		b.Run("upload/"+of, func(b *testing.B) {
			for b.Loop() {
				if f := d.upload(b, of, list); f.Lines != inFile {
					b.Fatalf("%+v", f)
				}
			}
			b.ReportMetric(inFile*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
	file := d.upload(b, "registration_ids", ids.Bytes())
	if file.Devices != inFile {
		b.Fatalf("the file has %d devices", file.Devices)
	}
	n := 0
	tag := func() string { n++; return fmt.Sprintf("tag-%d", n) }
	b.Run("tag/file", func(b *testing.B) {
		for b.Loop() {
			t := tag()
			var m api.MembersAnswer
			must(b, d.post("/v1/tags/"+t, `{"add_files":["`+string(file.ID)+`"]}`, &m))
			if got := d.devices(b, `{"tags":["`+t+`"]}`); got != inFile || m.Added != inFile {
				b.Fatalf("%d have the tag, and %d were to get it", got, m.Added)
			}
		}
		b.ReportMetric(inFile*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	})
	b.Run("tag/calls", func(b *testing.B) { d.tagByCalls(b, tag) })
	people := d.upload(b, "aliases", aliases.Bytes())
	for name, a := range map[string]string{
		"estimate/ids": `{"files":["` + string(file.ID) + `"]}`, "estimate/aliases": `{"files":["` + string(people.ID) + `"]}`,
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if d.devices(b, a) == 0 {
					b.Fatal("nobody")
				}
			}
		})
	}
}

// tagByCalls puts tags on devices by registration ID, a thousand in a call, by
// four callers.
func (d *desk) tagByCalls(b *testing.B, tag func() string) {
	b.Helper()
	const calls, callers = 100, 4
	bodies := make([]string, calls)
	for i := range bodies {
		var m api.Members
		for k := range herald.MaxIDsPerCall {
			m.Add = append(m.Add, deviceID((i*herald.MaxIDsPerCall+k)*7919%inFile))
		}
		text, err := json.Marshal(m)
		must(b, err)
		bodies[i] = string(text)
	}
	for b.Loop() {
		t := tag()
		next := make(chan string)
		var wg sync.WaitGroup
		errs := make(chan error, callers)
		for range callers {
			wg.Go(func() {
				var err error
				for body := range next {
					if err == nil {
						err = d.post("/v1/tags/"+t, body, &api.MembersAnswer{})
					}
				}
				errs <- err
			})
		}
		for _, body := range bodies {
			next <- body
		}
		close(next)
		wg.Wait()
		for range callers {
			must(b, <-errs)
		}
		if got := d.devices(b, `{"tags":["`+t+`"]}`); got != calls*herald.MaxIDsPerCall {
			b.Fatalf("%d have the tag", got)
		}
	}
	b.ReportMetric(calls*float64(herald.MaxIDsPerCall)*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}
