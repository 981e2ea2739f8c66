package cli

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	hookView   = `"id":"wh_1","url":"https://x/hook","events":["receipt.*"],"secrets":1,"waiting":3,"created_at":"2026-11-21T09:30:00Z","updated_at":"2026-11-21T09:30:00Z"`
	hookTaken  = `{"id":"evt_1","state":"delivered","events":7,"replay":false,"created_at":"2026-11-21T09:29:00Z","attempts":1,"status":204,"duration_ms":12}`
	hookFailed = `{"id":"evt_2","state":"waiting","events":100,"replay":false,"created_at":"2026-11-21T09:29:30Z","attempts":2,"duration_ms":15000,"error":"no answer in time"}`
)

func TestWebhookCommands(t *testing.T) {
	w := newWorld(t)
	var asked []string
	test, list := hookTaken, `{"webhooks":[]}`
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = append(asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		answers := map[string]string{
			"POST /v1/webhooks":                 `{` + hookView + `,"state":"good","dropped":0,"secret":"` + hookSecret + `"}`,
			"GET /v1/webhooks":                  list,
			"PATCH /v1/webhooks/wh_1":           `{` + hookView + `,"state":"good","dropped":0}`,
			"POST /v1/webhooks/wh_1/rotate":     `{` + hookView + `,"state":"good","dropped":0,"secret":"` + hookSecret + `"}`,
			"POST /v1/webhooks/wh_1/replay":     `{` + hookView + `,"state":"good","dropped":0}`,
			"POST /v1/webhooks/wh_1/test":       test,
			"GET /v1/webhooks/wh_1/deliveries":  `{"deliveries":[` + hookFailed + `,` + hookTaken + `]}`,
			"GET /v1/webhooks/empty/deliveries": `{"deliveries":[]}`,
			"DELETE /v1/webhooks/wh_1":          "",
		}
		answer, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			t.Errorf("asked %s", asked[len(asked)-1])
		}
		if answer == "" {
			rw.WriteHeader(http.StatusNoContent)
		}
		fmt.Fprint(rw, answer)
	})
	got := transcript(t, w,
		[]string{"webhook", "list"},
		[]string{"webhook", "create", "https://x/hook", "--event", "receipt.*", "--description", "d"}, []string{"webhook", "update", "wh_1", "--enable", "--to", "https://y/"},
		[]string{"webhook", "rotate", "wh_1", "--overlap", "1h"}, []string{"webhook", "test", "wh_1"}, []string{"webhook", "test", "wh_1", "--json"},
		[]string{"webhook", "deliveries", "wh_1"}, []string{"webhook", "deliveries", "empty", "--limit", "5"},
		[]string{"webhook", "replay", "wh_1", "evt_1"}, []string{"webhook", "replay", "wh_1", "--since", "2h"}, []string{"webhook", "replay", "wh_1", "--since", "2026-11-21T08:00:00Z"},
		[]string{"webhook", "delete", "wh_1"})
	list = `{"webhooks":[{` + hookView + `,"state":"good","dropped":0},{` + strings.ReplaceAll(hookView, "wh_1", "wh_2") + `,"state":"failing","dropped":5,"failures":4,"failing_since":"2026-11-21T09:00:00Z"},
		{` + strings.ReplaceAll(hookView, "wh_1", "wh_3") + `,"state":"disabled","reason":"the endpoint answered 410 Gone","dropped":0}]}`
	got += transcript(t, w, []string{"webhook", "list"})
	golden(t, "webhook", got)
	want := []string{
		"GET /v1/webhooks", `POST /v1/webhooks {"url":"https://x/hook","description":"d","events":["receipt.*"]}`, `PATCH /v1/webhooks/wh_1 {"url":"https://y/","disabled":false}`,
		`POST /v1/webhooks/wh_1/rotate {"overlap":3600}`, "POST /v1/webhooks/wh_1/test", "POST /v1/webhooks/wh_1/test",
		"GET /v1/webhooks/wh_1/deliveries?limit=20", "GET /v1/webhooks/empty/deliveries?limit=5",
		`POST /v1/webhooks/wh_1/replay {"delivery":"evt_1"}`, `POST /v1/webhooks/wh_1/replay {"since":"2026-11-21T07:30:00Z"}`, `POST /v1/webhooks/wh_1/replay {"since":"2026-11-21T08:00:00Z"}`,
		"DELETE /v1/webhooks/wh_1", "GET /v1/webhooks",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
	}
	test = hookFailed
	if code := w.run(t, "webhook", "test", "wh_1"); code != ExitRefused || !strings.Contains(w.err.String(), "no answer in time") {
		t.Errorf("a test that fails: exit %d: %s", code, w.err)
	}
}

func TestWebhookUsage(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") })
	for _, args := range [][]string{
		{"webhook"}, {"webhook", "create"}, {"webhook", "update", "x", "--enable", "--disable"}, {"webhook", "replay", "x"}, {"webhook", "replay", "x", "y", "--since", "1h"},
		{"webhook", "replay", "x", "--since", "yesterday"}, {"webhook", "deliveries", "x", "--limit", "0"}, {"webhook", "listen", "--once", "-1"},
		{"webhook", "listen", "--forward", "shop"}, {"webhook", "listen", "--listen", "nowhere"},
	} {
		if code := w.run(t, args...); code != ExitUsage {
			t.Errorf("%q: exit %d: %s", args, code, w.err)
		}
	}
}

// hookPost sends a webhook, signed with a secret, and gives the status.
func hookPost(t *testing.T, address, secret, events string) (int, string) {
	t.Helper()
	body := `{"type":"events","timestamp":"2026-11-21T09:30:00Z","data":{"app_key":"a","webhook_id":"wh_1","events":[` + events + `]}}`
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Error(err)
	}
	stamp := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("evt_1." + stamp + "." + body))
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), "POST", address, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	req.Header.Set("webhook-id", "evt_1")
	req.Header.Set("webhook-timestamp", stamp)
	req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

const (
	hookOne = `{"id":"1.1.1","type":"receipt.received","time":"2026-11-21T09:30:00Z","message_id":"7","registration_id":"06dbnqfs00v8k3m1p2r4","via":"websocket"}`
	hookTwo = `{"id":"1.2.1","type":"device.bound","time":"2026-11-21T09:30:00Z","registration_id":"06dbnqfs00v8k3m1p2r4","alias":"anna\u001b[31m"}`
)

// TestWebhookListen has a server that sends two requests, one of them not by
// itself, as soon as the webhook is made.
func TestWebhookListen(t *testing.T) {
	w := newWorld(t)
	var forwarded string
	shop := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		forwarded = r.Header.Get("webhook-id") + " " + string(body)
		rw.Header().Set("Retry-After", "7")
		rw.WriteHeader(http.StatusTeapot)
		fmt.Fprint(rw, "short and stout")
	}))
	t.Cleanup(shop.Close)
	done, deleted := make(chan struct{}), false
	w.server(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			deleted = true
			rw.WriteHeader(http.StatusNoContent)
			return
		}
		var spec struct {
			URL    string   `json:"url"`
			Events []string `json:"events"`
		}
		if err := json.NewDecoder(r.Body).Decode(&spec); err != nil || !slices.Equal(spec.Events, []string{"*"}) {
			t.Errorf("asked for %+v, %v", spec, err)
		}
		fmt.Fprint(rw, `{`+hookView+`,"state":"good","dropped":0,"secret":"`+hookSecret+`"}`)
		go func() {
			defer close(done)
			if status, _ := hookPost(t, spec.URL, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", hookOne); status != http.StatusUnauthorized {
				t.Errorf("a request of a stranger was answered %d", status)
			}
			if status, text := hookPost(t, spec.URL, hookSecret, hookOne+","+hookTwo); status != http.StatusTeapot || text != "short and stout" {
				t.Errorf("a request was answered %d %q", status, text)
			}
		}()
	})
	if code := w.run(t, "webhook", "listen", "--event", "*", "--once", "2", "--forward", shop.URL); code != 0 {
		t.Fatalf("exit %d: %s", code, w.err)
	}
	<-done
	golden(t, "webhook_listen", w.out.String())
	if !deleted || !strings.HasPrefix(forwarded, "evt_1 {") || !strings.Contains(w.err.String(), "refused") || !strings.Contains(w.err.String(), "418") {
		t.Errorf("deleted %v, forwarded %q, and said\n%s", deleted, forwarded, w.err)
	}
}

func TestWebhookListenRefused(t *testing.T) {
	w := newWorld(t)
	w.server(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/problem+json")
		rw.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(rw, `{"status":422,"code":"invalid_request","detail":"leads to 127.0.0.1, which is loopback","remedy":"R.","field":"url"}`)
	})
	if code := w.run(t, "webhook", "listen"); code != ExitRefused || !strings.Contains(w.err.String(), "egress.allow") {
		t.Errorf("exit %d: %s", code, w.err)
	}
}
