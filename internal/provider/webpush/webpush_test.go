package webpush_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/provider/webpush"
	"github.com/herald-push/herald/internal/sim"
	simwebpush "github.com/herald-push/herald/internal/sim/webpush"
)

// world is a push service with one browser.
type world struct {
	service *simwebpush.Service
	providertest.Server
	browser         *simwebpush.Subscription
	public, private string
	now             func() time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	w.service = simwebpush.New(simwebpush.Config{Now: func() time.Time {
		if w.now != nil {
			return w.now()
		}
		return time.Now()
	}})
	w.Server = providertest.Serve(t, w.service)
	w.service.SetURL(w.URL)
	var err error
	if w.public, w.private, err = webpush.NewKeys(); err != nil {
		t.Fatal(err)
	}
	w.browser = w.subscribe(t, w.public)
	return w
}

func (w *world) subscribe(t *testing.T, key string) *simwebpush.Subscription {
	t.Helper()
	b, err := w.service.Subscribe(key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func address(t *testing.T, b *simwebpush.Subscription) provider.Address {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return provider.Address{Token: string(text)}
}

func (w *world) values(change func(map[string]string)) map[string]string {
	v := map[string]string{"subject": "mailto:push@example.com", "public_key": w.public, "private_key": w.private, "services": "127.0.0.1", "url": w.URL}
	if change != nil {
		change(v)
	}
	return v
}

func (w *world) provider(t *testing.T, change func(map[string]string), now func() time.Time) provider.Provider {
	t.Helper()
	return w.Open(t, webpush.New, w.values(change), now)
}

// frame is what a service worker gets.
type frame struct {
	ID           string
	Notification struct{ Title, Body string }
}

func TestProvider(t *testing.T) {
	providertest.Run(t, func(t *testing.T) *providertest.Vendor {
		w := newWorld(t)
		gone := w.subscribe(t, w.public)
		w.service.Remove(gone.Endpoint)
		public, private, err := webpush.NewKeys()
		if err != nil {
			t.Fatal(err)
		}
		w.service.Bar(public)
		return &providertest.Vendor{
			Driver: webpush.Driver(), Good: w.values(nil), Wrong: w.values(func(v map[string]string) { v["public_key"], v["private_key"] = public, private }),
			Egress: w.Egress(), Desk: w.Desk, Here: address(t, w.browser), Gone: address(t, gone), Limit: 3993,
			Secrets: []string{w.private, "eyJ"},
			Shown: func() (out []providertest.Shown) {
				for _, p := range w.service.Taken() {
					text, err := w.browser.Open(p.Body)
					var f frame
					if err = errors.Join(err, json.Unmarshal(text, &f)); err != nil {
						t.Error(err)
					}
					out = append(out, providertest.Shown{Title: f.Notification.Title, Body: f.Notification.Body, ID: f.ID})
				}
				return out
			},
		}
	})
}

func TestMessage(t *testing.T) {
	w := newWorld(t)
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	w.now = func() time.Time { return now }
	p := w.provider(t, nil, w.now)
	id := herald.NewIDs(1, 0).Next(now)
	badge := 2
	text := `{"type":"message","id":"` + id.String() + `","time":"2026-11-22T08:00:00.000Z","expires":"2026-11-22T09:00:00.000Z",`
	for name, tt := range map[string]struct {
		m              provider.Message
		options        string
		want           string
		urgency, topic string
		ttl            time.Duration
	}{
		"notification": {provider.Message{Content: herald.Content{Notification: &herald.Notification{Title: "<t>", Body: "b", Click: "https://example.com/?a&b", Badge: &badge}, Data: json.RawMessage(`{"a": 1}`)}, CollapseKey: "news"}, "",
			text + `"priority":"normal","notification":{"title":"<t>","body":"b","click":"https://example.com/?a&b","badge":2},"data":{"a":1},"collapse_key":"news"}`, "normal", "news", time.Hour},
		"data": {provider.Message{Content: herald.Content{Data: json.RawMessage(`1`)}, Priority: herald.PriorityHigh}, "{}",
			text + `"priority":"high","data":1}`, "high", id.String(), time.Hour},
		"options": {provider.Message{Content: herald.Content{Data: json.RawMessage(`1`)}, Priority: herald.PriorityLow}, `{"urgency":"very-low","ttl":60,"topic":"T-_1"}`,
			text + `"priority":"low","data":1}`, "very-low", "T-_1", time.Minute},
		"a longer ttl": {provider.Message{Content: herald.Content{Data: json.RawMessage(`1`)}, Priority: herald.PriorityLow}, `{"ttl":7200}`,
			text + `"priority":"low","data":1}`, "low", id.String(), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			m := tt.m
			m.ID, m.Expires = id, now.Add(time.Hour)
			if tt.options != "" {
				m.Options = json.RawMessage(tt.options)
			}
			r, err := p.Send(t.Context(), address(t, w.browser), &m)
			if err != nil || !strings.HasPrefix(r.Reference, w.URL+"/m/") {
				t.Fatalf("%+v, %v", r, err)
			}
			got := w.service.Taken()[0]
			body, err := w.browser.Open(got.Body)
			if err != nil || string(body) != tt.want {
				t.Errorf("got\n%s\nwant\n%s\n%v", body, tt.want, err)
			}
			if got.Urgency != tt.urgency || got.Topic != tt.topic || got.TTL != tt.ttl {
				t.Errorf("urgency %q, topic %q, TTL %s", got.Urgency, got.Topic, got.TTL)
			}
		})
	}
}

// TestOnce: a message that is given twice waits once, and now or never does not
// wait.
func TestOnce(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil, nil)
	m := &provider.Message{ID: 7, Content: herald.Content{Data: json.RawMessage("1")}, Expires: time.Now().Add(90 * 24 * time.Hour)}
	for range 2 {
		if _, err := p.Send(t.Context(), address(t, w.browser), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.service.Waiting(w.browser.Endpoint); len(got) != 1 || got[0].TTL != 28*24*time.Hour {
		t.Errorf("waiting %+v", got)
	}
	if _, err := p.Send(t.Context(), address(t, w.browser), &provider.Message{ID: 7, Content: m.Content}); err != nil {
		t.Fatal(err)
	}
	if got := w.service.Waiting(w.browser.Endpoint); len(got) != 0 {
		t.Errorf("waiting %+v", got)
	}
}

// TestAnswers: each answer that services are known to give is a success or one of
// the six kinds.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	send := func(p provider.Provider, f sim.Fault) error {
		w.Desk.Fail(f)
		_, err := p.Send(t.Context(), address(t, w.browser), m)
		return err
	}
	for _, status := range []int{200, 201, 202, 204} {
		if err := send(w.provider(t, nil, nil), sim.Fault{Status: status}); err != nil {
			t.Errorf("%d: %v", status, err)
		}
	}
	errno := func(n string) string { return `{"errno":` + n + `,"message":"m"}` }
	for _, tt := range []struct {
		status     int
		body, code string
		want       provider.Kind
	}{
		{404, errno("102"), "102", provider.Unregistered}, {410, errno("103"), "103", provider.Unregistered}, {410, errno("106"), "106", provider.Unregistered},
		{404, "", "", provider.Unregistered}, {413, errno("104"), "104", provider.TooLarge}, {400, errno("111"), "111", provider.Rejected},
		{400, `{"reason":"BadWebPushTopic"}`, "BadWebPushTopic", provider.Rejected}, {401, errno("109"), "109", provider.Unauthorized},
		{403, `{"reason":"BadJwtToken"}`, "BadJwtToken", provider.Unauthorized}, {403, "", "", provider.Unauthorized},
		{403, `{"reason":"VapidPkHashMismatch"}`, "VapidPkHashMismatch", provider.Rejected},
		{403, "the key in the authorization header does not correspond to the sender ID used to subscribe this user", "", provider.Rejected},
		{429, "", "", provider.Throttled}, {406, "", "", provider.Throttled}, {503, errno("201"), "201", provider.Unavailable},
		{502, errno("900"), "900", provider.Unavailable}, {500, errno("999"), "999", provider.Unavailable}, {307, "", "", provider.Rejected},
	} {
		err := send(w.provider(t, nil, nil), sim.Fault{Status: tt.status, Body: tt.body, RetryAfter: 5 * time.Second})
		var e *provider.Error
		if !errors.As(err, &e) || e.Kind != tt.want || e.Code != tt.code || e.Text == "" || e.RetryAfter != 5*time.Second {
			t.Errorf("%d %s: %+v", tt.status, tt.body, e)
		}
	}
	if got := w.service.Taken(); len(got) != 0 {
		t.Errorf("taken %v", got)
	}
}

// TestOtherKey: who registers a subscription that was made with another key does
// not stop the others.
func TestOtherKey(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil, nil)
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	other, _, err := webpush.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	alien := address(t, w.subscribe(t, other))
	if _, err := p.Send(t.Context(), alien, m); provider.KindOf(err) != provider.Rejected {
		t.Errorf("before the service has taken anything: %v", err)
	}
	if _, err := p.Send(t.Context(), address(t, w.browser), m); err != nil {
		t.Fatal(err)
	}
	w.Desk.Fail(sim.Fault{Status: http.StatusForbidden})
	if _, err := p.Send(t.Context(), alien, m); provider.KindOf(err) != provider.Rejected {
		t.Errorf("after it has taken the signature: %v", err)
	}
}

// TestSignature: one serves for its time, and a new one has to be proved anew.
func TestSignature(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.now = func() time.Time { return now }
	p := w.provider(t, nil, w.now)
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	signature := func() string {
		t.Helper()
		w.Desk.Calls()
		if _, err := p.Send(t.Context(), address(t, w.browser), m); err != nil {
			t.Fatal(err)
		}
		return w.Desk.Calls()[0].Header.Get("Authorization")
	}
	first := signature()
	now = now.Add(5 * time.Hour)
	if signature() != first {
		t.Error("a signature is made for each message")
	}
	now = now.Add(2 * time.Hour)
	if signature() == first {
		t.Error("a signature is used for more than half of its time")
	}
	now = now.Add(-10 * time.Hour) // the clock was set back
	if signature() == first {
		t.Error("a signature of the future is used")
	}
	now = now.Add(7 * time.Hour)
	w.Desk.Fail(sim.Fault{Status: http.StatusUnauthorized})
	if _, err := p.Send(t.Context(), address(t, w.browser), m); provider.KindOf(err) != provider.Unauthorized {
		t.Errorf("a new signature that is refused: %v", err)
	}
}

// TestWhere: only push services are called, and nothing in the own network.
func TestWhere(t *testing.T) {
	w := newWorld(t)
	at := func(endpoint string) provider.Address {
		b := *w.browser
		b.Endpoint = endpoint
		return address(t, &b)
	}
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	for name, tt := range map[string]struct {
		services, endpoint string
		says               string
	}{
		"another host":     {"127.0.0.1", "https://evil.example/x", "not a push service"},
		"a longer name":    {"127.0.0.1", "https://xfcm.googleapis.com.evil.example/x", "not a push service"},
		"without its dot":  {"127.0.0.1", "https://evilpush.apple.com/x", "not a push service"},
		"plain http":       {"127.0.0.1", strings.Replace(w.browser.Endpoint, "https:", "http:", 1), "over http"},
		"the own network":  {"any", "https://10.1.2.3/x", "10.1.2.3"},
		"a user in it":     {"any", "https://a:b@push.example.com/x", "user"},
		"metadata service": {"any", "https://169.254.169.254/latest", "169.254"},
	} {
		p := w.provider(t, func(v map[string]string) { v["services"] = tt.services }, nil)
		if _, err := p.Send(t.Context(), at(tt.endpoint), m); provider.KindOf(err) != provider.Rejected || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.Desk.Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
	for _, services := range []string{"any", "push.example.com 127.0.0.1"} {
		p := w.provider(t, func(v map[string]string) { v["services"] = services }, nil)
		if _, err := p.Send(t.Context(), address(t, w.browser), m); err != nil {
			t.Errorf("%s: %v", services, err)
		}
	}
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	p := w.provider(t, nil, nil)
	for _, o := range []string{`{"urgency":"fast"}`, `{"ttl":-1}`, `{"ttl":1.5}`, `{"topic":"a b"}`, `{"topic":"` + strings.Repeat("a", 33) + `"}`, `{"Urgency":"low"}`, `{`} {
		m := &provider.Message{ID: 1, Options: json.RawMessage(o)}
		if _, err := p.Send(t.Context(), address(t, w.browser), m); provider.KindOf(err) != provider.Rejected {
			t.Errorf("%s: %v", o, err)
		}
	}
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("{")}}
	if _, err := p.Send(t.Context(), address(t, w.browser), m); provider.KindOf(err) != provider.Rejected {
		t.Errorf("data that are not JSON: %v", err)
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		change func(map[string]string)
		now    func() time.Time
		fault  *sim.Fault
		kind   provider.Kind // "" for a good one
		says   string
	}{
		"good":                  {nil, nil, nil, "", ""},
		"gone":                  {nil, nil, &sim.Fault{Status: 410}, "", ""},
		"an address refused":    {nil, nil, &sim.Fault{Status: 400}, "", ""},
		"anything is taken":     {nil, nil, &sim.Fault{Status: 201}, "", ""},
		"a clock behind":        {nil, func() time.Time { return time.Now().Add(-13 * time.Hour) }, nil, provider.Unauthorized, "behind"},
		"a clock ahead":         {nil, func() time.Time { return time.Now().Add(13 * time.Hour) }, nil, provider.Unauthorized, "ahead"},
		"a clock nobody judges": {nil, func() time.Time { return time.Now().Add(13 * time.Hour) }, &sim.Fault{Status: 404}, provider.Unauthorized, "ahead"},
		"down":                  {nil, nil, &sim.Fault{Status: 503}, provider.Unavailable, "503"},
		"cut":                   {nil, nil, &sim.Fault{Reset: true}, provider.Unavailable, ""},
		"another key":           {nil, nil, &sim.Fault{Status: 403, Body: "mismatch"}, provider.Rejected, "another VAPID key"},
	} {
		if tt.fault != nil {
			w.Desk.Fail(*tt.fault)
		}
		err := w.provider(t, tt.change, tt.now).(provider.Checker).Check(t.Context())
		var e *provider.Error
		if tt.kind == "" && err != nil || tt.kind != "" && (!errors.As(err, &e) || e.Kind != tt.kind || !strings.Contains(e.Text, tt.says) || e.Remedy == "") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	other, _, err := webpush.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ field, value string }{
		"no URL": {"subject", "%"}, "no address": {"subject", "mailto:push"}, "two addresses": {"subject", "mailto:a@b.example,c@d.example"}, "a name": {"subject", "mailto:Push <a@b.example>"},
		"http": {"subject", "http://example.com"}, "localhost": {"subject", "mailto:a@localhost"}, "this machine": {"subject", "https://localhost/x"}, "no host": {"subject", "https:"},
		"long": {"subject", "https://example.com/" + strings.Repeat("a", 250)}, "no private key": {"private_key", ""}, "a short one": {"private_key", "AAAA"}, "no base64": {"private_key", "!"},
		"zero": {"private_key", strings.Repeat("A", 43)}, "another's": {"public_key", other}, "no public key": {"public_key", "!"}, "a local service": {"url", "http://127.0.0.1"},
	} {
		_, err := webpush.New(provider.Config{Values: w.values(func(v map[string]string) { v[tt.field] = tt.value }), Egress: w.Egress()})
		var e *herald.Error
		if !errors.As(err, &e) || e.Field != tt.field || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The public key may be missing, and have padding.
	for _, public := range []string{"", w.public + "="} {
		p := w.provider(t, func(v map[string]string) { v["public_key"] = public }, nil)
		if _, err := p.Send(t.Context(), address(t, w.browser), &provider.Message{ID: 1}); err != nil {
			t.Errorf("%q: %v", public, err)
		}
	}
}

func TestComplete(t *testing.T) {
	w := newWorld(t)
	d := webpush.Driver()
	made := map[string]string{"subject": "https://example.com"}
	if err := d.Complete(made); err != nil || len(made["public_key"]) != 87 || len(made["private_key"]) != 43 {
		t.Fatalf("%v, %v", made, err)
	}
	if _, err := d.New(provider.Config{Values: made}); err != nil {
		t.Error(err)
	}
	derived := map[string]string{"private_key": w.private}
	if err := d.Complete(derived); err != nil || derived["public_key"] != w.public {
		t.Errorf("%v, %v", derived, err)
	}
	for name, values := range map[string]map[string]string{
		"public_key": {"private_key": w.private, "public_key": made["public_key"]}, "private_key": {"public_key": w.public},
	} {
		var e *herald.Error
		if err := d.Complete(values); !errors.As(err, &e) || e.Field != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTranscript: an encrypted body is no text for people.
func TestTranscript(t *testing.T) {
	w := newWorld(t)
	var script provider.Transcript
	m := &provider.Message{ID: 1, Content: herald.Content{Data: json.RawMessage("1")}}
	if _, err := w.provider(t, nil, nil).Send(provider.WithTranscript(t.Context(), &script), address(t, w.browser), m); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("(%d bytes)", len(w.service.Taken()[0].Body))
	if x := script.Exchanges()[0]; x.Body != want || x.Header["Authorization"] != "vapid …" || x.Status != 201 {
		t.Errorf("%+v, want the body %s", x, want)
	}
}
