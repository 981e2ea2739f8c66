package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Topics are figures of the topic log: what waits for a commit now, and what has
// happened since the start.
type Topics struct{ Appended, Pending, Dropped, Refused int64 }

// Topics shows the topic log; it is asked when the metrics are scraped. Call it
// once, before they are served.
func (m *Metrics) Topics(now func() Topics) { m.registry.MustRegister(topicCollector{now}) }

type topicCollector struct{ now func() Topics }

var (
	topicAppended = prometheus.NewDesc("herald_topic_log_appended_total", "Publications stored for sessions that persist.", nil, nil)
	topicPending  = prometheus.NewDesc("herald_topic_log_pending", "Publications and changes of sessions that wait to be stored.", nil, nil)
	topicDropped  = prometheus.NewDesc("herald_topic_log_dropped_total", "Stored publications that a session did not get, because too many waited for it.", nil, nil)
	topicRefused  = prometheus.NewDesc("herald_topic_log_refused_total", "Publications that were not stored, because too many waited to be.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c topicCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{topicAppended, topicPending, topicDropped, topicRefused} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c topicCollector) Collect(ch chan<- prometheus.Metric) {
	t := c.now()
	ch <- prometheus.MustNewConstMetric(topicAppended, prometheus.CounterValue, float64(t.Appended))
	ch <- prometheus.MustNewConstMetric(topicPending, prometheus.GaugeValue, float64(t.Pending))
	ch <- prometheus.MustNewConstMetric(topicDropped, prometheus.CounterValue, float64(t.Dropped))
	ch <- prometheus.MustNewConstMetric(topicRefused, prometheus.CounterValue, float64(t.Refused))
}
