package cli

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const reportAnswer = `{"message_id":"42","state":"sending","accepted_at":"2026-11-21T09:30:00Z",` +
	`"funnel":{"target":5,"sent":4,"received":2,"displayed":0,"clicked":0,"unknown":{"received":2,"displayed":4,"clicked":4},"rates":{"sent":0.8,"received":0.4,"displayed":null,"clicked":null}},` +
	`"states":{"pending":1,"sent":2,"received":2},"channels":[{"channel":"live","devices":4,"transports":{"websocket":3,"sse":1}},{"channel":"none","devices":1}],` +
	`"platforms":[{"platform":"ios","target":5,"rates":{"sent":0.8,"received":0.4,"displayed":null,"clicked":null}}],` +
	`"timeline":{"bucket":"minute","buckets":[{"time":"2026-11-21T09:30:00Z","sent":3},{"time":"2026-11-21T09:31:00Z"},{"time":"2026-11-21T09:32:00Z","received":2}],"unknown":{"sent":1}}}`

func TestReport(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		if got := r.URL.RequestURI(); got != "/v1/messages/42/report?bucket=minute" {
			t.Errorf("asked for %s", got)
		}
		fmt.Fprint(rw, reportAnswer)
	})
	if code := w.run(t, "report", "42", "--bucket", "minute"); code != 0 {
		t.Errorf("exit %d: %s", code, w.err)
	}
	golden(t, "report", w.out.String())
	if code := w.run(t, "report", "42", "--bucket", "minute", "--json"); code != 0 || !strings.Contains(w.out.String(), `"displayed":null`) {
		t.Errorf("exit %d: %s", code, w.out)
	}
}

func TestReportOfAScheduledMessage(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(rw, `{"message_id":"42","state":"scheduled","accepted_at":"2026-11-21T09:30:00Z","channels":[],"platforms":[]}`)
	})
	if code := w.run(t, "report", "42"); code != 0 || !strings.Contains(w.out.String(), "decided when it is due") {
		t.Errorf("exit %d: %s", code, w.out)
	}
}

func TestDeliveries(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		switch got := r.URL.RequestURI(); got {
		case "/v1/messages/42/deliveries?format=csv&platform=ios&state=sent":
			fmt.Fprint(rw, "registration_id\r\n")
		case "/v1/messages/42/deliveries?format=ndjson":
			fmt.Fprintln(rw, `{"registration_id":"01234567890123456789","alias":"a\u001b[31m","platform":"ios","state":"sent","reason":"Sent."}`)
			fmt.Fprintln(rw, `{"platform":"unknown","state":"device_gone","reason":"The device was removed."}`)
		case "/v1/messages/43/deliveries?format=csv":
			fmt.Fprint(rw, "registration_id\r\n")
			_ = http.NewResponseController(rw).Flush()
			panic(http.ErrAbortHandler)
		default:
			t.Errorf("asked for %s", got)
		}
	})
	if code := w.run(t, "deliveries", "42", "--format", "csv", "--state", "sent", "--platform", "ios"); code != 0 || w.out.String() != "registration_id\r\n" {
		t.Errorf("exit %d: %q %s", code, w.out, w.err)
	}
	w.out.b.Reset()
	if code := w.run(t, "deliveries", "42"); code != 0 {
		t.Errorf("exit %d: %s", code, w.err)
	}
	golden(t, "deliveries", w.out.String())
	if code := w.run(t, "deliveries", "43", "--format", "csv"); code != ExitFailure || !strings.Contains(w.err.String(), "broke off") {
		t.Errorf("exit %d: %s", code, w.err)
	}
}

func TestTimeline(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		const head = `{"registration_id":"01234567890123456789","seen_at":"2026-11-21T09:30:00Z","kept_since":"2026-10-22T09:30:00Z",`
		switch got := r.URL.RequestURI(); got {
		case "/v1/devices/01234567890123456789/timeline?limit=3":
			fmt.Fprint(rw, head+`"items":[{"time":"2026-11-21T09:30:00Z","kind":"message","message_id":"42","title":"Hello","state":"received","text":"Received: the device has it."}],"next_cursor":"42"}`)
		case "/v1/devices/01234567890123456789/timeline?cursor=42&limit=2":
			fmt.Fprint(rw, head+`"items":[],"next_cursor":"40"}`)
		case "/v1/devices/01234567890123456789/timeline?cursor=40&limit=2":
			fmt.Fprint(rw, head+`"items":[{"time":"2026-11-01T08:00:00Z","kind":"registered","text":"The device registered."}]}`)
		default:
			t.Errorf("asked for %s", got)
		}
	})
	if code := w.run(t, "timeline", "01234567890123456789", "--limit", "3"); code != 0 {
		t.Errorf("exit %d: %s", code, w.err)
	}
	golden(t, "timeline", w.out.String())
}

func TestReportUsage(t *testing.T) {
	for _, args := range [][]string{
		{"report"}, {"report", "x"}, {"report", "42", "--bucket", "week"}, {"deliveries"}, {"deliveries", "x"}, {"deliveries", "42", "--format", "xls"},
		{"timeline"}, {"timeline", "short"}, {"timeline", "01234567890123456789", "--limit", "0"},
	} {
		w := newWorld(t)
		code := w.run(t, args...)
		if lines := strings.Count(w.err.String(), "\n"); code != ExitUsage || lines != 2 || w.out.String() != "" {
			t.Errorf("%q: exit %d: %s%s", args, code, w.err, w.out)
		}
	}
}
