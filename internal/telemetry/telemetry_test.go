package telemetry_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/telemetry"
)

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	b, err := io.ReadAll(rec.Body)
	if err != nil || rec.Code != http.StatusOK || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("%d, %s: %v", rec.Code, rec.Header().Get("Content-Type"), err)
	}
	return string(b)
}

func none() int64 { return 0 }

// used gives metrics in which each counter has counted.
func used() *telemetry.Metrics {
	m := telemetry.New("v1.2.3", func() map[string]int { return map[string]int{"websocket": 3, "sse": 0} }, func() int64 { return 4 })
	m.Request("send-message", 202, 3*time.Millisecond)
	m.Request("send-message", 202, 200*time.Millisecond)
	m.Request("send-message", 413, time.Millisecond)
	m.Request("get-message", 503, time.Minute)
	m.Delivered(herald.StateReceived, 5)
	m.Delivered(herald.StateReceived, 2)
	m.Delivered(herald.StateExpired, 0)
	m.Ready(true)
	m.Sets(func() telemetry.Cache { return telemetry.Cache{Bytes: 4096, Hits: 3, Misses: 2, Evictions: 1} })
	m.Webhook(true, 7, 30*time.Millisecond)
	m.Webhook(false, 100, 20*time.Second)
	m.Webhooks(func() telemetry.Webhooks {
		return telemetry.Webhooks{Good: 1, Failing: 2, Disabled: 3, Behind: 4, Dropped: 5}
	})
	return m
}

func TestText(t *testing.T) {
	m := used()
	lines := strings.Split(scrape(t, m), "\n")
	for _, want := range []string{
		`herald_http_requests_total{class="2xx",operation="send-message"} 2`,
		`herald_http_requests_total{class="4xx",operation="send-message"} 1`,
		`herald_http_requests_total{class="5xx",operation="get-message"} 1`,
		`herald_http_request_duration_seconds_count{operation="send-message"} 3`,
		`herald_http_request_duration_seconds_bucket{operation="send-message",le="0.005"} 2`,
		`herald_http_request_duration_seconds_bucket{operation="get-message",le="10"} 0`,
		`herald_http_request_duration_seconds_sum{operation="get-message"} 60`,
		`herald_deliveries_total{state="received"} 7`,
		`herald_deliveries_total{state="expired"} 0`,
		`herald_sessions{transport="websocket"} 3`,
		`herald_sessions{transport="sse"} 0`,
		`herald_publications_dropped_total 4`,
		`herald_ready 1`,
		`herald_sets_cache_bytes 4096`,
		`herald_sets_cache_hits_total 3`,
		`herald_sets_cache_misses_total 2`,
		`herald_sets_cache_evictions_total 1`,
		`herald_webhook_attempts_total{outcome="delivered"} 1`,
		`herald_webhook_attempts_total{outcome="failed"} 1`,
		`herald_webhook_events_total 7`,
		`herald_webhook_duration_seconds_count 2`,
		`herald_webhooks{state="good"} 1`,
		`herald_webhooks{state="failing"} 2`,
		`herald_webhooks{state="disabled"} 3`,
		`herald_webhook_lag_rows 4`,
		`herald_webhook_dropped_events 5`,
		`herald_build_info{version="v1.2.3"} 1`,
		`# TYPE herald_http_requests_total counter`,
		`# TYPE herald_http_request_duration_seconds histogram`,
		`# TYPE herald_deliveries_total counter`,
		`# TYPE herald_sessions gauge`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("there is no line %s", want)
		}
	}
	m.Ready(false)
	if !strings.Contains(scrape(t, m), "\nherald_ready 0\n") {
		t.Error("a failed probe leaves the node ready")
	}
}

// TestNames: these are all the names of our own, each with a help text, and in
// base units. A new one has to be put here, and into the documentation.
func TestNames(t *testing.T) {
	want := []string{
		"herald_build_info", "herald_deliveries_total", "herald_http_request_duration_seconds",
		"herald_http_requests_total", "herald_publications_dropped_total", "herald_ready", "herald_sessions",
		"herald_sets_cache_bytes", "herald_sets_cache_evictions_total", "herald_sets_cache_hits_total", "herald_sets_cache_misses_total",
		"herald_webhook_attempts_total", "herald_webhook_dropped_events", "herald_webhook_duration_seconds", "herald_webhook_events_total",
		"herald_webhook_lag_rows", "herald_webhooks",
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^# HELP (herald_[a-z_]+) (.+)$`).FindAllStringSubmatch(scrape(t, used()), -1) {
		got = append(got, m[1])
		if strings.HasSuffix(m[1], "_ms") || strings.HasSuffix(m[1], "_milliseconds") {
			t.Errorf("%s is not in base units", m[1])
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("names %v, want %v", got, want)
	}
}

// TestLabels: no label holds an ID or text of users; their names are few.
func TestLabels(t *testing.T) {
	allowed := []string{"outcome", "operation", "class", "le", "state", "transport", "version"}
	for line := range strings.Lines(scrape(t, used())) {
		if !strings.HasPrefix(line, "herald_") {
			continue
		}
		for _, m := range regexp.MustCompile(`([a-z_]+)="([^"]*)"`).FindAllStringSubmatch(line, -1) {
			if !slices.Contains(allowed, m[1]) {
				t.Errorf("label %s in %s", m[1], line)
			}
			if herald.RegistrationID(m[2]).Valid() || herald.AppKey(m[2]).Valid() || regexp.MustCompile(`^[0-9]{12,}$`).MatchString(m[2]) {
				t.Errorf("an ID in %s", line)
			}
		}
	}
}

func TestNoSessions(t *testing.T) {
	text := scrape(t, telemetry.New("dev", func() map[string]int { return nil }, none))
	if strings.Contains(text, "herald_sessions{") || !strings.Contains(text, "herald_ready 0") || !strings.Contains(text, "go_goroutines") {
		t.Errorf("a node that has just begun says:\n%s", text)
	}
}

// TestTwoNodes in one process do not share metrics.
func TestTwoNodes(t *testing.T) {
	a, b := used(), telemetry.New("b", func() map[string]int { return nil }, none)
	if strings.Contains(scrape(t, b), "send-message") || !strings.Contains(scrape(t, a), "send-message") {
		t.Error("two nodes share metrics")
	}
}

func TestConcurrently(t *testing.T) {
	m := telemetry.New("dev", func() map[string]int { return map[string]int{"sse": 1} }, none)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				m.Request("op", 200, time.Millisecond)
				m.Delivered(herald.StateSent, 1)
				m.Ready(true)
			}
			scrape(t, m)
		})
	}
	wg.Wait()
	if text := scrape(t, m); !strings.Contains(text, `herald_deliveries_total{state="sent"} 400`) {
		t.Error("counts were lost")
	}
}
