package webhook_test

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/provider/webhook"
	"github.com/herald-push/herald/internal/sim"
	simwebhook "github.com/herald-push/herald/internal/sim/webhook"
	"github.com/herald-push/herald/internal/wire/signed"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// world is an app server that gets messages.
type world struct {
	receiver *simwebhook.Receiver
	providertest.Server
	header http.Header // that its answers bear
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{header: http.Header{}}
	w.receiver = simwebhook.New(simwebhook.Config{Secret: secret, Header: http.Header{"Authorization": {"Bearer own-word"}, "X-Tenant": {"tenant-seven"}}})
	w.receiver.Remove("gone")
	w.Server = providertest.ServeBearing(t, w.header, w.receiver)
	return w
}

func (w *world) values(secret string) map[string]string {
	return map[string]string{"url": w.URL, "secret": secret, "headers": "Authorization: Bearer own-word\n\n x-tenant:tenant-seven \r\n"}
}

func (w *world) provider(t *testing.T, now func() time.Time) provider.Provider {
	t.Helper()
	return w.Open(t, webhook.New, w.values(secret), now)
}

func TestProvider(t *testing.T) {
	providertest.Run(t, func(t *testing.T) *providertest.Vendor {
		w := newWorld(t)
		return &providertest.Vendor{
			Driver: webhook.Driver(), Good: w.values(secret), Wrong: w.values(signed.NewSecret()), Egress: w.Egress(), Desk: w.Desk,
			Here: provider.Address{Token: "room-1"}, Gone: provider.Address{Token: "gone"}, BadOptions: `[1]`,
			Secrets: []string{secret[6:], "own-word", "tenant-seven"},
			Shown: func() (out []providertest.Shown) {
				for _, d := range w.receiver.Taken() {
					var said struct {
						ID           string
						Notification struct{ Title, Body string }
					}
					if err := json.Unmarshal(d.Body, &said); err != nil {
						t.Error(err)
					}
					out = append(out, providertest.Shown{Title: said.Notification.Title, Body: said.Notification.Body, ID: said.ID})
				}
				return out
			},
		}
	})
}

func TestMessage(t *testing.T) {
	badge := 2
	full := herald.Notification{Title: "t", Body: "b", Click: "app://x", Badge: &badge}
	id := herald.MessageID(200_000_000_000_000_000)
	for name, tt := range map[string]struct {
		m    provider.Message
		to   string
		want string
	}{
		"all": {provider.Message{Content: herald.Content{Notification: &full, Data: json.RawMessage(`{"a":1}`)}, Options: json.RawMessage(`{"colour":"red"}`)}, "room-1",
			`{"type":"message","id":"200000000000000000","app":"shop","notification":{"title":"t","body":"b","click":"app://x","badge":2},"data":{"a":1},"options":{"colour":"red"},"to":"room-1","timestamp":"2026-07-06T21:28:35.82Z"}`},
		"data": {provider.Message{Content: herald.Content{Data: json.RawMessage(`[1]`)}}, "",
			`{"type":"message","id":"200000000000000000","app":"shop","data":[1],"timestamp":"2026-07-06T21:28:35.82Z"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m := tt.m
			m.ID, m.App = id, "shop"
			p := w.provider(t, nil)
			for range 2 {
				if _, err := p.Send(t.Context(), provider.Address{Token: tt.to}, &m); err != nil {
					t.Fatal(err)
				}
			}
			got := w.receiver.Taken()
			if len(got) != 1 || w.receiver.Copies() != 1 {
				t.Fatalf("%d came, and %d copies", len(got), w.receiver.Copies())
			}
			if string(got[0].Body) != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got[0].Body, tt.want)
			}
			if calls := w.Desk.Calls(); string(calls[0].Body) != string(calls[1].Body) {
				t.Error("the copy is another")
			}
		})
	}
}

// TestID: messages and addresses have IDs of their own.
func TestID(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil)
	content := herald.Content{Data: json.RawMessage(`1`)}
	for _, id := range []herald.MessageID{1, 2} {
		for _, to := range []string{"", "a", "b"} {
			if _, err := p.Send(t.Context(), provider.Address{Token: to}, &provider.Message{ID: id, Content: content}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := w.receiver.Taken(); len(got) != 6 || got[0].ID != "msg_1" || !strings.HasPrefix(got[1].ID, "msg_1_") {
		t.Errorf("came %+v", got)
	}
}

func TestAnswers(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil)
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage(`1`)}}
	skewed := http.Header{"Date": {time.Now().Add(-5 * time.Hour).UTC().Format(http.TimeFormat)}}
	for _, tt := range []struct {
		status int
		to     string
		want   provider.Kind
		says   string
		after  time.Duration
	}{
		{status: 410, to: "x", want: provider.Unregistered, says: "knows this address no more"}, {status: 410, want: provider.Rejected, says: "Gone"},
		{status: 401, want: provider.Unauthorized, says: "Compare secret and headers"}, {status: 403, want: provider.Unauthorized, says: "403"},
		{status: 400, want: provider.Rejected, says: "Bad Request"},
		{status: 404, to: "x", want: provider.Rejected, says: "url of the credential"}, {status: 308, want: provider.Rejected, says: "redirects are not followed"},
		{status: 413, want: provider.TooLarge, says: "413"}, {status: 429, want: provider.Throttled, after: 3 * time.Second, says: "Too Many"},
		{status: 503, want: provider.Unavailable, after: 5 * time.Second, says: "503"}, {status: 408, want: provider.Unavailable, says: "408"},
	} {
		w.Desk.Fail(sim.Fault{Status: tt.status, RetryAfter: tt.after})
		_, err := p.Send(t.Context(), provider.Address{Token: tt.to}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Code != strconv.Itoa(tt.status) || e.RetryAfter != tt.after || !strings.Contains(e.Text+e.Remedy, tt.says) {
			t.Errorf("%+v: %+v", tt, err)
		}
	}
	w.Desk.Fail(sim.Fault{Status: 202})
	if _, err := p.Send(t.Context(), provider.Address{}, m); err != nil {
		t.Errorf("202: %v", err)
	}
	// A wrong clock is blamed where the signature is.
	maps.Copy(w.header, skewed)
	late := w.provider(t, func() time.Time { return time.Now().Add(time.Hour) })
	err := late.(provider.Checker).Check(t.Context())
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.Unauthorized || !strings.Contains(e.Text, "ahead of") {
		t.Errorf("with a wrong clock: %+v", err)
	}
	w.Desk.Fail(sim.Fault{Status: 404})
	if err := p.(provider.Checker).Check(t.Context()); provider.KindOf(err) != provider.Rejected {
		t.Errorf("where nobody receives: %v", err)
	}
}

func TestRefusedHere(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil)
	for name, tt := range map[string]struct {
		to string
		m  provider.Message
	}{
		"a path": {"../x", provider.Message{}}, "long": {strings.Repeat("x", 256), provider.Message{}}, "blank": {"a b", provider.Message{}},
		"options": {"", provider.Message{Options: json.RawMessage(`{"a":1,"a":2}`)}}, "data": {"", provider.Message{Content: herald.Content{Data: json.RawMessage(`{`)}}},
	} {
		_, err := p.Send(t.Context(), provider.Address{Token: tt.to}, &tt.m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != provider.Rejected || e.Remedy == "" || e.Text == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.Desk.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestCredentials(t *testing.T) {
	for name, tt := range map[string]struct{ field, value string }{
		"url": {"url", "https://10.0.0.1"}, "http": {"url", "http://example.com"}, "secret": {"secret", "whsec_short-secret"},
		"no header": {"headers", "hidden-word"}, "empty": {"headers", "X-A:"}, "bad name": {"headers", "X A: hidden-word"}, "control": {"headers", "X-A: hidden-word\x01"},
		"ours": {"headers", "webhook-id: hidden-word"}, "host": {"headers", "Host: hidden-word"}, "twice": {"headers", "x-a: hidden-word\nX-A: 2"},
		"long": {"headers", "X-A: " + strings.Repeat("hidden-word", 1000)}, "many": {"headers", manyHeaders()},
	} {
		v := map[string]string{"url": "https://example.com/hook", "secret": secret}
		v[tt.field] = tt.value
		_, err := webhook.New(provider.Config{Values: v})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != tt.field || e.Remedy == "" || strings.Contains(err.Error()+e.Remedy, "hidden-word") || strings.Contains(err.Error(), "short-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func manyHeaders() string {
	s := ""
	for i := range 21 {
		s += "X-" + strings.Repeat("a", i+1) + ": 1\n"
	}
	return s
}

// FuzzHeaders: what is taken of a credential's headers can be sent, and leaves
// the signature alone.
func FuzzHeaders(f *testing.F) {
	f.Add("Authorization: Bearer x\nX-B: 1")
	f.Add("a:b:c\r\n\r\nd: \xff")
	f.Add("webhook-signature: x")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := webhook.ReadHeaders(text)
		if err != nil {
			if herald.CodeOf(err) != herald.CodeInvalidRequest {
				t.Fatal(err)
			}
			return
		}
		for name, v := range h {
			if len(v) != 1 || strings.ContainsAny(name+v[0], "\r\n\x00") || strings.HasPrefix(strings.ToLower(name), "webhook-") || http.CanonicalHeaderKey(name) != name {
				t.Fatalf("%q: %q", name, v)
			}
		}
	})
}
