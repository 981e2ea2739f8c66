package server

import (
	"bytes"
	"encoding/base64"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/client"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
)

// receiver is an app server that takes webhooks.
type receiver struct {
	t      *testing.T
	url    string
	secret func() string

	mu     sync.Mutex // guards what follows
	status int
	ids    []string
	events []herald.WebhookEvent
}

func newReceiver(t *testing.T, secret func() string) *receiver {
	t.Helper()
	r := &receiver{t: t, secret: secret, status: http.StatusOK}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.url = s.URL + "/hook"
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the server went away
	}
	hook, err := client.VerifyWebhook(q.Header, body, r.secret())
	if err != nil {
		r.t.Errorf("a request does not verify: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids = append(r.ids, q.Header.Get("webhook-id"))
	if r.status == http.StatusOK {
		r.events = append(r.events, hook.Data.Events...)
	}
	w.WriteHeader(r.status)
}

func (r *receiver) say(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// types are the types of the events that came, in order.
func (r *receiver) types() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		out = append(out, e.Type)
	}
	return out
}

func (r *receiver) event(i int) herald.WebhookEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[i]
}

func (r *receiver) requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ids)
}

// TestWebhooks sends a message through a real server, which tells a real
// receiver on loopback, before and after a restart.
func TestWebhooks(t *testing.T) {
	n := startNode(t, t.TempDir())
	var hook api.WebhookAnswer
	r := newReceiver(t, func() string { return hook.Secret })
	want := func(types ...string) {
		t.Helper()
		n.until("the receiver has everything", func() bool { return slices.Equal(r.types(), types) })
	}
	if status := n.call("POST", "/v1/webhooks", "", api.WebhookRequest{URL: r.url}, nil); status != 422 {
		t.Errorf("a webhook on loopback was answered %d", status)
	}
	u, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	n.end()
	n.cfg.Egress = config.Egress{Allow: []string{"loopback"}, Ports: []string{u.Port()}, HTTP: true}
	n.start()
	if status := n.call("POST", "/v1/webhooks", "", api.WebhookRequest{URL: r.url}, &hook); status != 201 {
		t.Fatalf("making a webhook was answered %d", status)
	}
	d := n.register(api.RegisterRequest{})
	want("device.registered")
	s := n.connect(d.Token, "")
	a := n.send(`{"audience":"all","data":1}`)
	s.expect("message", a.ID.String())
	n.counts(a.ID.String(), `sending 1 {"sent":1}`) // an acknowledgement that is faster leaves that out
	s.say(`{"type":"ack","ids":["%s"]}`, a.ID)
	n.counts(a.ID.String(), `done 1 {"received":1}`)
	want("device.registered", "receipt.sent", "receipt.received", "message.done")
	if e := r.event(2); e.MessageID != a.ID || e.RegistrationID != d.RegistrationID || e.Via == "" {
		t.Errorf("the receipt is %+v", e)
	}

	// What fails is repeated after a restart, with the ID that it had.
	r.say(http.StatusInternalServerError)
	before := len(r.requests())
	second := n.register(api.RegisterRequest{})
	n.until("the receiver refuses", func() bool { return len(r.requests()) > before })
	n.end()
	n.noSecret(hook.Secret)
	r.say(http.StatusOK)
	n.start()
	var off, on api.WebhookView // what is enabled anew is tried at once
	n.call("PATCH", "/v1/webhooks/"+hook.ID, "", `{"disabled":true}`, &off)
	n.call("PATCH", "/v1/webhooks/"+hook.ID, "", `{"disabled":false}`, &on)
	if off.State != "disabled" || on.State != "good" {
		t.Errorf("disabled %+v, enabled %+v", off, on)
	}
	want("device.registered", "receipt.sent", "receipt.received", "message.done", "device.registered")
	ids := r.requests()[before:]
	if e := r.event(4); e.RegistrationID != second.RegistrationID || len(slices.Compact(ids)) != 1 {
		t.Errorf("repeated %+v with the IDs %v", e, ids)
	}
	var page api.WebhookDeliveries
	n.until("the delivery is marked", func() bool {
		page = api.WebhookDeliveries{}
		n.call("GET", "/v1/webhooks/"+hook.ID+"/deliveries?limit=1", "", nil, &page)
		return len(page.Deliveries) == 1 && page.NextCursor != "" && page.Deliveries[0].State == "delivered"
	})
}

// noSecret looks for a secret in every file of the data folder.
func (n *node) noSecret(secret string) {
	n.t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		n.t.Fatalf("the secret is %q", secret)
	}
	files := 0
	if err := filepath.WalkDir(n.cfg.Data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if bytes.Contains(b, key) || bytes.Contains(b, []byte(secret[len("whsec_"):])) {
			n.t.Errorf("%s holds the secret of a webhook", path)
		}
		return err
	}); err != nil || files == 0 {
		n.t.Errorf("%d files, %v", files, err)
	}
}
