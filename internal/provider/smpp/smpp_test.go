package smpp_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/egress"
	"github.com/herald-push/herald/internal/provider"
	"github.com/herald-push/herald/internal/provider/providertest"
	"github.com/herald-push/herald/internal/provider/smpp"
	"github.com/herald-push/herald/internal/sim"
	simsmpp "github.com/herald-push/herald/internal/sim/smpp"
	wire "github.com/herald-push/herald/internal/wire/smpp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	here     = "+8613800138000"
	gone     = "+8613800138001"
	password = "pa55word"
)

// patience is how long a test waits for what has to come.
const patience = 2 * time.Minute

// world is a service centre with one account.
type world struct {
	centre *simsmpp.Service
	desk   *sim.Desk
	server *simsmpp.Server
}

func newWorld(t *testing.T, secure bool, c simsmpp.Config) *world {
	t.Helper()
	c.SystemID, c.Password = "herald", password
	w := &world{centre: simsmpp.New(c), desk: &sim.Desk{}}
	var err error
	if w.server, err = simsmpp.Serve(t.Context(), "127.0.0.1:0", w.desk, w.centre, secure); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.server.Close() })
	return w
}

func (w *world) egress() egress.Config {
	return egress.Config{Allow: []string{"loopback"}, Ports: []string{"any"}}
}

func (w *world) at(address string) map[string]string {
	host, port, _ := net.SplitHostPort(address)
	v := map[string]string{"host": host, "port": port, "system_id": "herald", "password": password, "source": "Herald", "security": "none"}
	if c := w.server.Certificate; c != nil {
		v["security"], v["ca"] = "tls", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return v
}

// with gives the credential with some values changed.
func (w *world) with(pairs ...string) map[string]string {
	v := w.at(w.server.Address)
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = pairs[i+1]
	}
	return v
}

func (w *world) provider(t *testing.T, values map[string]string) *smpp.Provider {
	t.Helper()
	p, err := smpp.New(provider.Config{Values: values, Egress: w.egress()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p.(*smpp.Provider)
}

func message(id herald.MessageID, text string) *provider.Message {
	return &provider.Message{ID: id, App: "app", Expires: time.Now().Add(time.Hour), Content: herald.Content{Notification: &herald.Notification{Body: text}}}
}

func send(t *testing.T, p provider.Provider, to string, m *provider.Message) (provider.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return p.Send(ctx, provider.Address{Token: to}, m)
}

// refused checks an error.
func refused(t *testing.T, err error, kind provider.Kind) *provider.Error {
	t.Helper()
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("error %v, want %s", err, kind)
	}
	return e
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come: %s", what)
		}
	}
}

// reports collects what a provider is told.
type reports struct {
	mu   sync.Mutex
	list []provider.Report
}

func (r *reports) listen(p *smpp.Provider) *reports {
	p.Listen(func(x provider.Report) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.list = append(r.list, x)
	})
	return r
}

func (r *reports) all() []provider.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]provider.Report(nil), r.list...)
}

func (r *reports) await(t *testing.T, n int) []provider.Report {
	t.Helper()
	eventually(t, "reports", func() bool { return len(r.all()) >= n })
	return r.all()
}

func TestProvider(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) *providertest.Vendor {
				w := newWorld(t, secure, simsmpp.Config{})
				return &providertest.Vendor{
					Driver: smpp.Driver(), Good: w.with(), Wrong: w.with("password", "wr0ng"), Egress: w.egress(), Desk: w.desk,
					Here: provider.Address{Token: here}, Secrets: []string{password},
					Line: &providertest.Line{Method: "submit_sm", Scheme: "smpp", At: w.at, Statuses: map[int]provider.Kind{
						0x58: provider.Throttled, 0x14: provider.Throttled, 0x08: provider.Unavailable, 0x64: provider.Unavailable, 0x04: provider.Unavailable,
						0x0a: provider.Rejected, 0x0b: provider.Rejected, 0x45: provider.Rejected, 0x50: provider.Rejected, 0xff: provider.Rejected, 0x400: provider.Rejected,
						0x01: provider.TooLarge, 0x0d: provider.Unauthorized, 0x0e: provider.Unauthorized, 0x0f: provider.Unauthorized,
					}},
					Shown: func() (out []providertest.Shown) {
						for _, m := range w.centre.Taken() {
							title, body, _ := strings.Cut(m.Text, " ")
							out = append(out, providertest.Shown{Title: title, Body: body})
						}
						return out
					},
				}
			})
		})
	}
}

// TestWhole looks at what a service centre gets.
func TestWhole(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	for _, row := range []struct {
		name    string
		values  map[string]string
		m       *provider.Message
		options string
		want    simsmpp.Taken
		parts   int
	}{
		{"GSM", w.with(), message(1, "Your code is 1234 {€}"), "", simsmpp.Taken{Text: "Your code is 1234 {€}", From: wire.Party{TON: 5, Address: "Herald"}}, 1},
		{"Chinese", w.with(), message(2, "你的验证码是1234"), "", simsmpp.Taken{Text: "你的验证码是1234", Unicode: true, From: wire.Party{TON: 5, Address: "Herald"}}, 1},
		{"long", w.with(), message(3, strings.Repeat("0123456789", 40)), "", simsmpp.Taken{Text: strings.Repeat("0123456789", 40), From: wire.Party{TON: 5, Address: "Herald"}}, 3},
		{"long Chinese", w.with(), message(4, strings.Repeat("🙂文", 50)), "", simsmpp.Taken{Text: strings.Repeat("🙂文", 50), Unicode: true, From: wire.Party{TON: 5, Address: "Herald"}}, 3},
		{"always UCS-2", w.with("encoding", "ucs2", "source", "10690"), message(5, "a"), "", simsmpp.Taken{Text: "a", Unicode: true, From: wire.Party{TON: 3, Address: "10690"}}, 1},
		{"a number as sender", w.with("source", "+442071234567"), message(6, "a"), "", simsmpp.Taken{Text: "a", From: wire.Party{TON: 1, NPI: 1, Address: "442071234567"}}, 1},
		{"types by hand", w.with("source", "10690", "source_ton", "6", "source_npi", "8"), message(7, "a"), "", simsmpp.Taken{Text: "a", From: wire.Party{TON: 6, NPI: 8, Address: "10690"}}, 1},
		{"no sender", w.with("source", ""), message(8, "a"), "", simsmpp.Taken{Text: "a"}, 1},
		{"options", w.with(), message(9, "a"), `{"text":"other","source":"Shop","encoding":"ucs2","service_type":"CMT"}`, simsmpp.Taken{Text: "other", Unicode: true, From: wire.Party{TON: 5, Address: "Shop"}}, 1},
		{"auto where UCS-2 is usual", w.with("encoding", "ucs2"), message(10, "a"), `{"encoding":"auto"}`, simsmpp.Taken{Text: "a", From: wire.Party{TON: 5, Address: "Herald"}}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.options != "" {
				row.m.Options = []byte(row.options)
			}
			r, err := send(t, w.provider(t, row.values), here, row.m)
			got := w.centre.Taken()
			if err != nil || len(got) != 1 || r.Parts != row.parts || r.Shortened {
				t.Fatalf("%+v, %+v, %v", got, r, err)
			}
			row.want.To, row.want.IDs, row.want.Validity, row.want.Receipt = wire.Party{TON: 1, NPI: 1, Address: here[1:]}, got[0].IDs, got[0].Validity, true
			if r.Reference != strings.Join(got[0].IDs, ",") || got[0].Text != row.want.Text || got[0].From != row.want.From || got[0].To != row.want.To ||
				got[0].Unicode != row.want.Unicode || !got[0].Receipt || len(got[0].IDs) != row.parts {
				t.Errorf("got %+v for %+v, want %+v", got[0], r, row.want)
			}
			if !strings.HasPrefix(got[0].Validity, "0000000") || !strings.HasSuffix(got[0].Validity, "000R") {
				t.Errorf("validity %q", got[0].Validity)
			}
		})
	}
}

func TestShortened(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	r, err := send(t, w.provider(t, w.with("max_parts", "2")), here, message(1, strings.Repeat("a", 1000)))
	got := w.centre.Taken()
	if err != nil || !r.Shortened || r.Parts != 2 || len(got) != 1 || got[0].Text != strings.Repeat("a", 303)+"..." {
		t.Errorf("%+v, %+v, %v", got, r, err)
	}
}

func TestNothingIsSubmitted(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	p := w.provider(t, w.with())
	for _, row := range []struct {
		name, to, text, options string
		kind                    provider.Kind
	}{
		{"no number", "nobody", "a", "", provider.Unregistered},
		{"a short number", "+12", "a", "", provider.Unregistered},
		{"a long number", "+1234567890123456", "a", "", provider.Unregistered},
		{"no text", here, "", "", provider.Rejected},
		{"blanks", here, "  ", "", provider.Rejected},
		{"unknown option", here, "a", `{"txet":"x"}`, provider.Rejected},
		{"unknown encoding", here, "a", `{"encoding":"latin1"}`, provider.Rejected},
		{"long service type", here, "a", `{"service_type":"123456"}`, provider.Rejected},
		{"bad source", here, "a", `{"source":"much too long a name"}`, provider.Rejected},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := message(1, row.text)
			if row.options != "" {
				m.Options = []byte(row.options)
			}
			_, err := send(t, p, row.to, m)
			if e := refused(t, err, row.kind); e.Remedy == "" || e.Unknown {
				t.Errorf("%+v", e)
			}
		})
	}
	m := message(2, "")
	m.Content.Notification = nil
	_, err := send(t, p, here, m)
	_ = refused(t, err, provider.Rejected)
	if n := w.desk.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

func TestCredential(t *testing.T) {
	w := newWorld(t, false, simsmpp.Config{})
	for _, row := range []struct{ field, value string }{
		{"port", "0"}, {"port", "x"}, {"security", "ssl"}, {"bind", "receiver"}, {"source", "a name that is too long"}, {"source", "文"}, {"source", "12"},
		{"source_ton", "256"}, {"dest_npi", "-1"}, {"window", "0"}, {"window", "1001"}, {"max_parts", "256"}, {"encoding", "latin1"}, {"message_ids", "x"}, {"host", "127.1"}, {"host", "a b"},
		{"system_id", strings.Repeat("x", 65)},
	} {
		_, err := smpp.New(provider.Config{Values: w.with(row.field, row.value), Egress: w.egress()})
		if e := (*herald.Error)(nil); !errors.As(err, &e) || e.Field != row.field || e.Remedy == "" {
			t.Errorf("%s %q: %v", row.field, row.value, err)
		}
	}
	v := w.with("ca", "no certificate")
	v["security"] = "tls"
	if _, err := smpp.New(provider.Config{Values: v, Egress: w.egress()}); herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Errorf("ca: %v", err)
	}
	// Without a word of the operator only usual ports are called, and no address of
	// a network that is not public.
	for _, c := range []egress.Config{{Allow: []string{"loopback"}}, {Ports: []string{"any"}}} {
		if _, err := smpp.New(provider.Config{Values: w.with(), Egress: c}); herald.CodeOf(err) != herald.CodeInvalidRequest {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, port := range []string{"", "2775", "3550", "443"} {
		v := w.with("host", "smsc.example.com", "port", port)
		p, err := smpp.New(provider.Config{Values: v})
		if err != nil {
			t.Errorf("port %q: %v", port, err)
			continue
		}
		_ = p.Close()
	}
}

// TestCertificate has a service centre whose certificate is not trusted.
func TestCertificate(t *testing.T) {
	w := newWorld(t, true, simsmpp.Config{})
	v := w.with()
	delete(v, "ca")
	_, err := send(t, w.provider(t, v), here, message(1, "a"))
	if e := refused(t, err, provider.Unavailable); e.Unknown || !strings.Contains(e.Text, "TLS") {
		t.Errorf("%+v", e)
	}
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		t.Errorf("the cause is %v", err)
	}
}
