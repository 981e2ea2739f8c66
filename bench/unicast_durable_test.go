//go:build unix

package bench_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/herald-push/herald/internal/api/v1"
)

// BenchmarkUnicastDurable accepts stored messages to one device each in batches
// through the whole handler of the API, and in turns has a bare loop write the
// same rows into the same tables of a copy of the database, with as many callers
// as fill its commits. One operation is one message.
func BenchmarkUnicastDurable(b *testing.B) {
	for _, callers := range []int{1, 4} {
		b.Run(fmt.Sprintf("%d callers", callers), func(b *testing.B) { unicastDurable(b, callers) })
	}
}

func unicastDurable(b *testing.B, callers int) {
	database, s := seededFolder(b)
	copied := filepath.Join(b.TempDir(), "bare.db")
	copyFile(b, database, copied)
	a := newAcceptor(b, database, s)
	loop := newBareLoop(b, copied, false)
	u := a.handler(s.MasterSecret)
	aims := make([]audienceOf, 8*unicastBatch)
	for i := range aims {
		aims[i] = newAudienceOf(b, aim(&a.people, i, false))
	}
	var batches [][]byte
	for i := 0; i < len(aims); i += unicastBatch {
		var batch bytes.Buffer
		for _, to := range aims[i : i+unicastBatch] {
			fmt.Fprintf(&batch, `{"audience":%s,"notification":{"title":"Your order has shipped","body":"It should reach you tomorrow."}}`+"\n", to.json)
		}
		batches = append(batches, batch.Bytes())
	}
	var herald, bare, heraldCPU, bareCPU time.Duration
	b.ResetTimer()
	b.StopTimer()
	// Several turns, so that both meet the same disk.
	turn := max(callers, b.N/unicastBatch/10+1) // batches
	done := 0
	for from := 0; from == 0 || from*unicastBatch < b.N; from += turn {
		n := turn * unicastBatch
		used := cpuTime(b)
		bare += together(b, bareGroup, from*unicastBatch, n, func(i int) error { return loop.put(i+1, &aims[i%len(aims)]) })
		bareCPU += cpuTime(b) - used
		used = cpuTime(b)
		b.StartTimer()
		begun := time.Now()
		together(b, callers, from, turn, func(i int) error {
			c := u.caller("/v1/messages:batch", "application/x-ndjson")
			c.post(b, batches[i%len(batches)], http.StatusOK)
			if got := bytes.Count(c.w.body, []byte(`"stored":true`)); got != unicastBatch {
				return fmt.Errorf("%d of %d were stored", got, unicastBatch)
			}
			a.accepted.Add(unicastBatch)
			return nil
		})
		a.caughtUp()
		herald += time.Since(begun)
		b.StopTimer()
		heraldCPU += cpuTime(b) - used
		done += n
	}
	b.ReportMetric(float64(done)/herald.Seconds(), "accepted/s")
	b.ReportMetric(float64(done)/bare.Seconds(), "bare/s")
	b.ReportMetric(bare.Seconds()/herald.Seconds(), "ratio")
	b.ReportMetric(float64(heraldCPU.Nanoseconds())/1e3/float64(done), "cpu-µs/message")
	b.ReportMetric(float64(bareCPU.Nanoseconds())/1e3/float64(done), "bare-cpu-µs/message")
}

// handler is the API over the service.
func (a *acceptor) handler(secret string) *unicast {
	mux := http.NewServeMux()
	v1.New(v1.Config{Service: a.service, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Limits: v1.Limits{KeyRate: 1e8, DeviceRate: 10, AddressRate: 20}}).Mount(mux)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(string(a.app.App), secret)
	return &unicast{handler: mux, auth: r.Header.Get("Authorization")}
}
