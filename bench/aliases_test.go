//go:build unix

package bench_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// BenchmarkAliases measures bindings in bulk on an app with a million devices:
// what is answered is durable, and seen by the estimate after it. Nothing waits
// for the devices.
func BenchmarkAliases(b *testing.B) {
	d := newDesk(b)
	run := 0
	for name, order := range map[string]int{"file/ordered": 1, "file/random": 7919} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				run++
				var list bytes.Buffer
				for i := range inFile {
					k := i * order % inFile
					fmt.Fprintf(&list, "%s,user-%d-%d\n", deviceID(k), run, k)
				}
				b.StartTimer()
				var a api.BindAnswer
				must(b, d.call(http.MethodPost, "/v1/aliases", "text/csv", &list, &a))
				if got := d.devices(b, fmt.Sprintf(`{"aliases":["user-%d-%d"]}`, run, inFile-1)); a.Bound != inFile || got != 1 {
					b.Fatalf("%+v, and the last alias has %d devices", a, got)
				}
			}
			b.ReportMetric(inFile*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
		})
	}
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			run++
			var pairs []string
			for i := range api.MaxBindings {
				pairs = append(pairs, fmt.Sprintf(`{"registration_id":%q,"alias":"u-%d-%d"}`, deviceID(i), run, i))
			}
			b.StartTimer()
			var a api.BindAnswer
			must(b, d.post("/v1/aliases", `{"bindings":[`+strings.Join(pairs, ",")+`]}`, &a))
			if a.Bound != api.MaxBindings {
				b.Fatalf("%+v", a)
			}
		}
		b.ReportMetric(api.MaxBindings*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	})
	b.Run("call/100", func(b *testing.B) {
		for b.Loop() {
			run++
			var m []string
			for i := range herald.MaxDevicesByAlias {
				m = append(m, fmt.Sprintf("%q", deviceID(i)))
			}
			must(b, d.post(fmt.Sprintf("/v1/aliases/club-%d", run), `{"add":[`+strings.Join(m, ",")+`]}`, &api.MembersAnswer{}))
		}
		b.ReportMetric(herald.MaxDevicesByAlias*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
	})
}
