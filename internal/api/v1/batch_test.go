package v1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// post sends a batch and gives the answer.
func (n *node) post(media, body string, headers ...string) *httptest.ResponseRecorder {
	n.t.Helper()
	req := httptest.NewRequest("POST", "/v1/messages:batch", strings.NewReader(body))
	req.Header = http.Header{"Authorization": {n.key}, "Content-Type": {media}}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	n.mux.ServeHTTP(rec, req)
	return rec
}

// results reads the answer to a batch, in the form in which it was sent.
func results(t *testing.T, rec *httptest.ResponseRecorder) (out []map[string]any) {
	t.Helper()
	var err error
	if rec.Header().Get("Content-Type") == jsonMedia {
		err = json.Unmarshal(rec.Body.Bytes(), &out)
	} else {
		for line := range strings.Lines(rec.Body.String()) {
			var one map[string]any
			if err = json.Unmarshal([]byte(line), &one); err != nil {
				break
			}
			out = append(out, one)
		}
	}
	if rec.Code != 200 || err != nil {
		t.Fatalf("got %d and %v: %s", rec.Code, err, rec.Body)
	}
	return out
}

// asBatch writes messages in one of the forms.
func asBatch(media string, messages ...string) string {
	if media == linesMedia {
		return strings.Join(messages, "\n") + "\n"
	}
	return "[" + strings.Join(messages, ", \n") + "]"
}

var bothForms = map[string]string{"array": jsonMedia, "lines": linesMedia}

const oneMessage = `{"audience":"all","data":1}`

// TestBatch sends good and bad messages in both forms.
func TestBatch(t *testing.T) {
	for name, media := range bothForms {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			dev := n.call("", "POST", "/v1/devices", `{"app_key":"APP"}`, 201)
			n.call(n.key, "POST", "/v1/aliases/ann", `{"add":["`+fmt.Sprint(dev["registration_id"])+`"]}`, 200)
			rec := n.post(media, asBatch(media,
				`{"audience":{"aliases":["ann"]},"data":1}`,
				`{"audience":{"aliases":["ann"]},"notification":{"title":"now"},"ttl":0}`,
				`{"audience":"all","data":1,"tlt":5}`,
				`{"audience":{"aliases":["ann"]},"data":2,"idempotency_key":"k"}`,
				`{"audience":{"aliases":["ann"]},"data":2,"idempotency_key":"k"}`,
				`{"audience":{"aliases":["ann"]},"data":3,"idempotency_key":"k"}`,
				`{"audience":{"aliases":["nobody"]},"data":1,"require_target":true}`,
				`7`,
				`{"audience":"all","data":1,"idempotency_key":""}`,
				`{"audience":"all","data":"`+strings.Repeat("x", herald.MaxMessageBytes)+`"}`,
				`{"audience":"all","data":1,"send_at":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`,
				`{"audience":{"files":["06dbnqfs00v8k3m1p2r4"]},"data":1}`,
				`{"audience":{"aliases":["ann"]},"data":4}`,
			))
			if got := rec.Header().Get("Content-Type"); got != media {
				t.Errorf("the answer to %s is %s", media, got)
			}
			got := results(t, rec)
			want := []string{"stored", "not stored", "422 tlt", "stored", "stored", "409 ", "422 audience", "422 ", "422 idempotency_key", "413 ", "stored", "422 audience.files", "stored"}
			if len(got) != len(want) {
				t.Fatalf("%d results for %d messages: %v", len(got), len(want), got)
			}
			for i, r := range got {
				is := map[any]string{true: "stored", false: "not stored"}[r["stored"]]
				if r["code"] != nil {
					is = fmt.Sprint(r["status"], " ", map[bool]any{true: "", false: r["field"]}[r["field"] == nil])
					if r["index"] != float64(i) || r["detail"] == "" || r["remedy"] == "" || r["type"] != "about:blank" {
						t.Errorf("problem %d is %v", i, r)
					}
				}
				if !strings.HasPrefix(is, want[i]) {
					t.Errorf("message %d: %s, want %s: %v", i, is, want[i], r)
				}
			}
			if got[3]["id"] != got[4]["id"] || got[0]["id"] == got[12]["id"] || got[10]["target"] != nil || got[10]["estimate"] != 1.0 {
				t.Errorf("got %v", got)
			}
			for _, i := range []int{0, 1, 3, 10, 12} {
				n.call(n.key, "GET", "/v1/messages/"+fmt.Sprint(got[i]["id"]), "", 200)
			}
			// The order of the messages is that of the batch.
			if a, b := fmt.Sprint(got[0]["id"]), fmt.Sprint(got[12]["id"]); len(a) > len(b) || a >= b {
				t.Errorf("message %s came before %s", a, b)
			}
		})
	}
}

// TestBatchIsLikeTheSingleCall sends each message alone and in a batch, in both
// forms: the answers are the same but for the ID.
func TestBatchIsLikeTheSingleCall(t *testing.T) {
	n := newNode(t)
	n.call("", "POST", "/v1/devices", `{"app_key":"APP"}`, 201)
	for _, body := range []string{
		oneMessage, `{"audience":{"tags":["x"]},"data":null,"ttl":0}`, `{"audience":{"aliases":["nobody"]},"notification":{"title":"é<&>"}}`,
		`{"audience":"all","data":1,"send_at":"2026-01-01T00:00:00Z"}`, `{"audience":"none","data":1}`, `{"data":1}`, `{"audience":"all","data":1,"data":2}`,
		`{"audience":{},"data":1}`, `{"audience":"all","notification":{"title":""}}`, `{"audience":"all","data":1,"ttl":-1}`, `{"audience":"all","data":"\ud800"}`,
		`[]`, `null`, `{"Audience":"all","data":1}`, `{"audience":"all","data":1,"priority":"urgent"}`, `{"audience":"all","data":1,"collapse_key":""}`,
	} {
		req := httptest.NewRequest("POST", "/v1/messages", strings.NewReader(body))
		req.Header = http.Header{"Authorization": {n.key}}
		alone := httptest.NewRecorder()
		n.mux.ServeHTTP(alone, req)
		var want map[string]any
		must(t, json.Unmarshal(alone.Body.Bytes(), &want))
		for name, media := range bothForms {
			got := results(t, n.post(media, asBatch(media, body)))[0]
			for _, m := range []map[string]any{want, got} {
				delete(m, "id")
				delete(m, "index")
			}
			if a, b := fmt.Sprint(got), fmt.Sprint(want); a != b {
				t.Errorf("%s: %s\nalone: %s\n%s: %s", name, body, b, name, a)
			}
		}
	}
}

// TestBatchRefused sends what is refused as a whole, so that nothing is done.
func TestBatchRefused(t *testing.T) {
	n := newNode(t)
	good := func(k int) []string { return strings.Split(strings.Repeat(oneMessage+"|", k), "|")[:k] }
	for name, c := range map[string]struct {
		media, body string
		status      int
		want        string
		headers     []string
	}{
		"no messages":            {jsonMedia, `[]`, 422, "no message", nil},
		"no lines":               {linesMedia, " \n\n", 422, "no message", nil},
		"nothing":                {jsonMedia, ``, 400, "empty", nil},
		"an object":              {jsonMedia, oneMessage, 422, "a list is expected", nil},
		"a cut array":            {jsonMedia, `[` + oneMessage + `,`, 400, "not JSON at byte", nil},
		"a bad element":          {jsonMedia, `[` + oneMessage + `,{"audience":tru}]`, 400, "not JSON at byte", nil},
		"not UTF-8":              {jsonMedia, `[` + oneMessage + ",\"\xff\"]", 400, "not UTF-8", nil},
		"lines as an array":      {jsonMedia, asBatch(linesMedia, good(2)...), 400, "not JSON", nil},
		"too many":               {jsonMedia, asBatch(jsonMedia, good(1001)...), 413, "more than 1000", nil},
		"too many lines":         {linesMedia, asBatch(linesMedia, good(1001)...), 413, "more than 1000", nil},
		"too long":               {jsonMedia, `["` + strings.Repeat("x", api.MaxBatchBytes) + `"]`, 413, "larger than 8388608", nil},
		"an idempotency key":     {jsonMedia, `[` + oneMessage + `]`, 400, "idempotency_key of its own", []string{"Idempotency-Key: k"}},
		"another type":           {"text/csv", `a`, 415, "application/x-ndjson", nil},
		"compressed":             {jsonMedia, `a`, 415, "compression", []string{"Content-Encoding: gzip"}},
		"lines are not accepted": {linesMedia, oneMessage, 406, "application/x-ndjson", []string{"Accept: application/json"}},
		"JSON is not accepted":   {jsonMedia, `[` + oneMessage + `]`, 406, "application/json", []string{"Accept: application/x-ndjson"}},
	} {
		t.Run(name, func(t *testing.T) {
			rec := n.post(c.media, c.body, c.headers...)
			problemOf(t, rec)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.want) {
				t.Errorf("got %d %s", rec.Code, rec.Body)
			}
		})
	}
	n.call(n.key, "POST", "/v1/messages:batch?a=1", `[`+oneMessage+`]`, 422)
	n.call("", "POST", "/v1/messages:batch", `[`+oneMessage+`]`, 401)
	n.call(n.key, "GET", "/v1/messages:batch", "", 405)
	if l := n.call(n.key, "GET", "/v1/messages", "", 200); len(asList(l["messages"])) != 0 {
		t.Errorf("what was refused was sent: %v", l)
	}
}

// TestBatchAtTheLimits takes as many messages as there may be, more bytes than a usual request, and who
// may send only to itself.
func TestBatchAtTheLimits(t *testing.T) {
	n := newNode(t)
	for name, media := range bothForms {
		one := `{"audience":{"tags":["x"]},"data":"` + strings.Repeat("x", 2000) + `"}`
		got := results(t, n.post(media, asBatch(media, strings.Split(strings.Repeat(one+"|", 1000), "|")[:1000]...)))
		if len(got) != 1000 {
			t.Fatalf("%s: %d results", name, len(got))
		}
		for i, r := range got {
			if r["stored"] != true {
				t.Fatalf("%s: message %d: %v", name, i, r)
			}
		}
	}
	large := results(t, n.post(linesMedia, oneMessage+"\n"+`{"audience":"all","data":"`+strings.Repeat("x", herald.MaxRequestBytes)+`"}`))
	if large[0]["stored"] != true || large[1]["code"] != string(herald.CodeTooLarge) {
		t.Errorf("got %v", large)
	}
	dev := n.call("", "POST", "/v1/devices", `{"app_key":"APP"}`, 201)
	rec := n.post(linesMedia, oneMessage+"\nnot JSON\n", "Authorization: Bearer "+fmt.Sprint(dev["token"]))
	if got := results(t, rec); got[0]["status"] != 403.0 || got[1]["status"] != 400.0 {
		t.Errorf("a device sends: %v", got)
	}
}

// TestBatchCountsItsMessages holds the limit against batches and single calls.
func TestBatchCountsItsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Limits: Limits{KeyRate: 4}})
		r.direct["/v1/messages:batch"].direct = func(x *exchange) error { // without a service
			items, err := r.readBatch(x)
			if err == nil {
				x.w.WriteHeader(len(items) + 200)
			}
			return err
		}
		batch := func(n int) *httptest.ResponseRecorder {
			return r.do("POST", "/v1/messages:batch", asBatch(jsonMedia, strings.Split(strings.Repeat(oneMessage+"|", n), "|")[:n]...), master)
		}
		for _, c := range []struct {
			n, status        int
			remaining, retry string
		}{
			{5, 205, "3", ""}, {4, 429, "2", "1"}, {2, 202, "0", ""}, {1, 429, "0", "1"}, {9, 429, "0", "1"},
		} {
			rec := batch(c.n)
			if h := rec.Header(); rec.Code != c.status || h.Get("RateLimit-Remaining") != c.remaining || h.Get("Retry-After") != c.retry || h.Get("RateLimit-Limit") != "8" {
				t.Errorf("a batch of %d: %d %v", c.n, rec.Code, h)
			}
		}
		<-time.NewTimer(2 * time.Second).C // in the bubble
		if rec := batch(9); rec.Code != 413 || !strings.Contains(rec.Body.String(), "at most 8 messages") {
			t.Errorf("a batch that never passes: %d %s", rec.Code, rec.Body)
		}
		if rec := batch(7); rec.Code != 207 {
			t.Errorf("a batch that passes: %d %s", rec.Code, rec.Body)
		}
	})
}

// TestLargeBatchesAreFew fills the places of large batches.
func TestLargeBatchesAreFew(t *testing.T) {
	r := newRig(t, Config{})
	for range maxLarge {
		r.large <- struct{}{}
	}
	large := `["` + strings.Repeat("x", herald.MaxRequestBytes) + `"]`
	rec := r.do("POST", "/v1/messages:batch", large, master)
	if p := problemOf(t, rec); p.Code != herald.CodeRateLimited || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("got %s", rec.Body)
	}
	if rec := r.do("POST", "/v1/messages:batch", "{}", master); rec.Code != 422 {
		t.Errorf("a small one is refused: %d %s", rec.Code, rec.Body)
	}
	<-r.large
	if rec := r.do("POST", "/v1/messages:batch", large[1:len(large)-1], master); rec.Code != 422 || len(r.large) != maxLarge-1 {
		t.Errorf("got %d, and %d places are taken", rec.Code, len(r.large))
	}
}

// TestBatchThatIsCut sends less than was announced, and a body that fails.
func TestBatchThatIsCut(t *testing.T) {
	n := newNode(t)
	srv := httptest.NewServer(n.mux)
	defer srv.Close()
	for name, head := range map[string]string{
		"length": "Content-Length: 500\r\n\r\n" + oneMessage + "\n", "chunks": "Transfer-Encoding: chunked\r\n\r\n1c\r\n" + oneMessage + "\n\r\n",
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		must(t, err)
		_, err = io.WriteString(conn, "POST /v1/messages:batch HTTP/1.1\r\nHost: x\r\nAuthorization: "+n.key+"\r\nContent-Type: application/x-ndjson\r\n"+head)
		must(t, err)
		must(t, conn.(*net.TCPConn).CloseWrite())
		got, _ := io.ReadAll(conn)
		conn.Close()
		if !strings.HasPrefix(string(got), "HTTP/1.1 400") || !strings.Contains(string(got), "whole and in time") {
			t.Errorf("%s: %s", name, got)
		}
	}
	req := httptest.NewRequest("POST", "/v1/messages:batch", io.MultiReader(strings.NewReader("["), iotest.ErrReader(io.ErrUnexpectedEOF)))
	req.Header = http.Header{"Authorization": {n.key}}
	rec := httptest.NewRecorder()
	n.mux.ServeHTTP(rec, req)
	if rec.Code != 400 || rec.Header().Get("Connection") != "close" {
		t.Errorf("got %d %v", rec.Code, rec.Header())
	}
	if l := n.call(n.key, "GET", "/v1/messages", "", 200); len(asList(l["messages"])) != 0 {
		t.Errorf("a batch that was cut was sent: %v", l)
	}
}

// TestBatchProblems writes the failures of a server beside answers.
func TestBatchProblems(t *testing.T) {
	for name, media := range bothForms {
		r := newRig(t, Config{})
		down := &herald.Error{Code: herald.CodeStorageUnavailable, Message: "no writes now", Remedy: "Later.", RetryAfter: 1500 * time.Millisecond, Err: io.ErrShortWrite}
		r.direct["/v1/messages:batch"].direct = func(x *exchange) error {
			target := int64(3)
			r.answerBatch(x, media == linesMedia, []api.BatchOutcome{
				{Err: down}, {Answer: api.SendAnswer{ID: 7, Target: &target, Stored: true}}, {Err: down}, {Err: fmt.Errorf("a secret")},
			})
			return nil
		}
		rec := r.do("POST", "/v1/messages:batch", `[]`, master)
		got := results(t, rec)
		if got[0]["code"] != "storage_unavailable" || got[1]["id"] != "7" || got[2]["index"] != 2.0 || got[3]["code"] != "internal" || strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("%s: %s", name, rec.Body)
		}
		if rec.Header().Get("Retry-After") != "2" {
			t.Errorf("%s: %v", name, rec.Header())
		}
		if log := r.log.String(); strings.Count(log, "request failed") != 2 || !strings.Contains(log, "a secret") {
			t.Errorf("%s: the log says %s", name, log)
		}
	}
}

// FuzzAnswer holds what is written for an answer against encoding/json.
func FuzzAnswer(f *testing.F) {
	f.Add(int64(7), int64(1), int64(2), int64(3), true, false, true)
	f.Add(int64(-1), int64(0), int64(-2), int64(1)<<62, false, true, false)
	f.Fuzz(func(t *testing.T, id, target, estimate, unknown int64, hasTarget, hasEstimate, stored bool) {
		a := api.SendAnswer{ID: herald.MessageID(id), Unknown: unknown, Stored: stored}
		if hasTarget {
			a.Target = &target
		}
		if hasEstimate {
			a.Estimate = &estimate
		}
		want, err := json.Marshal(a)
		must(t, err)
		if got := appendAnswer(nil, &a); !bytes.Equal(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
