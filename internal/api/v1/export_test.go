package v1

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

func TestPreferred(t *testing.T) {
	for accept, want := range map[string]form{
		"*/*": asPage, "application/json": asPage, "text/csv": asCSV, "application/x-ndjson": asNDJSON, "text/*": asCSV, "application/*": asPage,
		"text/csv;q=0.5, application/x-ndjson": asNDJSON, "application/json;q=0, */*": asNDJSON, "text/csv, */*;q=0.1": asCSV,
		"text/html": "", "application/json;q=0": "",
	} {
		got, ok := preferred(http.Header{"Accept": {accept}})
		if got != want || ok != (want != "") {
			t.Errorf("Accept: %s gives %q", accept, got)
		}
	}
}

func TestHarmless(t *testing.T) {
	for cell, want := range map[string]string{
		"": "", "anna": "anna", "=1+1": "'=1+1", "+49": "'+49", "-1": "'-1", "@x": "'@x", "\tx": "'\tx", "a=b": "a=b", "'x": "'x", "，": "，",
	} {
		if got := harmless(cell); got != want {
			t.Errorf("%q becomes %q, want %q", cell, got, want)
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("a", "=b")
	f.Add("\"\r\n", ",;")
	f.Fuzz(func(t *testing.T, a, b string) {
		var out strings.Builder
		write, err := rows(&out, table[string]{header: []string{"a", "b"}, cells: func(string) []string { return []string{a, b} }})
		must(t, err)
		must(t, write([]string{""}))
		got, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
		if err != nil || len(got) != 2 || len(got[1]) != 2 {
			t.Fatalf("%q is read as %q, %v", out.String(), got, err)
		}
		for _, cell := range got[1] {
			if cell != "" && strings.ContainsRune("=+-@\t", rune(cell[0])) {
				t.Errorf("%q is a formula", cell)
			}
		}
	})
}

// parts is a list of numbers in parts, which may break off.
func parts(n int, end error) func() (iter.Seq2[[]int, error], error) {
	return func() (iter.Seq2[[]int, error], error) {
		return func(yield func([]int, error) bool) {
			for i := range n {
				if !yield([]int{2 * i, 2*i + 1}, nil) {
					return
				}
			}
			if end != nil {
				yield(nil, end)
			}
		}, nil
	}
}

// exporting is an API with GET /v1/numbers, which exports some.
func exporting(t *testing.T, cfg Config, list func() (iter.Seq2[[]int, error], error)) *rig {
	r := newRig(t, cfg)
	register(r.API, operation{id: "listNumbers", method: "GET", path: "/v1/numbers", tag: "Test", answer: `{}`, list: echo{}},
		func(_ context.Context, x *exchange, _ *FormInput) (*listed, error) {
			if x.as == asPage {
				return page(x, echo{Name: "page"}, r.fail)
			}
			t := table[int]{name: "numbers", header: []string{"n"}, cells: func(n int) []string { return []string{fmt.Sprint(-n)} }}
			return export(r.API, x, t, list)
		})
	return r
}

func TestExport(t *testing.T) {
	for name, tt := range map[string]struct {
		target, accept, media, want string
	}{
		"page":               {"/v1/numbers", "", "application/json", `{"name":"page","kind":0,"text":""}` + "\n"},
		"page, asked for":    {"/v1/numbers?format=json", "text/csv", "application/json", `{"name":"page","kind":0,"text":""}` + "\n"},
		"csv":                {"/v1/numbers?format=csv", "", "text/csv; charset=utf-8; header=present", "n\r\n0\r\n'-1\r\n'-2\r\n'-3\r\n"},
		"csv by Accept":      {"/v1/numbers", "text/csv", "text/csv; charset=utf-8; header=present", "n\r\n0\r\n'-1\r\n'-2\r\n'-3\r\n"},
		"ndjson":             {"/v1/numbers?format=ndjson", "", "application/x-ndjson", "0\n1\n2\n3\n"},
		"ndjson by Accept":   {"/v1/numbers", "application/x-ndjson", "application/x-ndjson", "0\n1\n2\n3\n"},
		"the parameter wins": {"/v1/numbers?format=ndjson", "text/csv", "application/x-ndjson", "0\n1\n2\n3\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := exporting(t, Config{}, parts(2, nil))
			headers := []string{master}
			if tt.accept != "" {
				headers = append(headers, "Accept: "+tt.accept)
			}
			rec := r.do("GET", tt.target, "", headers...)
			if rec.Code != 200 || rec.Header().Get("Content-Type") != tt.media || rec.Body.String() != tt.want {
				t.Errorf("%d %v %q", rec.Code, rec.Header(), rec.Body)
			}
			if len(r.heavy) != 0 {
				t.Error("the place is not given back")
			}
		})
	}
}

func TestExportRefuses(t *testing.T) {
	down := herald.Errorf(herald.CodeNotFound, "Look elsewhere.", "there is nothing")
	for name, tt := range map[string]struct {
		target, accept string
		status         int
	}{
		"format":     {"/v1/numbers?format=xls", "", 422},
		"accept":     {"/v1/numbers", "text/html", 406},
		"no list":    {"/v1/numbers?format=csv", "", 404},
		"misspelt":   {"/v1/numbers?formatt=csv", "", 422},
		"given once": {"/v1/numbers?format=csv&format=csv", "", 422},
	} {
		t.Run(name, func(t *testing.T) {
			r := exporting(t, Config{}, func() (iter.Seq2[[]int, error], error) { return nil, down })
			headers := []string{master}
			if tt.accept != "" {
				headers = append(headers, "Accept: "+tt.accept)
			}
			rec := r.do("GET", tt.target, "", headers...)
			problemOf(t, rec)
			if rec.Code != tt.status || len(r.heavy) != 0 {
				t.Errorf("status %d, %d places taken", rec.Code, len(r.heavy))
			}
		})
	}
}

func TestExportsAreBounded(t *testing.T) {
	r := exporting(t, Config{}, parts(1, nil))
	for range maxHeavy {
		_, err := r.begin()
		must(t, err)
	}
	rec := r.do("GET", "/v1/numbers?format=csv", "", master)
	if p := problemOf(t, rec); rec.Code != 429 || p.Code != herald.CodeRateLimited || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	if rec := r.do("GET", "/v1/numbers", "", master); rec.Code != 200 {
		t.Errorf("a page is answered %d", rec.Code)
	}
}

// Half a list is no list: the connection breaks, over HTTP/1.1.
func TestExportBreaksOff(t *testing.T) {
	draining := false
	for name, tt := range map[string]struct {
		list  func() (iter.Seq2[[]int, error], error)
		drain bool
	}{
		"the record fails":   {parts(1, errors.New("the disk is away")), false},
		"nothing at all":     {parts(0, errors.New("the disk is away")), false},
		"the node goes away": {parts(3, nil), true},
	} {
		t.Run(name, func(t *testing.T) {
			list := tt.list
			if tt.drain {
				list = func() (iter.Seq2[[]int, error], error) {
					all, err := tt.list()
					return func(yield func([]int, error) bool) {
						for some, err := range all {
							ok := yield(some, err)
							if draining = true; !ok {
								return
							}
						}
					}, err
				}
			}
			draining = false
			r := exporting(t, Config{Draining: func() bool { return draining }}, list)
			s := httptest.NewServer(r.mux)
			defer s.Close()
			req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/v1/numbers?format=ndjson", nil)
			must(t, err)
			req.SetBasicAuth(string(appKey), "master")
			resp, err := s.Client().Do(req)
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				resp.Body.Close()
				if strings.Contains(string(body), "4") || strings.Contains(string(body), "disk") {
					t.Errorf("the client reads %q", body)
				}
			}
			if err == nil {
				t.Error("the client sees a clean end")
			}
			if len(r.heavy) != 0 {
				t.Error("the place is not given back")
			}
		})
	}
}

// ask sends a request of the master's, and reads the answer into a value if
// there is one.
func (n *node) ask(status int, method, target, body string, into any) *httptest.ResponseRecorder {
	n.t.Helper()
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header = http.Header{"Authorization": {n.key}}
	rec := httptest.NewRecorder()
	n.mux.ServeHTTP(rec, req)
	if rec.Code != status {
		n.t.Errorf("%s %s: got %d, want %d: %s", method, target, rec.Code, status, rec.Body)
	}
	if into != nil {
		must(n.t, json.Unmarshal(rec.Body.Bytes(), into))
	}
	return rec
}

// TestReportsOverHTTP asks the real service.
func TestReportsOverHTTP(t *testing.T) {
	n := newNode(t)
	ids := map[string]string{}
	for _, alias := range []string{"=cmd()", "bob, \"the\" builder"} {
		var a api.RegisterAnswer
		n.ask(201, "POST", "/v1/devices", fmt.Sprintf(`{"alias":%q,"platform":"ios"}`, alias), &a)
		ids[alias] = string(a.RegistrationID)
	}
	var sent api.SendAnswer
	n.ask(202, "POST", "/v1/messages", `{"audience":"all","notification":{"title":"+1"}}`, &sent)
	at := "/v1/messages/" + sent.ID.String()

	var r api.Report
	n.ask(200, "GET", at+"/report?bucket=day", "", &r)
	if r.Funnel.Target != 2 || len(r.Platforms) != 1 || r.Timeline.Bucket != "day" {
		t.Errorf("report %+v", r)
	}
	var page api.DeliveryPage
	n.ask(200, "GET", at+"/deliveries?limit=1&state=pending&platform=ios", "", &page)
	if len(page.Deliveries) != 1 || page.NextCursor == "" {
		t.Errorf("deliveries %+v", page)
	}
	var line api.DeviceTimeline
	n.ask(200, "GET", "/v1/devices/"+ids["=cmd()"]+"/timeline", "", &line)
	if len(line.Items) != 2 || line.Items[0].MessageID != sent.ID || line.Items[1].Kind != "registered" {
		t.Errorf("timeline %+v", line)
	}
	for target, want := range map[string]string{
		at + "/deliveries?format=csv":                "'=cmd()",
		"/v1/devices?format=csv":                     `"bob, ""the"" builder"`,
		"/v1/messages?format=csv":                    ",'+1,",
		at + "/deliveries?format=ndjson":             `"alias":"=cmd()"`,
		"/v1/devices?format=ndjson&platform=ios":     `"platform":"ios"`,
		"/v1/messages?format=ndjson&state=sending":   `"counts":{"target":2`,
		"/v1/messages?format=ndjson&state=expired":   "",
		at + "/deliveries?format=csv&state=received": "ended_at\r\n",
	} {
		rec := n.ask(200, "GET", target, "", nil)
		if !strings.Contains(rec.Body.String(), want) || want == "" && rec.Body.Len() > 0 {
			t.Errorf("%s: %q", target, rec.Body)
		}
	}
	n.ask(422, "DELETE", "/v1/devices/"+ids["=cmd()"]+"?erase=yes", "", nil)
	n.ask(204, "DELETE", "/v1/devices/"+ids["=cmd()"]+"?erase=true", "", nil)
	n.ask(404, "DELETE", "/v1/devices/"+ids["=cmd()"]+"?erase=true", "", nil)
	n.ask(204, "DELETE", "/v1/devices/"+ids["bob, \"the\" builder"]+"?erase=false", "", nil)
	for target, status := range map[string]int{
		at + "/report?bucket=week": 422, at + "/deliveries?state=lost": 422, at + "/deliveries?format=csv&state=lost": 422,
		"/v1/messages/77/report": 404, "/v1/messages/77/deliveries?format=csv": 404, "/v1/messages/x/deliveries": 404,
		"/v1/devices/x/timeline": 404, "/v1/devices/" + ids["=cmd()"] + "/timeline?limit=0": 422, "/v1/devices/" + ids["=cmd()"] + "/timeline": 404, at + "/deliveries?limit=x": 422,
	} {
		problemOf(t, n.ask(status, "GET", target, "", nil))
	}
}

// A reader who goes away, or takes nothing, does not keep a place for ever.
func TestExportWithoutAReader(t *testing.T) {
	endless := func() (iter.Seq2[[]int, error], error) {
		return func(yield func([]int, error) bool) {
			for yield(make([]int, 1000), nil) {
			}
		}, nil
	}
	for name, leaves := range map[string]bool{"gone": true, "stalled": false} {
		t.Run(name, func(t *testing.T) {
			r := exporting(t, Config{BodyTime: 100 * time.Millisecond}, endless)
			s := httptest.NewServer(r.mux)
			defer s.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", s.URL+"/v1/numbers?format=csv", nil)
			must(t, err)
			req.SetBasicAuth(string(appKey), "master")
			resp, err := s.Client().Do(req)
			must(t, err)
			defer resp.Body.Close()
			if leaves {
				cancel()
			}
			for len(r.heavy) > 0 && t.Context().Err() == nil {
				runtime.Gosched()
			}
		})
	}
}
