// Package telemetry holds what a node measures of itself, for Prometheus: base
// units, no IDs and no user text in labels. It knows nobody; the server hands
// its methods to those who count.
package telemetry

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/herald-push/herald"
)

// Metrics is one node's metrics. It is safe for use by several goroutines.
type Metrics struct {
	registry      *prometheus.Registry
	requests      *prometheus.CounterVec
	took          *prometheus.HistogramVec
	deliveries    *prometheus.CounterVec
	ready         prometheus.Gauge
	webhooks      *prometheus.CounterVec
	webhookTook   prometheus.Histogram
	webhookEvents prometheus.Counter

	// What was counted once: to find it by its labels takes longer than to
	// count it.
	answers sync.Map // of answered, by answer
	states  sync.Map // of prometheus.Counter, by herald.DeliveryState
}

// answer names a kind of request; the operations are few.
type answer struct {
	operation string
	class     int
}

type answered struct {
	count prometheus.Counter
	took  prometheus.Observer
}

// New makes the metrics of a node. sessions gives the sessions that are open
// now, by transport; dropped the publications that did not reach a session, which
// only grow in number. Both are asked when the metrics are scraped.
func New(version string, sessions func() map[string]int, dropped func() int64) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_http_requests_total", Help: "API requests, by operation and class of status (2xx, 4xx, 5xx).",
		}, []string{"operation", "class"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_http_request_duration_seconds", Help: "Time from the head of an API request to its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"operation"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_deliveries_total", Help: "Deliveries (message x device) that came to a state.",
		}, []string{"state"}),
		ready: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "herald_ready", Help: "1 if the last readiness probe made a durable write.",
		}),
	}
	m.addWebhooks()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "herald_build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	missed := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "herald_publications_dropped_total", Help: "Publications to a topic that did not reach a session, because its queue was full.",
	}, func() float64 { return float64(dropped()) })
	m.registry.MustRegister(m.requests, m.took, m.deliveries, m.ready, build, missed, sessionCollector{sessions},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Request counts a finished API request.
func (m *Metrics) Request(operation string, status int, took time.Duration) {
	k := answer{operation, status / 100}
	kept, ok := m.answers.Load(k)
	if !ok {
		kept, _ = m.answers.LoadOrStore(k, answered{m.requests.WithLabelValues(operation, strconv.Itoa(k.class)+"xx"), m.took.WithLabelValues(operation)})
	}
	a := kept.(answered)
	a.count.Inc()
	a.took.Observe(took.Seconds())
}

// Delivered counts deliveries that came to a state.
func (m *Metrics) Delivered(state herald.DeliveryState, n int64) {
	kept, ok := m.states.Load(state)
	if !ok {
		kept, _ = m.states.LoadOrStore(state, m.deliveries.WithLabelValues(string(state)))
	}
	kept.(prometheus.Counter).Add(float64(n))
}

// Ready notes what the last readiness probe found.
func (m *Metrics) Ready(ok bool) {
	v := 0.0
	if ok {
		v = 1
	}
	m.ready.Set(v)
}

// Cache is what a cache holds now, and what it has done since the start.
type Cache struct{ Bytes, Hits, Misses, Evictions int64 }

// Sets shows the cache of targets and states of messages to many devices; it is
// asked when the metrics are scraped. Call it once, before they are served.
func (m *Metrics) Sets(now func() Cache) { m.registry.MustRegister(cacheCollector{now}) }

// Handler serves the metrics in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// sessionCollector asks for the open sessions when it is scraped.
type sessionCollector struct{ sessions func() map[string]int }

var sessionsDesc = prometheus.NewDesc("herald_sessions", "Sessions that are open now, by transport.", []string{"transport"}, nil)

// Describe implements prometheus.Collector.
func (c sessionCollector) Describe(ch chan<- *prometheus.Desc) { ch <- sessionsDesc }

// Collect implements prometheus.Collector.
func (c sessionCollector) Collect(ch chan<- prometheus.Metric) {
	for transport, n := range c.sessions() {
		ch <- prometheus.MustNewConstMetric(sessionsDesc, prometheus.GaugeValue, float64(n), transport)
	}
}
