package fcm_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/fcm"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/sim"
	simfcm "github.com/herald-push/herald/internal/sim/fcm"
)

const (
	project = "herald-test"
	email   = "push@herald-test.iam.gserviceaccount.com"
	here    = "dEvIcE-tOkEn:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJ"
	gone    = "gOnE-tOkEn:APA91bHPRgkF3JUikC4ENAHEeMrd41Zxv3hVZjC9KtT8OvPVGJQ"
)

// keys are slow to make.
var keys = sync.OnceValue(func() (out [2]*rsa.PrivateKey) {
	for i := range out {
		out[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return out
})

func text(t *testing.T, k *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// world is Google with one project.
type world struct {
	google *simfcm.Service
	providertest.Server
	now func() time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.google = simfcm.New(simfcm.Config{Project: project, Email: email, KeyID: "kid1", Key: &keys()[0].PublicKey, Now: func() time.Time {
		if w.now != nil {
			return w.now()
		}
		return time.Now()
	}})
	w.google.Remove(gone, "UNREGISTERED")
	w.Server = providertest.Serve(t, w.google)
	w.google.SetTokenURL(w.URL + "/token")
	return w
}

func (w *world) values(t *testing.T, change func(map[string]string)) map[string]string {
	t.Helper()
	account := map[string]string{"type": "service_account", "project_id": project, "private_key_id": "kid1", "private_key": text(t, keys()[0]),
		"client_email": email, "token_uri": w.URL + "/token"}
	if change != nil {
		change(account)
	}
	b, err := json.Marshal(account)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"service_account": string(b), "url": w.URL}
}

func (w *world) provider(t *testing.T, values map[string]string, now func() time.Time) provider.Provider {
	t.Helper()
	return w.Open(t, fcm.New, values, now)
}

func TestProvider(t *testing.T) {
	providertest.Run(t, func(t *testing.T) *providertest.Vendor {
		w := newWorld(t)
		return &providertest.Vendor{
			Driver: fcm.Driver(), Good: w.values(t, nil), Wrong: w.values(t, func(a map[string]string) { a["private_key"] = text(t, keys()[1]) }),
			Egress: w.Egress(), Desk: w.Desk, Here: provider.Address{Token: here}, Gone: provider.Address{Token: gone}, Limit: 4096,
			Secrets: []string{text(t, keys()[0])[40:80], "ya29."},
			Shown: func() (out []providertest.Shown) {
				for _, p := range w.google.Taken() {
					var said struct {
						Notification struct{ Title, Body string }
						Data         map[string]string
					}
					if err := json.Unmarshal(p.Message, &said); err != nil {
						t.Error(err)
					}
					out = append(out, providertest.Shown{Title: said.Notification.Title, Body: said.Notification.Body, ID: said.Data["herald_id"]})
				}
				return out
			},
		}
	})
}

func TestMessage(t *testing.T) {
	badge := 2
	full := herald.Notification{Title: "t", Body: "b", Image: "https://example.com/a.png", Click: "app://x", Badge: &badge, Sound: "ping"}
	for name, tt := range map[string]struct {
		m             provider.Message
		options, want string
	}{
		"notification": {provider.Message{Content: herald.Content{Notification: &full, Data: json.RawMessage(`{"a":1}`)}, CollapseKey: "news"}, "",
			`{"android":{"collapse_key":"news","notification":{"notification_count":2,"sound":"ping","tag":"news"},"priority":"high","ttl":"3600s"},"data":{"herald_click":"app://x","herald_data":"{\"a\":1}","herald_id":"7"},"notification":{"body":"b","image":"https://example.com/a.png","title":"t"},"token":"` + here + `"}`},
		"data": {provider.Message{Content: herald.Content{Data: json.RawMessage(`1`)}}, "",
			`{"android":{"priority":"normal","ttl":"3600s"},"data":{"herald_data":"1","herald_id":"7"},"token":"` + here + `"}`},
		"options": {provider.Message{Content: herald.Content{Notification: &herald.Notification{Title: "t", Body: "b"}}, Priority: herald.PriorityLow},
			`{"android":{"direct_boot_ok":true},"notification":{"channel_id":"c"},"fcm_options":{"analytics_label":"l"},"webpush":{"headers":{"Urgency":"low"}}}`,
			`{"android":{"direct_boot_ok":true,"notification":{"channel_id":"c","tag":"7"},"priority":"normal","ttl":"3600s"},"data":{"herald_id":"7"},"fcm_options":{"analytics_label":"l"},"notification":{"body":"b","title":"t"},"token":"` + here + `","webpush":{"headers":{"Urgency":"low"}}}`},
		"data only": {provider.Message{Content: herald.Content{Notification: &herald.Notification{Title: "t", Body: "b"}}}, `{"data_only":true,"priority":"high"}`,
			`{"android":{"priority":"high","ttl":"3600s"},"data":{"herald_body":"b","herald_id":"7","herald_title":"t"},"token":"` + here + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			now := time.Now()
			m := tt.m
			m.ID, m.Expires, m.Options = 7, now.Add(time.Hour), json.RawMessage(tt.options)
			r, err := w.provider(t, w.values(t, nil), func() time.Time { return now }).Send(t.Context(), provider.Address{Token: here}, &m)
			if err != nil || !strings.HasPrefix(r.Reference, "0:") {
				t.Fatalf("%+v, %v", r, err)
			}
			if got := string(w.google.Taken()[0].Message); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestCodes: each documented error is one of the six kinds.
func TestCodes(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, w.values(t, nil), nil)
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, m); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		status     int
		name, code string
		want       provider.Kind
	}{
		{400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", provider.Rejected}, {404, "NOT_FOUND", "UNREGISTERED", provider.Unregistered},
		{403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", provider.Rejected}, {429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", provider.Throttled},
		{503, "UNAVAILABLE", "UNAVAILABLE", provider.Unavailable}, {500, "INTERNAL", "INTERNAL", provider.Unavailable},
		{401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", provider.Unauthorized}, {403, "PERMISSION_DENIED", "", provider.Unauthorized},
		{429, "RESOURCE_EXHAUSTED", "", provider.Throttled}, {404, "NOT_FOUND", "", provider.Unregistered}, {503, "NEW", "NEW", provider.Unavailable},
	} {
		details := ""
		if tt.code != "" {
			details = `{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"` + tt.code + `"}`
		}
		w.Desk.Fail(sim.Fault{Status: tt.status, Body: `{"error":{"status":"` + tt.name + `","message":"m","details":[` + details + `]}}`})
		_, err := p.Send(t.Context(), provider.Address{Token: here}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Text == "" || tt.code != "" && e.Code != tt.code {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	if _, err := p.Send(t.Context(), provider.Address{Token: "short"}, m); provider.KindOf(err) != provider.Unregistered {
		t.Errorf("a damaged token: %v", err)
	}
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, &provider.Message{ID: 1, Options: json.RawMessage(`{"priority":"urgent"}`)}); provider.KindOf(err) != provider.Rejected {
		t.Error(err)
	}
}

// TestAccessToken: one serves for its time and for all calls, and one that was
// revoked is replaced once.
func TestAccessToken(t *testing.T) {
	w := newWorld(t)
	ours := time.Now()
	w.now = func() time.Time { return ours }
	p := w.provider(t, w.values(t, nil), func() time.Time { return ours })
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	send := func(want int) {
		t.Helper()
		if _, err := p.Send(t.Context(), provider.Address{Token: here}, m); err != nil || w.google.Granted() != want {
			t.Errorf("%d tokens, want %d, %v", w.google.Granted(), want, err)
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = p.Send(t.Context(), provider.Address{Token: here}, m) })
	}
	wg.Wait()
	send(1)
	ours = ours.Add(54 * time.Minute)
	send(1)
	ours = ours.Add(2 * time.Minute)
	send(2)
	w.google.Revoke()
	send(3)
	w.Desk.Fail(sim.Fault{Status: 401, Body: `{"error":{"status":"UNAUTHENTICATED"}}`}, sim.Fault{}, sim.Fault{Status: 401, Body: `{"error":{"status":"UNAUTHENTICATED"}}`})
	if _, err := p.Send(t.Context(), provider.Address{Token: here}, m); provider.KindOf(err) != provider.Unauthorized || w.google.Granted() != 4 {
		t.Errorf("%d tokens, %v", w.google.Granted(), err)
	}
}

func TestTokenEndpointFails(t *testing.T) {
	w := newWorld(t)
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	for name, tt := range map[string]struct {
		f    sim.Fault
		want provider.Kind
	}{
		"down": {sim.Fault{Status: 503}, provider.Unavailable}, "slow down": {sim.Fault{Status: 429}, provider.Unavailable}, "reset": {sim.Fault{Reset: true}, provider.Unavailable},
		"garbage": {sim.Fault{Status: 200, Body: "{"}, provider.Unavailable}, "no token": {sim.Fault{Status: 200, Body: "{}"}, provider.Unavailable},
		"refused": {sim.Fault{Status: 400, Body: `{"error":"invalid_grant","error_description":"gone"}`}, provider.Unauthorized},
	} {
		w.Desk.Fail(tt.f)
		_, err := w.provider(t, w.values(t, nil), nil).Send(t.Context(), provider.Address{Token: here}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Unknown {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.google.Taken(); len(got) != 0 {
		t.Errorf("taken %v", got)
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(map[string]string){
		"type":    func(a map[string]string) { a["type"] = "authorized_user" },
		"project": func(a map[string]string) { a["project_id"] = "../x" },
		"email":   func(a map[string]string) { a["client_email"] = "" },
		"no PEM":  func(a map[string]string) { a["private_key"] = "x" },
		"no key": func(a map[string]string) {
			a["private_key"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		},
		"a local URI": func(a map[string]string) { a["token_uri"] = "https://10.0.0.1/token" },
		"not https":   func(a map[string]string) { a["token_uri"] = "ftp://example.com/token" },
	} {
		_, err := fcm.New(provider.Config{Values: w.values(t, change), Egress: w.Egress()})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != "service_account" || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fcm.New(provider.Config{Values: map[string]string{"service_account": "{"}}); err == nil {
		t.Error("half an object is accepted")
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		change func(map[string]string)
		now    func() time.Time
		says   string
	}{
		"another project": {func(a map[string]string) { a["project_id"] = "other-project" }, nil, "may not send"},
		"a deleted key":   {func(a map[string]string) { a["private_key_id"] = "kid2" }, nil, "service account"},
		"a wrong clock":   {nil, func() time.Time { return time.Now().Add(-5 * time.Hour) }, "behind"},
	} {
		err := w.provider(t, w.values(t, tt.change), tt.now).(provider.Checker).Check(t.Context())
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != provider.Unauthorized || !strings.Contains(e.Text, tt.says) || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
