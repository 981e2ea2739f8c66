package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald"
)

func TestReportsAreAskedFor(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.RequestURI()
		switch {
		case strings.HasSuffix(r.URL.Path, "/report"):
			fmt.Fprint(w, `{"funnel":{"target":2,"rates":{"sent":0.5,"received":null}},"platforms":[{"platform":"ios","target":2}]}`)
		case strings.HasSuffix(r.URL.Path, "/deliveries"):
			fmt.Fprint(w, `{"deliveries":[{"state":"sent"}],"next_cursor":"9"}`)
		default:
			fmt.Fprint(w, `{"items":[{"kind":"registered"}]}`)
		}
	})
	if err := c.EraseDevice(t.Context(), "06dbnqfs00v8k3m1p2r4"); err != nil || got != "/v1/devices/06dbnqfs00v8k3m1p2r4?erase=true" {
		t.Errorf("%s: %v", got, err)
	}
	report, err := c.Report(t.Context(), 42, "hour")
	if err != nil || got != "/v1/messages/42/report?bucket=hour" || *report.Funnel.Rates.Sent != 0.5 || report.Funnel.Rates.Received != nil || report.Platforms[0].Target != 2 {
		t.Errorf("%s: %+v, %v", got, report, err)
	}
	page, err := c.Deliveries(t.Context(), 42, DeliveryQuery{State: herald.StateSent, Platform: "ios", Cursor: "7", Limit: 1})
	if err != nil || got != "/v1/messages/42/deliveries?cursor=7&limit=1&platform=ios&state=sent" || page.NextCursor != "9" || len(page.Deliveries) != 1 {
		t.Errorf("%s: %+v, %v", got, page, err)
	}
	line, err := c.DeviceTimeline(t.Context(), "06dbnqfs00v8k3m1p2r4", "5", 3)
	if err != nil || got != "/v1/devices/06dbnqfs00v8k3m1p2r4/timeline?cursor=5&limit=3" || len(line.Items) != 1 {
		t.Errorf("%s: %+v, %v", got, line, err)
	}
}

func TestEachIsStreamed(t *testing.T) {
	read := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("format") != "ndjson" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprintln(w, `{"id":"1","alias":"a","registration_id":"a"}`)
		_ = http.NewResponseController(w).Flush()
		<-read // the first is read before there is a second
		fmt.Fprintln(w, `{"id":"2","alias":"b","registration_id":"b"}`)
	})
	collect := func(yield func(func(string, error) bool)) (out []string) {
		first := true
		yield(func(s string, err error) bool {
			if err != nil {
				t.Error(err)
			}
			if out = append(out, s); first {
				read <- struct{}{}
			}
			first = false
			return true
		})
		return out
	}
	deliveries := collect(func(yield func(string, error) bool) {
		for d, err := range c.EachDelivery(t.Context(), 42, DeliveryQuery{}) {
			yield(string(d.Alias), err)
		}
	})
	devices := collect(func(yield func(string, error) bool) {
		for d, err := range c.EachDevice(t.Context(), DeviceQuery{Tag: "x"}) {
			yield(string(d.Alias), err)
		}
	})
	messages := collect(func(yield func(string, error) bool) {
		for m, err := range c.EachMessage(t.Context(), MessageQuery{}) {
			yield(m.ID.String(), err)
		}
	})
	if want := []string{"a", "b"}; !slices.Equal(deliveries, want) || !slices.Equal(devices, want) || !slices.Equal(messages, []string{"1", "2"}) {
		t.Errorf("%q, %q, %q", deliveries, devices, messages)
	}
}

// A stream that breaks off is never taken for a whole one.
func TestEachBreaksOff(t *testing.T) {
	for name, body := range map[string]string{"between lines": "{\"alias\":\"a\"}\n", "within a line": `{"alias":"a"`, "after an object": `{"alias":"a"}`} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, body)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			var last error
			for _, err := range c.EachDelivery(t.Context(), 42, DeliveryQuery{}) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), "broke off") {
				t.Errorf("ends with %v", last)
			}
			var out strings.Builder
			if err := c.ExportDeliveries(t.Context(), 42, DeliveryQuery{}, CSV, &out); err == nil {
				t.Error("an export ends well")
			}
		})
	}
}

func TestEachFails(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("state") == "sent" {
			fmt.Fprintln(w, "no JSON")
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"code":"not_found","detail":"there is none","remedy":"Look."}`)
	})
	ends := func(c *Client, ctx context.Context, q DeliveryQuery) (last error) {
		for _, err := range c.EachDelivery(ctx, 42, q) {
			last = err
		}
		return last
	}
	if err := ends(c, t.Context(), DeliveryQuery{}); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("refused: %v", err)
	}
	if err := ends(c, t.Context(), DeliveryQuery{State: "sent"}); err == nil {
		t.Error("what is no JSON is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ends(c, ctx, DeliveryQuery{}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("cancelled: %v", err)
	}
	if err := c.ExportDeliveries(t.Context(), 42, DeliveryQuery{}, NDJSON, &strings.Builder{}); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("export: %v", err)
	}
}

// Who stops early ends the request.
func TestEachStops(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := fmt.Fprintln(w, `{"alias":"a"}`); err != nil || r.Context().Err() != nil {
				return
			}
		}
	})
	for d, err := range c.EachDelivery(t.Context(), 42, DeliveryQuery{}) {
		if err != nil || d.Alias != "a" {
			t.Errorf("%+v, %v", d, err)
		}
		break
	}
}
