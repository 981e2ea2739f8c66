package journey_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/webhook"
)

// hooked is a request that came to an app server.
type hooked struct {
	headers object
	body    string
	answer  chan int // the status to answer with
}

func (h hooked) id() string { return h.headers["webhook-id"].(string) }

func (h hooked) events(t *testing.T) []herald.WebhookEvent {
	t.Helper()
	var b herald.WebhookBody
	if err := json.Unmarshal([]byte(h.body), &b); err != nil {
		t.Fatal(err)
	}
	return b.Data.Events
}

// appServer takes webhooks, and answers each as the test says.
func appServer(t *testing.T) (url string, next func() hooked) {
	t.Helper()
	came := make(chan hooked, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the server was killed
		}
		h := hooked{headers: object{}, body: string(body), answer: make(chan int, 1)}
		for _, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			h.headers[name] = r.Header.Get(name)
		}
		came <- h
		select {
		case status := <-h.answer:
			w.WriteHeader(status)
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s.URL + "/hook", func() hooked {
		t.Helper()
		select {
		case h := <-came:
			return h
		case <-time.After(patience):
			t.Fatal("no webhook came")
			return hooked{}
		}
	}
}

// TestWebhook has the package of another maker verify what comes, and kills the
// server while a request is under way.
func TestWebhook(t *testing.T) {
	s := startServer(t)
	url, next := appServer(t)
	made := expect[struct{ ID, Secret string }](t, s.call(t, "POST", "/v1/webhooks", s.basic(), object{"url": url, "events": []string{"device.*"}}), http.StatusCreated)
	first := s.register(t)
	one := next()
	one.answer <- http.StatusNoContent
	if e := one.events(t); len(e) != 1 || e[0].Type != herald.EventRegistered || string(e[0].RegistrationID) != first.RegistrationID {
		t.Errorf("told %+v", e)
	}
	t.Run("npm-standardwebhooks", func(t *testing.T) {
		judge := useHelper(t, "webhook.mjs")
		for want, body := range map[string]string{`"good"`: one.body, `"WebhookVerificationError"`: one.body + " "} {
			if got := string(judge.ask(t, object{"cmd": "judge", "secret": made.Secret, "headers": one.headers, "body": body})); got != want {
				t.Errorf("it finds %s, want %s", got, want)
			}
		}
	})

	second := s.register(t)
	cut := next()
	s.kill(t)
	s.start(t, s.address(t))
	third := s.register(t)
	again := next()
	if again.id() != cut.id() || again.body != cut.body || len(again.events(t)) != 1 || string(again.events(t)[0].RegistrationID) != second.RegistrationID {
		t.Errorf("after the kill %v %s came, before it %v %s", again.headers, again.body, cut.headers, cut.body)
	}
	again.answer <- http.StatusOK
	last := next()
	last.answer <- http.StatusOK
	if e := last.events(t); len(e) != 1 || string(e[0].RegistrationID) != third.RegistrationID || last.id() == cut.id() {
		t.Errorf("then %+v", e)
	}
}

// TestWebhookChannel has the package verify what the channel of the name posts.
func TestWebhookChannel(t *testing.T) {
	came := make(chan hooked, 1)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h := hooked{headers: object{}, body: string(body)}
		for name := range r.Header {
			h.headers[strings.ToLower(name)] = r.Header.Get(name)
		}
		came <- h
	}))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	secret := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32))
	p, err := webhook.New(provider.Config{
		Values: map[string]string{"url": s.URL + "/hook", "secret": secret},
		Egress: egress.Config{Allow: []string{"loopback"}, Ports: []string{"any"}, Roots: roots},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	content := herald.Content{Notification: &herald.Notification{Title: "你好", Body: "<b>"}, Data: json.RawMessage(`{"a": 1}`)}
	if _, err := p.Send(t.Context(), provider.Address{Token: "room"}, &provider.Message{ID: 7, Content: content}); err != nil {
		t.Fatal(err)
	}
	one := <-came
	judge := useHelper(t, "webhook.mjs")
	for want, body := range map[string]string{`"good"`: one.body, `"WebhookVerificationError"`: one.body + " "} {
		if got := string(judge.ask(t, object{"cmd": "judge", "secret": secret, "headers": one.headers, "body": body})); got != want {
			t.Errorf("it finds %s, want %s", got, want)
		}
	}
}
