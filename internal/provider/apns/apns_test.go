package apns_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/apns"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/sim"
	simapns "github.com/herald-push/herald/internal/sim/apns"
)

const (
	keyID  = "ABC123DEFG"
	teamID = "TEAM000001"
	topic  = "com.example.app"
	here   = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
	gone   = "11fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
)

func newKey(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return k, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// world is Apple with one developer.
type world struct {
	apple *simapns.Service
	providertest.Server
	key string
	now func() time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	k, text := newKey(t)
	w := &world{key: text}
	w.apple = simapns.New(simapns.Config{
		Keys: map[string]*ecdsa.PublicKey{keyID: &k.PublicKey}, TeamID: teamID, Topics: []string{topic}, Certificates: true,
		Now: func() time.Time {
			if w.now != nil {
				return w.now()
			}
			return time.Now()
		},
	})
	w.apple.Remove(gone, time.UnixMilli(1_700_000_000_123))
	w.Server = providertest.Serve(t, w.apple)
	return w
}

func (w *world) values() map[string]string {
	return map[string]string{"topic": topic, "key": w.key, "key_id": keyID, "team_id": teamID, "url": w.URL}
}

func (w *world) provider(t *testing.T, values map[string]string, now func() time.Time) provider.Provider {
	t.Helper()
	return w.Open(t, apns.New, values, now)
}

func TestProvider(t *testing.T) {
	providertest.Run(t, func(t *testing.T) *providertest.Vendor {
		w := newWorld(t)
		_, other := newKey(t)
		wrong := w.values()
		wrong["key"] = other
		return &providertest.Vendor{
			Driver: apns.Driver(), Good: w.values(), Wrong: wrong, Egress: w.Egress(), Desk: w.Desk,
			Here: provider.Address{Token: here}, Gone: provider.Address{Token: gone}, Limit: 4096, Secrets: []string{w.key},
			Shown: func() (out []providertest.Shown) {
				for _, p := range w.apple.Taken() {
					var said struct {
						APS struct {
							Alert struct{ Title, Body string }
						}
						Herald struct{ ID string }
					}
					if err := json.Unmarshal(p.Payload, &said); err != nil {
						t.Error(err)
					}
					out = append(out, providertest.Shown{Title: said.APS.Alert.Title, Body: said.APS.Alert.Body, ID: said.Herald.ID})
				}
				return out
			},
		}
	})
}

func TestPush(t *testing.T) {
	badge := 3
	full := herald.Notification{Title: "t", Body: "b", Badge: &badge, Sound: "ping.caf", Image: "https://example.com/a.png", Click: "app://x"}
	for name, tt := range map[string]struct {
		m       provider.Message
		options string
		want    simapns.Push // what is zero is not looked at
		payload string
	}{
		"alert": {provider.Message{Content: herald.Content{Notification: &full, Data: json.RawMessage(`{"a":1}`)}, CollapseKey: "news"}, "",
			simapns.Push{Type: "alert", Topic: topic, CollapseID: "news", Priority: "10"},
			`{"aps":{"alert":{"body":"b","title":"t"},"badge":3,"mutable-content":1,"sound":"ping.caf"},"data":{"a":1},"herald":{"click":"app://x","id":"7","image":"https://example.com/a.png"}}`},
		"data": {provider.Message{Content: herald.Content{Data: json.RawMessage(`1`)}, Priority: herald.PriorityHigh}, "",
			simapns.Push{Type: "background", Topic: topic, CollapseID: "7", Priority: "5"},
			`{"aps":{"content-available":1},"data":1,"herald":{"id":"7"}}`},
		"voip": {provider.Message{Content: herald.Content{Data: json.RawMessage(`1`)}}, `{"push_type":"voip"}`,
			simapns.Push{Type: "voip", Topic: topic + ".voip", Priority: "10"}, `{"aps":{},"data":1,"herald":{"id":"7"}}`},
		"live activity": {provider.Message{Content: herald.Content{Data: json.RawMessage(`1`)}}, `{"push_type":"liveactivity","aps":{"event":"update","content-state":{"n":1},"timestamp":5}}`,
			simapns.Push{Type: "liveactivity", Topic: topic + ".push-type.liveactivity"},
			`{"aps":{"content-state":{"n":1},"event":"update","timestamp":5},"data":1,"herald":{"id":"7"}}`},
		"options": {provider.Message{Content: herald.Content{Notification: &herald.Notification{Title: "t"}}, Priority: herald.PriorityLow, CollapseKey: strings.Repeat("长", 40)},
			`{"subtitle":"s","thread_id":"th","category":"c","interruption_level":"time-sensitive","relevance_score":0.5,"sound":{"critical":1,"name":"x"},"alert":{"loc-key":"K"},"payload":{"own":true},"content_available":true}`,
			simapns.Push{Type: "alert", Priority: "5", CollapseID: "hashed"},
			`{"aps":{"alert":{"loc-key":"K","subtitle":"s","title":"t"},"category":"c","content-available":1,"interruption-level":"time-sensitive","relevance-score":0.5,"sound":{"critical":1,"name":"x"},"thread-id":"th"},"herald":{"id":"7"},"own":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.provider(t, w.values(), nil)
			m := tt.m
			m.ID, m.Expires, m.Options = 7, time.Now().Add(90*time.Minute), json.RawMessage(tt.options)
			r, err := p.Send(t.Context(), provider.Address{Token: here, Environment: apns.Sandbox}, &m)
			if err != nil {
				t.Fatal(err)
			}
			again, err := p.Send(t.Context(), provider.Address{Token: here}, &m)
			if err != nil || again.Reference == r.Reference || len(r.Reference) != 36 {
				t.Errorf("two pushes are %q and %q, %v", r.Reference, again.Reference, err)
			}
			got := w.apple.Taken()[0]
			if got.Type != tt.want.Type || tt.want.Topic != "" && got.Topic != tt.want.Topic || tt.want.Priority != "" && got.Priority != tt.want.Priority ||
				string(got.Payload) != tt.payload || got.Expiration.Sub(m.Expires).Abs() > 2*time.Second {
				t.Errorf("got %+v\n%s\nwant\n%s", got, got.Payload, tt.payload)
			}
			switch {
			case tt.want.CollapseID == "hashed":
				if len(got.CollapseID) != 43 {
					t.Errorf("collapse ID %q", got.CollapseID)
				}
			case tt.want.CollapseID != "" && got.CollapseID != tt.want.CollapseID:
				t.Errorf("collapse ID %q", got.CollapseID)
			}
		})
	}
}

// TestReasons: each of Apple's reasons is one of the six kinds, whatever the
// status.
func TestReasons(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, w.values(), nil)
	m := &provider.Message{ID: 1, Content: herald.Content{Notification: &herald.Notification{Title: "t"}}}
	for _, tt := range []struct {
		status int
		reason string
		want   provider.Kind
	}{
		{400, "BadCollapseId", provider.Rejected}, {400, "BadDeviceToken", provider.Unregistered}, {400, "BadExpirationDate", provider.Rejected},
		{400, "BadMessageId", provider.Rejected}, {400, "BadPriority", provider.Rejected}, {400, "BadTopic", provider.Rejected},
		{400, "DeviceTokenNotForTopic", provider.Rejected}, {400, "DuplicateHeaders", provider.Rejected}, {400, "IdleTimeout", provider.Unavailable},
		{400, "InvalidPushType", provider.Rejected}, {400, "MissingDeviceToken", provider.Unregistered}, {400, "MissingTopic", provider.Unauthorized},
		{400, "PayloadEmpty", provider.Rejected}, {400, "TopicDisallowed", provider.Unauthorized}, {403, "BadCertificate", provider.Unauthorized},
		{403, "BadCertificateEnvironment", provider.Unauthorized}, {403, "Forbidden", provider.Unauthorized}, {403, "InvalidProviderToken", provider.Unauthorized},
		{403, "MissingProviderToken", provider.Unauthorized}, {403, "UnrelatedKeyIdInToken", provider.Unauthorized}, {403, "BadEnvironmentKeyIdInToken", provider.Unauthorized},
		{404, "BadPath", provider.Rejected}, {405, "MethodNotAllowed", provider.Rejected}, {410, "Unregistered", provider.Unregistered}, {410, "ExpiredToken", provider.Unregistered},
		{413, "PayloadTooLarge", provider.TooLarge}, {429, "TooManyProviderTokenUpdates", provider.Throttled}, {429, "TooManyRequests", provider.Throttled},
		{500, "InternalServerError", provider.Unavailable}, {503, "ServiceUnavailable", provider.Unavailable}, {503, "Shutdown", provider.Unavailable},
		{400, "NewReason", provider.Rejected}, {410, "NewReason", provider.Unregistered}, {503, "NewReason", provider.Unavailable},
	} {
		w.Desk.Fail(sim.Fault{Status: tt.status, Body: `{"reason":"` + tt.reason + `"}`})
		_, err := p.Send(t.Context(), provider.Address{Token: here}, m)
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Code != tt.reason || e.Text == "" {
			t.Errorf("%d %s: %v, want %s", tt.status, tt.reason, err, tt.want)
		}
	}
	_, err := p.Send(t.Context(), provider.Address{Token: gone}, m)
	var e *provider.Error
	if !errors.As(err, &e) || e.Since.UnixMilli() != 1_700_000_000_123 {
		t.Errorf("gone since %v, %v", e.Since, err)
	}
	if _, err := p.Send(t.Context(), provider.Address{Token: "not hex"}, m); provider.KindOf(err) != provider.Unregistered {
		t.Error(err)
	}
}

// TestTokenIsReused: one signature serves for 50 minutes, and one that Apple
// finds too old is made anew once.
func TestTokenIsReused(t *testing.T) {
	w := newWorld(t)
	ours := time.Now()
	p := w.provider(t, w.values(), func() time.Time { return ours })
	m := &provider.Message{ID: 1, Content: herald.Content{Notification: &herald.Notification{Title: "t"}}}
	words := func() map[string]int {
		out := map[string]int{}
		for _, c := range w.Desk.Calls() {
			out[c.Header.Get("Authorization")]++
			if c.Proto != "HTTP/2.0" {
				t.Errorf("over %s", c.Proto)
			}
		}
		return out
	}
	send := func() {
		t.Helper()
		if _, err := p.Send(t.Context(), provider.Address{Token: here}, m); err != nil {
			t.Error(err)
		}
	}
	send()
	ours = ours.Add(49 * time.Minute)
	w.now = func() time.Time { return ours }
	send()
	if got := words(); len(got) != 1 {
		t.Errorf("%d tokens within 50 minutes", len(got))
	}
	ours = ours.Add(2 * time.Minute)
	send()
	if got := words(); len(got) != 1 {
		t.Errorf("tokens %v", got)
	}
	// Apple's clock runs ahead: it finds the token too old before we do.
	w.now = func() time.Time { return ours.Add(40 * time.Minute) }
	ours = ours.Add(25 * time.Minute)
	send()
	if got := words(); len(got) != 2 {
		t.Errorf("%d tokens when the first is too old", len(got))
	}
	// It is so far ahead that a new one is too old as well: that is said, once.
	w.now = func() time.Time { return ours.Add(2 * time.Hour) }
	_, err := p.Send(t.Context(), provider.Address{Token: here}, m)
	if provider.KindOf(err) != provider.Unauthorized || len(w.Desk.Calls()) != 2 {
		t.Errorf("got %v", err)
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		change func(map[string]string)
		field  string
	}{
		"no key":          {func(v map[string]string) { delete(v, "key") }, "key"},
		"both":            {func(v map[string]string) { v["certificate"] = "x" }, "certificate"},
		"key ID":          {func(v map[string]string) { v["key_id"] = "short" }, "key_id"},
		"team ID":         {func(v map[string]string) { v["team_id"] = "" }, "team_id"},
		"not PEM":         {func(v map[string]string) { v["key"] = "x" }, "key"},
		"not a key":       {func(v map[string]string) { v["key"] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n" }, "key"},
		"bad certificate": {func(v map[string]string) { delete(v, "key"); v["certificate"] = "AAAA" }, "certificate"},
		"not base64":      {func(v map[string]string) { delete(v, "key"); v["certificate"] = "???" }, "certificate"},
		"no topic":        {func(v map[string]string) { v["topic"] = "" }, "topic"},
		"address":         {func(v map[string]string) { v["url"] = "ftp://example.com" }, "url"},
	} {
		values := w.values()
		tt.change(values)
		_, err := apns.New(provider.Config{Values: values, Egress: w.Egress()})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != tt.field || e.Remedy == "" {
			t.Errorf("%s: %v, want the field %s", name, err, tt.field)
		}
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	check := func(change func(map[string]string)) *provider.Error {
		t.Helper()
		values := w.values()
		change(values)
		var e *provider.Error
		if err := w.provider(t, values, nil).(provider.Checker).Check(t.Context()); !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		return e
	}
	if e := check(func(v map[string]string) { v["topic"] = "com.other" }); e.Code != "TopicDisallowed" || !strings.Contains(e.Remedy, "bundle") {
		t.Errorf("wrong topic: %+v", e)
	}
	if e := check(func(v map[string]string) { v["team_id"] = "TEAM000002" }); e.Code != "InvalidProviderToken" {
		t.Errorf("wrong team: %+v", e)
	}
	// A clock that is wrong is named.
	p := w.provider(t, w.values(), func() time.Time { return time.Now().Add(-3 * time.Hour) })
	var e *provider.Error
	if err := p.(provider.Checker).Check(t.Context()); !errors.As(err, &e) || !strings.Contains(e.Text, "behind") || !strings.Contains(e.Remedy, "clock") {
		t.Errorf("clock: %v", err)
	}
	w.Desk.Fail(sim.Fault{Status: 503, Body: `{"reason":"Shutdown"}`})
	if err := w.provider(t, w.values(), nil).(provider.Checker).Check(t.Context()); provider.KindOf(err) != provider.Unavailable {
		t.Error(err)
	}
}

// hosts notes which hosts are looked for, and finds none.
type hosts struct{ asked []string }

func (h *hosts) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	h.asked = append(h.asked, host)
	return nil, errors.New("no such host")
}

// TestVerifyEnvironment: a credential is tried where it is for.
func TestVerifyEnvironment(t *testing.T) {
	_, key := newKey(t)
	for environment, want := range map[string]string{"": "api.push.apple.com", apns.Production: "api.push.apple.com", apns.Sandbox: "api.sandbox.push.apple.com"} {
		h := &hosts{}
		p, err := apns.New(provider.Config{Values: map[string]string{"topic": "com.example.app", "key": key, "key_id": "ABC123DEFG", "team_id": "DEF123GHIJ"}, Environment: environment, Egress: egress.Config{Resolver: h}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.(provider.Checker).Check(t.Context()); provider.KindOf(err) != provider.Unavailable || len(h.asked) == 0 || h.asked[0] != want {
			t.Errorf("%q: asked %q, %v", environment, h.asked, err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
