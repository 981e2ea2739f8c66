package telemetry

import "github.com/prometheus/client_golang/prometheus"

// cacheCollector asks for the state of the cache of sets when it is scraped.
type cacheCollector struct{ now func() Cache }

var (
	cacheBytesDesc     = prometheus.NewDesc("herald_sets_cache_bytes", "Memory that targets and states of messages to many devices take now; memory.sets bounds it.", nil, nil)
	cacheHitsDesc      = prometheus.NewDesc("herald_sets_cache_hits_total", "Slabs of such messages that were in memory when they were needed.", nil, nil)
	cacheMissesDesc    = prometheus.NewDesc("herald_sets_cache_misses_total", "Slabs of such messages that had to be read from the record.", nil, nil)
	cacheEvictionsDesc = prometheus.NewDesc("herald_sets_cache_evictions_total", "Slabs of such messages that left memory, in whole or in part.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c cacheCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cacheBytesDesc, cacheHitsDesc, cacheMissesDesc, cacheEvictionsDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c cacheCollector) Collect(ch chan<- prometheus.Metric) {
	now := c.now()
	ch <- prometheus.MustNewConstMetric(cacheBytesDesc, prometheus.GaugeValue, float64(now.Bytes))
	ch <- prometheus.MustNewConstMetric(cacheHitsDesc, prometheus.CounterValue, float64(now.Hits))
	ch <- prometheus.MustNewConstMetric(cacheMissesDesc, prometheus.CounterValue, float64(now.Misses))
	ch <- prometheus.MustNewConstMetric(cacheEvictionsDesc, prometheus.CounterValue, float64(now.Evictions))
}
