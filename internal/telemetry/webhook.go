package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// addWebhooks makes the metrics of attempts to call app servers.
func (m *Metrics) addWebhooks() {
	m.webhooks = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "herald_webhook_attempts_total", Help: "Requests to webhooks, by outcome: delivered, failed.",
	}, []string{"outcome"})
	m.webhookTook = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "herald_webhook_duration_seconds", Help: "Time from a request to a webhook to its answer, or to the end of waiting.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
	})
	m.webhookEvents = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "herald_webhook_events_total", Help: "Events that webhooks took.",
	})
	m.registry.MustRegister(m.webhooks, m.webhookTook, m.webhookEvents)
}

// Webhook counts an attempt to call an app server.
func (m *Metrics) Webhook(delivered bool, events int, took time.Duration) {
	outcome := "failed"
	if delivered {
		outcome = "delivered"
		m.webhookEvents.Add(float64(events))
	}
	m.webhooks.WithLabelValues(outcome).Inc()
	m.webhookTook.Observe(took.Seconds())
}

// Webhooks is how webhooks stand.
type Webhooks struct {
	Good, Failing, Disabled int
	Behind, Dropped         int64
}

// Webhooks shows how webhooks stand; it is asked when the metrics are scraped.
// Call it once, before they are served.
func (m *Metrics) Webhooks(now func() Webhooks) { m.registry.MustRegister(webhookCollector{now}) }

type webhookCollector struct{ now func() Webhooks }

var (
	webhookStates  = prometheus.NewDesc("herald_webhooks", "Webhooks, by state: good, failing, disabled.", []string{"state"}, nil)
	webhookBehind  = prometheus.NewDesc("herald_webhook_lag_rows", "Rows of the webhook log that wait for the webhook that is most behind.", nil, nil)
	webhookDropped = prometheus.NewDesc("herald_webhook_dropped_events", "Events that left the log before a webhook that exists now was sent them.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c webhookCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- webhookStates
	ch <- webhookBehind
	ch <- webhookDropped
}

// Collect implements prometheus.Collector.
func (c webhookCollector) Collect(ch chan<- prometheus.Metric) {
	n := c.now()
	for state, v := range map[string]int{"good": n.Good, "failing": n.Failing, "disabled": n.Disabled} {
		ch <- prometheus.MustNewConstMetric(webhookStates, prometheus.GaugeValue, float64(v), state)
	}
	ch <- prometheus.MustNewConstMetric(webhookBehind, prometheus.GaugeValue, float64(n.Behind))
	ch <- prometheus.MustNewConstMetric(webhookDropped, prometheus.GaugeValue, float64(n.Dropped))
}
