package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
	"github.com/herald-push/herald/internal/config"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/sim/apns"
	"github.com/herald-push/herald/internal/sim/twilio"
)

func TestEnvironments(t *testing.T) {
	of := environments([]provider.Driver{{Name: herald.VendorAPNs, Environments: []string{"production", "sandbox"}}, {Name: herald.VendorFCM}})
	for v, want := range map[herald.Vendor]struct {
		list  []string
		known bool
	}{
		herald.VendorAPNs:   {[]string{"production", "sandbox"}, true},
		herald.VendorFCM:    {nil, true},
		herald.VendorXiaomi: {nil, false},
	} {
		if list, known := of(v); !slices.Equal(list, want.list) || known != want.known {
			t.Errorf("%s has %q (known: %v), want %+v", v, list, known, want)
		}
	}
}

// TestProvidersAreVendors: an address and the options of a message can name whoever
// there is a driver for.
func TestProvidersAreVendors(t *testing.T) {
	for _, d := range providers() {
		if !d.Name.Valid() {
			t.Errorf("the vendor %q has a driver and is not known", d.Name)
		}
	}
}

const (
	appleKey  = "ABC123DEFG"
	appleTeam = "TEAM000001"
	appleApp  = "com.example.app"
	twilioSID = "AC0123456789abcdef0123456789abcdef"
	twilioKey = "a token of the account"
	twilioOwn = "+12025550100"
)

// token is an address of Apple's.
func token(digit string) string { return strings.Repeat(digit, 64) }

// beyond is a server with an app that has credentials of Apple and of Twilio,
// which are played.
type beyond struct {
	*node
	apple    *apns.Service
	phones   *twilio.Service
	appleID  string // of the credentials
	phonesID string
	callback string // where Twilio believes that it reports
}

func startBeyond(t *testing.T) *beyond {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b := &beyond{
		apple:  apns.New(apns.Config{Keys: map[string]*ecdsa.PublicKey{appleKey: &key.PublicKey}, TeamID: appleTeam, Topics: []string{appleApp}}),
		phones: twilio.New(twilio.Config{Account: twilioSID, Token: twilioKey, From: twilioOwn}),
	}
	at := make([]string, 0, 2)
	for _, vendor := range []http.Handler{b.apple, b.phones} {
		s := httptest.NewServer(vendor)
		t.Cleanup(s.Close)
		at = append(at, s.URL)
	}
	b.node = startNode(t, t.TempDir())
	b.end()
	b.cfg.Egress = config.Egress{Allow: []string{"loopback"}, Ports: []string{"any"}, HTTP: true}
	b.start()
	b.appleID = b.credential(api.CredentialRequest{Vendor: herald.VendorAPNs, Values: map[string]string{
		"topic": appleApp, "key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "key_id": appleKey, "team_id": appleTeam, "url": at[0],
	}})
	b.phonesID = b.credential(api.CredentialRequest{Vendor: herald.VendorTwilio, Values: map[string]string{
		"account_sid": twilioSID, "auth_token": twilioKey, "from": twilioOwn, "url": at[1],
	}})
	b.callback = "https://push.example/callbacks/" + string(b.app.AppKey) + "/" + b.phonesID
	if status := b.call("PATCH", "/v1/credentials/"+b.phonesID, "", api.CredentialUpdate{Values: map[string]string{"callback": b.callback}}, nil); status != 200 {
		t.Fatalf("the callback was answered %d", status)
	}
	return b
}

func (b *beyond) credential(r api.CredentialRequest) string {
	b.t.Helper()
	var c api.CredentialView
	if status := b.call("POST", "/v1/credentials", "", r, &c); status != 201 {
		b.t.Fatalf("a credential of %s was answered %d", r.Vendor, status)
	}
	return c.ID
}

// restart ends the server and starts it on what it left.
func (b *beyond) restart() {
	b.t.Helper()
	b.end()
	b.start()
}

// reached registers a device, with an address of Apple's unless it is "".
func (b *beyond) reached(alias herald.Alias, address string) api.RegisterAnswer {
	b.t.Helper()
	r := api.RegisterRequest{Alias: alias}
	if address != "" {
		r.Addresses = []api.DeviceAddress{{Vendor: herald.VendorAPNs, Token: address}}
	}
	return b.register(r)
}

// phone gives a person a telephone.
func (b *beyond) phone(alias herald.Alias, number string) {
	b.t.Helper()
	if status := b.call("PUT", "/v1/recipients/"+string(alias)+"/addresses", "", api.RecipientAddressesRequest{Phone: number}, nil); status != 200 {
		b.t.Fatalf("the telephone of %s was answered %d", alias, status)
	}
}

// came waits until a message came to some outcomes, one a line.
func (b *beyond) came(id herald.MessageID, want ...string) (r api.AttemptReport) {
	b.t.Helper()
	got := ""
	b.until("what vendors did is "+strings.Join(want, ", "), func() bool {
		r = api.AttemptReport{}
		b.call("GET", "/v1/messages/"+id.String()+"/attempts", "", nil, &r)
		var list []string
		for _, o := range r.Outcomes {
			list = append(list, strings.TrimSpace(fmt.Sprintf("%d %s %s %d %s", o.Step, o.Vendor, o.Outcome, o.Count, o.Code)))
		}
		got = strings.Join(list, ", ")
		return slices.Equal(list, want)
	}, &got)
	return r
}

// pushed gives to which addresses Apple took something since it was asked last.
func (b *beyond) pushed() (out []string) {
	for _, p := range b.apple.Taken() {
		out = append(out, p.Token)
	}
	slices.Sort(out)
	return out
}

// texted gives to which numbers Twilio took something since it was asked last.
func (b *beyond) texted() (out []string) {
	for _, m := range b.phones.Taken() {
		out = append(out, m.To)
	}
	slices.Sort(out)
	return out
}

// TestDefaultRoute: who is connected gets a message there, and others by their
// vendor; none gets it by both, also not after a restart.
func TestDefaultRoute(t *testing.T) {
	b := startBeyond(t)
	here := b.connect(b.reached("", token("a")).Token, "")
	b.reached("", token("b"))
	b.reached("", "")
	first := b.send(`{"audience":"all","notification":{"title":"Hello"}}`)
	here.expect("message", first.ID.String())
	b.came(first.ID, "1 apns accepted 1") // sent is enough for who is connected
	here.say(`{"type":"ack","ids":["%s"]}`, first.ID)
	b.counts(first.ID.String(), `sending 3 {"pending":1,"received":1,"sent":1}`)
	if err := here.c.CloseNow(); err != nil {
		t.Fatal(err)
	}
	b.restart()
	// What comes after it has been handed over when this has.
	second := b.send(`{"audience":"all","notification":{"title":"Again"}}`)
	b.came(second.ID, "1 apns accepted 2")
	b.came(first.ID, "1 apns accepted 1")
	b.counts(first.ID.String(), `sending 3 {"pending":1,"received":1,"sent":1}`)
	if got, want := b.pushed(), []string{token("a"), token("b"), token("b")}; !slices.Equal(got, want) {
		t.Errorf("Apple took %v, want %v", got, want)
	}
}

// TestNamedRoute: the app's own default is taken where a message names none.
func TestNamedRoute(t *testing.T) {
	b := startBeyond(t)
	b.reached("ann", token("a"))
	b.phone("ann", "+12025550111")
	if status := b.call("PUT", "/v1/routes/default", "", `{"steps":[{"channel":"live"},{"channel":"sms"}]}`, nil); status != 200 && status != 201 {
		t.Fatalf("the route was answered %d", status)
	}
	b.restart()
	m := b.send(`{"audience":{"aliases":["ann"]},"notification":{"title":"Hello","body":"Ann"}}`)
	b.came(m.ID, "1 twilio accepted 1")
	if texts := b.phones.Taken(); len(texts) != 1 || texts[0].To != "+12025550111" || texts[0].Body != "Hello Ann" {
		t.Errorf("Twilio took %+v", texts)
	}
	own := b.send(`{"audience":{"aliases":["ann"]},"notification":{"title":"x"},"route":{"steps":[{"channel":"vendor"}]}}`)
	b.came(own.ID, "0 apns accepted 1")
	if push, text := b.pushed(), b.texted(); !slices.Equal(push, []string{token("a")}) || text != nil {
		t.Errorf("Apple took %v, Twilio %v", push, text)
	}
}

// TestLaterStep: who has not got a message within a time is sent a text, also if
// the server was not there in between; who has got it is not.
func TestLaterStep(t *testing.T) {
	b := startBeyond(t)
	b.reached("ann", "")
	b.phone("ann", "+12025550111")
	bob := b.connect(b.reached("bob", "").Token, "")
	b.phone("bob", "+12025550112")
	// How long the step waits is longer each time, until the acknowledgement is
	// earlier, however slow the machine is.
	for after := time.Second; ; after *= 4 {
		m := b.send(fmt.Sprintf(`{"audience":"all","notification":{"title":"Hello"},"route":{"steps":[{"channel":"live"},{"channel":"sms","after":"%s"}]}}`, after))
		bob.expect("message", m.ID.String())
		bob.say(`{"type":"ack","ids":["%s"]}`, m.ID)
		b.counts(m.ID.String(), `sending 2 {"pending":1,"received":1}`)
		var r api.AttemptReport
		b.call("GET", "/v1/messages/"+m.ID.String()+"/attempts", "", nil, &r)
		early := len(r.Outcomes) == 0 && len(b.texted()) == 0
		if !early && after < time.Minute {
			continue
		}
		_ = bob.c.CloseNow()
		b.restart()
		b.came(m.ID, "1 twilio accepted 1")
		if got := b.texted(); !slices.Equal(got, []string{"+12025550111"}) {
			t.Errorf("Twilio took %v", got)
		}
		return
	}
}

// TestGoneAddress: an address that the vendor says is gone is used no more, unless
// it was registered since.
func TestGoneAddress(t *testing.T) {
	b := startBeyond(t)
	d := b.reached("", token("a"))
	const failed = "1 apns failed 1 unregistered/Unregistered"
	address := func() api.DeviceAddressView {
		var v api.DeviceView
		b.call("GET", "/v1/devices/"+string(d.RegistrationID), "", nil, &v)
		if len(v.Addresses) == 0 {
			t.Fatal("the device has no address")
		}
		return v.Addresses[0]
	}
	b.apple.Remove(token("a"), time.Now().Add(-time.Hour))
	b.came(b.send(to(d, "")).ID, failed)
	if a := address(); a.InvalidAt != nil {
		t.Errorf("what was registered later is %+v", a)
	}
	b.apple.Remove(token("a"), time.Now().Add(time.Minute))
	b.came(b.send(to(d, "")).ID, failed)
	if a := address(); a.InvalidAt == nil || a.Reason != "unregistered/Unregistered" {
		t.Errorf("what is gone is %+v", a)
	}
	b.restart()
	// It has no way now: who comes after it has been reached when it would have.
	third, other := b.send(to(d, "")), b.reached("", token("b"))
	b.came(b.send(to(other, "")).ID, "1 apns accepted 1")
	b.came(third.ID)
	if got := b.pushed(); !slices.Equal(got, []string{token("b")}) {
		t.Errorf("Apple took %v", got)
	}
}

// TestVendorReports: what Twilio says later is kept if Twilio says it, and nothing
// else is.
func TestVendorReports(t *testing.T) {
	b := startBeyond(t)
	b.phone("ann", "+12025550111")
	m := b.send(`{"audience":{"aliases":["ann"]},"notification":{"title":"Hello"},"route":{"steps":[{"channel":"sms"}]}}`)
	r := b.came(m.ID, "0 twilio accepted 1")
	if len(r.Attempts) != 1 || r.Attempts[0].Reference == "" || r.Attempts[0].Alias != "ann" || r.Attempts[0].State != "" {
		t.Fatalf("the attempts are %+v", r.Attempts)
	}
	b.restart()
	path := "/callbacks/" + string(b.app.AppKey) + "/"
	header, body := b.phones.Report(b.callback, r.Attempts[0].Reference, "+12025550111", "delivered", "")
	wrong := http.Header{"Content-Type": header["Content-Type"], "X-Twilio-Signature": {"bm90IHNpZ25lZA=="}}
	for _, tt := range []struct {
		name, path string
		header     http.Header
		body       string
		status     int
		state      herald.DeliveryState
	}{
		{"wrong signature", path + b.phonesID, wrong, string(body), 403, ""},
		{"another text", path + b.phonesID, header, string(body) + "&x=1", 403, ""},
		{"too large", path + b.phonesID, header, string(body) + "&x=" + strings.Repeat("x", maxReport), 403, ""},
		{"unknown credential", path + "crd_unknown", header, string(body), 404, ""},
		{"unknown app", "/callbacks/unknown/" + b.phonesID, header, string(body), 404, ""},
		{"vendor that does not report", path + b.appleID, header, string(body), 404, ""},
		{"right", path + b.phonesID, header, string(body), 204, herald.StateReceived},
		{"once more", path + b.phonesID, header, string(body), 204, herald.StateReceived},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.srv.URL()+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = tt.header.Clone()
		resp, err := b.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tt.status {
			t.Errorf("%s: answered %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
		r := b.came(m.ID, "0 twilio accepted 1")
		if len(r.Attempts) != 1 || r.Attempts[0].State != tt.state || r.Attempts[0].Problem != nil {
			t.Errorf("%s: %+v", tt.name, r.Attempts)
		}
	}
}
